"""Reads CSV with a header as record batches: types are inferred from a sample; errors name row and column."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.types as pt

from loader.dataset.arrow_types import FIELD_TYPES
from loader.dataset.mapping import ColumnMapping
from loader.dataset.schema import FieldType
from loader.errors import ConfigError
from loader.staging.sources.quotes import QuoteScanner
from loader.staging.sources.text import opened_text

SAMPLE_BYTES = 16 << 20
"""Bytes of a file from which the types of its columns are inferred."""
_BLOCK_BYTES = 4 << 20
_EXACT_DIGITS = 15
"""A double keeps any integer of so many digits."""
_MOST_UNSIGNED = 2**64 - 1
_VALUE = re.compile(r"(?s)In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (\S+): (.*)")
_RAGGED = re.compile(r"(?s)CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+): (.*)")
_SHOWN = 100
_HEAD_BYTES = 4 << 10


def read_csv(path: Path, mapping: ColumnMapping) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    """Return the rows of the file ``path``, compressed as its name says, and their columns.

    Types are inferred from SAMPLE_BYTES, or given by ``mapping``, see ``csv_types``. An empty cell is null, ``""`` is
    an empty text. Memory is SAMPLE_BYTES, and a few blocks of _BLOCK_BYTES. Raises ConfigError, here or while rows are
    read, for a file that is not such CSV, with row and column if a value does not fit.
    """
    _refuse_other_forms(path)
    with _explained(path, [], mapping.time):
        types = csv_types(path, _sample(path, {}), mapping)
    return _read_rows(path, types, mapping.time), pa.schema(types.items())


def _refuse_other_forms(path: Path) -> None:
    """Raise ConfigError for a file that seems to be UTF-16, or to separate columns by something else than commas."""
    with opened_text(path) as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise ConfigError(f"{path}: has no header", hint="name whole files of CSV with a header")
    if b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(f"{path}: is not text in UTF-8", hint="convert it: iconv -f UTF-16 -t UTF-8")
    header = head.partition(b"\n")[0]
    if b"," not in header and (other := next((each for each in b";\t|" if each in header), None)):
        raise ConfigError(
            f"{path}: columns are parted by commas, and its header has {chr(other)!r}: {header[:_SHOWN]!r}",
            hint="write it with commas, by Polars for example: pl.read_csv(path, separator=...).write_csv(...)",
        )


def csv_types(path: Path, sample: pa.RecordBatch, mapping: ColumnMapping) -> dict[str, pa.DataType]:
    """Return the type of each column of the CSV file that begins with ``sample``.

    Tags are texts as they are written, and fields have the type that the mapping gives, if any. Timestamps are
    nanoseconds, since later ones may have more digits than those of the sample. Integers beyond signed 64 bits are
    unsigned. Raises ConfigError for repeated names, columns that are not text, and integers that no type holds.
    """
    said = {field.column: FIELD_TYPES[field.type] for field in mapping.fields if field.type}
    said |= dict.fromkeys(mapping.tags, pa.string())
    types: dict[str, pa.DataType] = {}
    for name, kind in zip(sample.schema.names, sample.schema.types, strict=True):
        if name in types:
            raise ConfigError(f"{path}: two columns are called {name!r}", hint="rename one of them in the header")
        if pt.is_binary(kind) and name not in said:
            raise ConfigError(f"{path}: column {name!r} is not text in UTF-8", hint="convert the file, by iconv say")
        types[name] = said.get(name, pa.timestamp("ns", kind.tz) if pt.is_timestamp(kind) else kind)
    if floats := [name for name, kind in types.items() if pt.is_floating(kind) and name not in said]:
        texts = _sample(path, dict.fromkeys(floats, pa.string()))
        types |= {name: _number_type(path, name, texts.column(name)) for name in floats}
    return types


def _sample(path: Path, types: dict[str, pa.DataType]) -> pa.RecordBatch:
    """Return the rows in the first SAMPLE_BYTES; columns have the type in ``types``, or an inferred one."""
    with (
        opened_text(path) as file,
        _explained(path, list(types), ""),
        _opened(TerminatedFile(path, file, 1), SAMPLE_BYTES, types) as reader,
    ):
        return next(iter(reader), pa.RecordBatch.from_pylist([], reader.schema))


def _number_type(path: Path, name: str, texts: pa.Array) -> pa.DataType:
    """Return the type of a column that was inferred as floats, as integers beyond signed 64 bits are, too."""
    digits = pc.all(pc.match_substring_regex(texts, r"^[0-9]+$")).as_py()
    if digits and all(Decimal(text) <= _MOST_UNSIGNED for text in texts.drop_null().to_pylist()):
        return pa.uint64()
    whole = pc.match_substring_regex(texts, r"^\s*[+-]?[0-9]+(\.0*)?\s*$")
    long = texts.filter(pc.and_(whole, pc.greater(pc.utf8_length(texts), _EXACT_DIGITS))).to_pylist()
    odd = next((text[:_SHOWN] for text in long if Decimal(text) != Decimal(float(text))), None)
    if odd is None:
        return pa.float64()
    raise ConfigError(
        f"{path}: column {name!r} has {odd}, an integer that neither 64 bits nor a float hold exactly",
        hint=f"name the fields, this one with its type: --field {name}=:string keeps it, {name}=:float rounds it",
    )


@contextmanager
def _opened(
    file: BinaryIO | io.RawIOBase, block_bytes: int, types: dict[str, pa.DataType]
) -> Iterator[pyarrow.csv.CSVStreamingReader]:
    """Open ``file``, to be read without threads: only then do errors give the row."""
    convert = pyarrow.csv.ConvertOptions(
        column_types=types,
        # Only an empty cell without quotes is null: NA may be Namibia.
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=block_bytes)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(pa.PythonFile(file, "r"), read, parse, convert) as reader:
        yield reader


def _read_rows(path: Path, types: dict[str, pa.DataType], time: str) -> Iterator[pa.RecordBatch]:
    rows = 0
    with (
        opened_text(path) as file,
        _explained(path, list(types), time),
        _opened(TerminatedFile(path, file, len(types)), _BLOCK_BYTES, types) as reader,
    ):
        last = pa.RecordBatch.from_pylist([], reader.schema)
        for batch in filter(len, reader):
            yield last
            last, rows = batch, rows + len(batch)
    if len(types) < 2:  # a line without a value is none
        yield last
        return
    if any(column[-1].is_valid for column in last.columns):
        raise ConfigError(f"{path}, row {rows - 1:,}: a quote is opened and not closed", hint="close it")
    yield last.slice(0, len(last) - 1)


class TerminatedFile(io.RawIOBase):
    """The CSV at ``path`` with ``columns`` columns, and a row of nulls after its end, which an open quote swallows.

    That row comes together with the last bytes of the file: a block of a single line feed would end the reader.
    """

    def __init__(self, path: Path, file: BinaryIO, columns: int) -> None:
        self._path = path
        self._file = file
        self._quotes = QuoteScanner()
        self._end = b"\n" + b"," * (columns - 1) + b"\n"
        self._next = b""
        self._begun = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; ``size`` must be larger than the added row.

        Raises ConfigError for text between a closing quote and the next comma or end of the row.
        """
        piece = self._read(size)
        if line := self._quotes.find_fault(piece):
            raise ConfigError(
                f"{self._path}, line {line:,}: something stands behind a closing quote",
                hint='a comma, or the end of the row, comes there; a quote within quotes is written twice: ""',
            )
        return piece

    def _read(self, size: int) -> bytes:
        room = max(2, size - len(self._end) - 1)
        if not self._begun:
            self._begun, self._next = True, self._file.read(room)
        piece, self._next = self._next, self._file.read(room)
        if self._next:
            if piece.endswith(b"\r"):
                # The reader drops a line feed that begins a block after a carriage return, also within quotes.
                piece, self._next = piece[:-1], b"\r" + self._next
            return piece
        end, self._end = self._end, b""
        return piece + end


@contextmanager
def _explained(path: Path, names: list[str], time: str) -> Iterator[None]:
    """Turn errors of the reader into a ConfigError with row and column; rows count from 0 after the header."""
    try:
        yield
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: its header is not text in UTF-8", hint="convert the file, by iconv say") from None
    except pa.ArrowException as error:
        words = str(error)
        if found := _VALUE.search(words):
            raise _unfit(path, names, time, *found.groups()) from None
        if found := _RAGGED.search(words):
            row, wanted, there, text = found.groups()
            raise ConfigError(
                f"{path}, row {int(row) - 2:,}: has {there} columns, and the header {wanted}: {text[:_SHOWN]!r}",
                hint="mend the row; a value with a comma stands in quotes",
            ) from None
        if "straddling" in words:
            raise ConfigError(
                f"{path}: a row is longer than {_BLOCK_BYTES:,} bytes", hint="a quote may not be closed there"
            ) from None
        raise ConfigError(
            f"{path}: cannot be read: {' '.join(words.split())[:300]}", hint="name whole files of CSV with a header"
        ) from None


def _unfit(path: Path, names: list[str], time: str, column: str, row: str | None, kind: str, why: str) -> ConfigError:
    """Return the error for a value that does not fit the type of its column."""
    name = names[int(column)] if int(column) < len(names) else f"number {column}"
    where = f"{path}, row {int(row) - 2:,}, column {name!r}" if row else f"{path}, column {name!r}"
    value = why.removeprefix("invalid value ")[:_SHOWN]
    if kind == "string":
        return ConfigError(f"{where}: {value}", hint="convert the file, by iconv say")
    other = FieldType.FLOAT if kind == "int64" and _is_number(value) else FieldType.STRING
    what = f"no {kind}, as the values in the first {SAMPLE_BYTES >> 20} MiB are"
    if kind == "null":
        what = f"the first value of its column: there is none in the first {SAMPLE_BYTES >> 20} MiB"
    elif kind.startswith("timestamp"):
        what = "no time of nanoseconds, which are of 1677 to 2262, in a form such as 2024-01-31T12:00:00.5Z"
    mended = "mend the value, or leave the row out"
    said = f"; or name the fields, this one with its type: --field {name}=:{other}"
    return ConfigError(f"{where}: {value} is {what}", hint=mended if name == time else mended + said)


def _is_number(text: str) -> bool:
    try:
        float(text.strip("'"))
    except ValueError:
        return False
    return True
