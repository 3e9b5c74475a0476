"""The errors of reading CSV: what PyArrow says becomes file, row, column and value, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from loader.dataset.schema import FieldType
from loader.errors import ConfigError
from loader.quantities import counted
from loader.staging.sources.csv_format import ISO, CsvFormat, shown

SAMPLE_BYTES = 16 << 20
"""Bytes of a file from which the types of its columns are inferred."""
BLOCK_BYTES = 4 << 20
SHOWN = 100
"""Most characters that are shown of a value."""
_VALUE = re.compile(r"(?s)In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (timestamp\[.*?\]|\S+): (.*)")
_RAGGED = re.compile(r"(?s)CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+): (.*)")


@contextmanager
def explained_csv(path: Path, names: list[str], time: str, form: CsvFormat = ISO) -> Iterator[None]:
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
            columns = counted(int(there), "column")
            raise ConfigError(
                f"{path}, row {int(row) - 2:,}: has {columns}, and the header {wanted}: {text[:SHOWN]!r}",
                hint=f"mend the row; a value with {shown(form.separator)} stands in quotes",
            ) from None
        if "straddling" in words:
            raise ConfigError(
                f"{path}: a row is longer than {BLOCK_BYTES:,} bytes", hint="a quote may not be closed there"
            ) from None
        raise ConfigError(
            f"{path}: cannot be read: {' '.join(words.split())[:300]}", hint="name whole files of CSV with a header"
        ) from None


def _unfit(path: Path, names: list[str], time: str, column: str, row: str | None, kind: str, why: str) -> ConfigError:
    """Return the error for a value that does not fit the type of its column."""
    name = names[int(column)] if int(column) < len(names) else f"number {column}"
    where = f"{path}, row {int(row) - 2:,}, column {name!r}" if row else f"{path}, column {name!r}"
    value = why.removeprefix("invalid value ")[:SHOWN]
    if kind == "string":
        return ConfigError(f"{where}: {value}", hint="convert the file, by iconv say")
    other = FieldType.FLOAT if kind == "int64" and _is_number(value) else FieldType.STRING
    what = f"no {kind}, as the values in the first {SAMPLE_BYTES >> 20} MiB are"
    if kind == "null":
        what = f"the first value of its column: there is none in the first {SAMPLE_BYTES >> 20} MiB"
    elif kind.startswith("timestamp"):
        what = "no time of nanoseconds, which are of 1677 to 2262, in a form such as 2024-01-31T12:00:00.5Z"
    mended = "mend the value, or leave the row out"
    if name == time and kind.startswith("timestamp"):
        mended += (
            "; if all times are written like this, say how: --time-format '%d.%m.%Y %H:%M:%S' for example; if it stands"
            f" for no value: --null {value}"
        )
    said = f"; or name the fields, this one with its type: --field {name}=:{other}"
    if kind in {"int64", "uint64", "double", "bool", "null"} and not _is_number(value):
        said = f"; if it stands for no value: --null {value}{said}"
    return ConfigError(f"{where}: {value} is {what}", hint=mended if name == time else mended + said)


def _is_number(text: str) -> bool:
    try:
        float(text.strip("'"))
    except ValueError:
        return False
    return True
