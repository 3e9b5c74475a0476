"""Encodes record batches as line protocol; pure, with no input or output.

Tags become text once for each combination. A compiled kernel joins the lines and writes integers and decimals, such as
prices; Polars writes all other floats. A tag that is null or empty, and a field that is null, are left out: InfluxDB
has no empty value of either. :mod:`loader.encoding.escaping` lists what cannot be encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.arrays import Integers, Words
from loader.encoding.columns import read_columns
from loader.encoding.escaping import FIELD_KEY, STRING_ESCAPES
from loader.encoding.line_protocol.lines import (
    DECIMAL,
    DECIMALS,
    MOST_DIGITS,
    SIGNED,
    STRING,
    TEXT,
    UNSIGNED,
    WORD_SIZE,
    ByteWords,
    Fields,
    Rows,
    byte_words,
    join_texts,
    put_lines,
)
from loader.encoding.selection import SelectedRows
from loader.encoding.series import find_series, gather_series

BYTES_A_VALUE = 100
_PROBED_ROWS = 4_096
"""How many rows are checked first for being decimals, before the whole column is."""
_SCALE = float(10**DECIMALS)
_MOST_SCALED = 1e15
_NO_TEXTS = pa.array([], pa.large_string())
_Item = TypeVar("_Item", bound=np.generic)


@dataclass(frozen=True)
class EncodedLines:
    """Line protocol: line ``i`` is ``data[offsets[i]:offsets[i + 1]]``, newline included, of row ``rows[i]``.

    ``times`` are the lines' timestamps, in nanoseconds. ``gathered`` tells that rows of a series were brought together,
    so that these rows are not a range.
    """

    data: bytes
    offsets: Integers
    rows: Integers
    times: Integers
    gathered: bool = False

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.rows)

    def slice(self, start: int, stop: int) -> bytes:
        """Return the lines ``start`` to ``stop`` (exclusive), ready to be sent."""
        return self.data[self.offsets[start] : self.offsets[stop]]


@dataclass(frozen=True)
class _Values:
    """The values of a field: integers, or for each row the number of a text; ``longest`` is the size of the longest."""

    kind: int
    items: Integers | Words
    texts: pa.LargeStringArray
    longest: int


class LineEncoder:
    """Encodes points of ``schema``, each row as one line with a nanosecond timestamp.

    Lines are written into one buffer, which is used again and is as large as the largest piece so far: used memory is
    in the caches of the processor, and the first touch of new memory costs more than a copy.
    """

    def __init__(self, schema: PointSchema) -> None:
        self._schema = schema
        self._buffer = np.empty(0, np.uint8)

    def encode(self, points: SelectedRows, most_lines: int, most_bytes: Callable[[], int]) -> Iterator[EncodedLines]:
        """Yield ``points`` in pieces of up to ``most_lines`` lines and ``most_bytes()`` bytes.

        They are in order, except that rows of a series are brought together where they lie apart: a server takes them
        faster so. A longer line is a piece of its own. Floats are written in the shortest form that reads back as the
        same double. Memory is about BYTES_A_VALUE a row and field, three times the text of strings and series, and two
        pieces. Raises EncodeError, before anything is yielded, for a name that has no line-protocol form.
        """
        batch = points.points
        read = read_columns(batch, self._schema)
        runs, order = find_series(batch, self._schema), None
        if gathered := gather_series(runs):
            runs, order = gathered
        values = [_values(column, field.type) for column, field in zip(read.values, self._schema.fields, strict=True)]
        fields = _fields(read.values, values, self._schema.fields, order)
        series = join_texts([runs.texts])
        times, numbers = _ordered(read.times.to_numpy(writable=True), order), _ordered(points.rows, order)
        rows = Rows(runs.starts, runs.codes, series, fields, times.view(np.uint64))
        # A space or comma before each field, and a character after it; the time between a space and a newline.
        longest = sum(each.longest + 2 for each in values) + int(fields.keys.bounds[-1]) + MOST_DIGITS + 2
        longest += int(series.lengths.max(initial=0))
        start = 0
        while start < len(batch):
            lines = min(most_lines, len(batch) - start)
            limit = min(most_bytes(), lines * longest)
            words = self._words(limit + longest)
            offsets = np.empty(lines + 1, np.int64)
            run = int(np.searchsorted(runs.starts, start, side="right")) - 1
            count = put_lines(words, offsets, rows, start, run, limit)
            stop = start + count
            data = self._buffer[: offsets[count]].tobytes()
            yield EncodedLines(data, offsets[: count + 1], numbers[start:stop], times[start:stop], bool(gathered))
            start = stop

    def _words(self, size: int) -> ByteWords:
        """Return the buffer as words, with room for ``size`` bytes or more."""
        if len(self._buffer) < size + WORD_SIZE:
            self._buffer = np.empty(size + WORD_SIZE, np.uint8)
        return byte_words(self._buffer)


def _values(column: pl.Series, field: FieldType) -> _Values:
    # Arrow's functions for small tasks: a Polars expression costs as much as a pass over the rows.
    match field:
        case FieldType.INTEGER | FieldType.UNSIGNED:
            kind = SIGNED if field is FieldType.INTEGER else UNSIGNED
            return _Values(kind, column.to_arrow().fill_null(0).to_numpy(), _NO_TEXTS, MOST_DIGITS)
        case FieldType.STRING:
            return _texts(STRING, column.str.replace_many(dict(STRING_ESCAPES)))
        case FieldType.BOOLEAN:
            return _texts(TEXT, column.cast(pl.String))
        case _:
            decimals = _decimals(column.to_arrow().fill_null(0.0).to_numpy())
            if decimals is None:
                return _texts(TEXT, column.cast(pl.String))
            return _Values(DECIMAL, decimals, _NO_TEXTS, MOST_DIGITS)


def _texts(kind: int, texts: pl.Series) -> _Values:
    table = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    return _Values(kind, np.arange(len(table)), table, pc.max(pc.binary_length(table)).as_py() or 0)


def _decimals(values: npt.NDArray[np.float64]) -> Integers | None:
    """Return ``values`` as ten-thousandths when each is the double nearest to such a number, None otherwise.

    A decimal of up to 15 digits is the shortest form of the double nearest to it: no two of them share a double.
    """
    for part in (values[:_PROBED_ROWS], values):
        with np.errstate(over="ignore"):
            scaled = np.rint(part * _SCALE)
        near = (scaled / _SCALE == part) & (np.abs(scaled) < _MOST_SCALED)
        # Negative zero has no integer.
        if not near.all() or np.signbit(part[scaled == 0]).any():
            return None
    return scaled.astype(np.int64)


def _ordered(items: npt.NDArray[_Item], order: Integers | None) -> npt.NDArray[_Item]:
    return items if order is None else items[order]


def _fields(
    columns: Sequence[pl.Series], values: Sequence[_Values], fields: Sequence[Field], order: Integers | None
) -> Fields:
    """Return the fields of the rows, in ``order``, in the form that the kernel takes."""
    ends = ['="' if each.kind == STRING else "=" for each in values]
    keys = [FIELD_KEY.escape(field.column) + end for field, end in zip(fields, ends, strict=True)]
    nullable = any(column.null_count() for column in columns)
    present = [_ordered(column.is_not_null().to_numpy(), order) for column in columns if nullable]
    return Fields(
        np.array([each.kind for each in values], np.uint8),
        join_texts([pa.array(keys, pa.large_string())]),
        np.stack([_ordered(each.items.view(np.uint64), order) for each in values]),
        np.stack(present) if present else np.empty((0, 0), np.bool_),
        join_texts([each.texts for each in values]),
        np.cumsum([0, *(len(each.texts) for each in values[:-1])]),
    )
