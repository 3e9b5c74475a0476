"""Reads CSV with a header as record batches: types are inferred from a sample; errors name row and column."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.types as pt

from loader.dataset.arrow_types import FIELD_TYPES
from loader.dataset.mapping import ColumnMapping
from loader.errors import ConfigError
from loader.staging.sources import csv_errors
from loader.staging.sources.csv_errors import SAMPLE_BYTES, SHOWN, explained_csv
from loader.staging.sources.csv_format import ISO, CsvFormat, find_separator, shown
from loader.staging.sources.csv_texts import advice
from loader.staging.sources.csv_times import read_times, time_type
from loader.staging.sources.quotes import QuoteScanner
from loader.staging.sources.text import opened_text

_EXACT_DIGITS = 15
"""A double keeps any integer of so many digits."""
_MOST_UNSIGNED = 2**64 - 1
_ZONED = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
_INFERRED: Mapping[str, pa.DataType] = MappingProxyType({})
_HEAD_BYTES = 4 << 10


def read_csv(
    path: Path, mapping: ColumnMapping, form: CsvFormat = ISO, tell: Callable[[str], None] = lambda _: None
) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    """Return the rows of the file ``path``, compressed as its name and written as ``form`` says, and their columns.

    Types are inferred from SAMPLE_BYTES, or given by ``mapping``, see ``csv_types``. An empty cell is null, ``""`` is
    an empty text. ``tell`` is called with what may be wrong with columns that are taken for text. Memory is
    SAMPLE_BYTES, twice, and a few blocks. Raises ConfigError, here or while rows are read, for a file that is not such
    CSV, with row and column if a value does not fit.
    """
    refuse_other_forms(path, form)
    formed = mapping.time if form.time_format else ""
    types = csv_types(path, sample_csv(path, form), mapping, form)
    given = {*mapping.tags, mapping.time, mapping.measurement_column, *(f.column for f in mapping.fields if f.type)}
    if texts := [name for name, kind in types.items() if pt.is_string(kind) and name not in given]:
        for words in advice(texts, sample_csv(path, form, dict.fromkeys(texts, pa.string())), form.decimal):
            tell(f"{path}: {words}")
    _refuse_text_as_time(path, mapping.time, types, form)
    rows = _read_rows(path, types, mapping.time, form)
    if formed not in types:
        return rows, pa.schema(types.items())
    read = types | {formed: time_type(form.time_format)}
    return _with_times(path, rows, formed, form.time_format), pa.schema(read.items())


def _refuse_text_as_time(path: Path, time: str, types: Mapping[str, pa.DataType], form: CsvFormat) -> None:
    """Raise ConfigError for a column of times that is text, with its first value that is no time."""
    if not form.time_format and pt.is_string(types.get(time, pa.null())):
        first = next(iter(sample_csv(path, form, {time: pa.string()}).column(time).drop_null().to_pylist()), "")
        zone = "UTC" if _ZONED.search(first) else None
        sample_csv(path, form, {**types, time: pa.timestamp("ns", zone)}, time)


def _with_times(path: Path, batches: Iterator[pa.RecordBatch], time: str, form: str) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` with times for the texts of column ``time``."""
    rows = 0
    for batch in batches:
        position = batch.schema.get_field_index(time)
        times, odd = read_times(batch.column(position), form)
        if odd >= 0:
            text = repr(batch.column(position)[odd].as_py()[:SHOWN])
            raise ConfigError(
                f"{path}, row {rows + odd:,}, column {time!r}: {text} is no time of 1677 to 2262 in the form {form!r}",
                hint="mend the value, or the form: --time-format",
            )
        rows += len(batch)
        yield batch.set_column(position, pa.field(time, times.type), times)


def refuse_other_forms(path: Path, form: CsvFormat) -> None:
    """Raise ConfigError for a file that seems to be UTF-16, or whose header has other separators than ``form``."""
    with opened_text(path) as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise ConfigError(f"{path}: has no header", hint="name whole files of CSV with a header")
    if b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(f"{path}: is not text in UTF-8", hint="convert it: iconv -f UTF-16 -t UTF-8")
    header = head.partition(b"\n")[0]
    if (other := find_separator(header, form.separator)) != form.separator:
        words = header[:SHOWN].decode(errors="replace").strip("\ufeff\r")
        raise ConfigError(
            f"{path}: its header has no {shown(form.separator)} between columns, but {shown(other)}: {words!r}",
            hint=f"say it: --separator {shown(other)}; if its decimals have commas: --decimal ,",
        )


def csv_types(
    path: Path, sample: pa.RecordBatch, mapping: ColumnMapping, form: CsvFormat = ISO
) -> dict[str, pa.DataType]:
    """Return the type of each column of the CSV file that begins with ``sample``.

    Tags are texts as they are written, and fields have the type that the mapping gives, if any. Timestamps are
    nanoseconds, since later ones may have more digits than those of the sample. Integers beyond signed 64 bits are
    unsigned. Raises ConfigError for repeated names, columns that are not text, and integers that no type holds.
    """
    said = {field.column: FIELD_TYPES[field.type] for field in mapping.fields if field.type}
    said |= dict.fromkeys([*mapping.tags, *[mapping.time] * bool(form.time_format)], pa.string())
    types: dict[str, pa.DataType] = {}
    for name, kind in zip(sample.schema.names, sample.schema.types, strict=True):
        if name in types:
            raise ConfigError(f"{path}: two columns are called {name!r}", hint="rename one of them in the header")
        if pt.is_binary(kind) and name not in said:
            raise ConfigError(f"{path}: column {name!r} is not text in UTF-8", hint="convert the file, by iconv say")
        types[name] = said.get(name, pa.timestamp("ns", kind.tz) if pt.is_timestamp(kind) else kind)
    if floats := [name for name, kind in types.items() if pt.is_floating(kind) and name not in said]:
        texts = sample_csv(path, form, dict.fromkeys(floats, pa.string()))
        types |= {name: _number_type(path, name, _pointed(texts.column(name), form)) for name in floats}
    return types


def sample_csv(
    path: Path, form: CsvFormat = ISO, types: Mapping[str, pa.DataType] = _INFERRED, time: str = ""
) -> pa.RecordBatch:
    """Return the rows in the first SAMPLE_BYTES; columns have the type in ``types``, or an inferred one.

    ``time`` is the column of times, if there is one: its errors have other hints. Raises ConfigError.
    """
    with (
        opened_text(path) as file,
        explained_csv(path, list(types), time, form),
        _opened(TerminatedFile(path, file, 1, form.separator), SAMPLE_BYTES, types, form) as reader,
    ):
        return next(iter(reader), pa.RecordBatch.from_pylist([], reader.schema))


def _pointed(texts: pa.Array, form: CsvFormat) -> pa.Array:
    """Return numbers with decimal points."""
    return pc.replace_substring(texts, form.decimal, ".") if form.decimal != "." else texts


def _number_type(path: Path, name: str, texts: pa.Array) -> pa.DataType:
    """Return the type of a column that was inferred as floats, as integers beyond signed 64 bits are, too."""
    digits = pc.all(pc.match_substring_regex(texts, r"^[0-9]+$")).as_py()
    if digits and all(Decimal(text) <= _MOST_UNSIGNED for text in texts.drop_null().to_pylist()):
        return pa.uint64()
    whole = pc.match_substring_regex(texts, r"^\s*[+-]?[0-9]+(\.0*)?\s*$")
    long = texts.filter(pc.and_(whole, pc.greater(pc.utf8_length(texts), _EXACT_DIGITS))).to_pylist()
    odd = next((text[:SHOWN] for text in long if Decimal(text) != Decimal(float(text))), None)
    if odd is None:
        return pa.float64()
    raise ConfigError(
        f"{path}: column {name!r} has {odd}, an integer that neither 64 bits nor a float hold exactly",
        hint=f"name the fields, this one with its type: --field {name}=:string keeps it, {name}=:float rounds it",
    )


@contextmanager
def _opened(
    file: BinaryIO | io.RawIOBase, block_bytes: int, types: Mapping[str, pa.DataType], form: CsvFormat
) -> Iterator[pyarrow.csv.CSVStreamingReader]:
    """Open ``file``, to be read without threads: only then do errors give the row."""
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict(types),
        # Without being told, only an empty cell without quotes is null: NA may be Namibia.
        null_values=["", *form.nulls],
        decimal_point=form.decimal,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=block_bytes)
    parse = pyarrow.csv.ParseOptions(delimiter=form.separator, newlines_in_values=True)
    with pyarrow.csv.open_csv(pa.PythonFile(file, "r"), read, parse, convert) as reader:
        yield reader


def _read_rows(path: Path, types: dict[str, pa.DataType], time: str, form: CsvFormat) -> Iterator[pa.RecordBatch]:
    rows = 0
    with (
        opened_text(path) as file,
        explained_csv(path, list(types), time, form),
        _opened(TerminatedFile(path, file, len(types), form.separator), csv_errors.BLOCK_BYTES, types, form) as reader,
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

    def __init__(self, path: Path, file: BinaryIO, columns: int, separator: str = ",") -> None:
        self._path = path
        self._file = file
        self._quotes = QuoteScanner(separator)
        self._end = b"\n" + separator.encode() * (columns - 1) + b"\n"
        self._next = b""
        self._begun = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; ``size`` must be larger than the added row.

        Raises ConfigError for text between a closing quote and the next separator or end of the row.
        """
        piece = self._read(size)
        if line := self._quotes.find_fault(piece):
            raise ConfigError(
                f"{self._path}, line {line:,}: something stands behind a closing quote",
                hint='a separator, or the end of the row, comes there; a quote within quotes is written twice: ""',
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
