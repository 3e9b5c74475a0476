"""Encodes record batches as line protocol; pure, with no input or output.

Tags become text once for each combination; a compiled kernel writes numbers and joins the lines. A tag that is null or
empty, and a field that is null, are left out: InfluxDB has no empty value of either.
:mod:`loader.encoding.escaping` lists what cannot be encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.arrow_types import FIELD_TYPES
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.arrays import Integers, Words
from loader.encoding.columns import read_times
from loader.encoding.escaping import USUAL_FORM, LineForm, Part
from loader.encoding.line_protocol.lines import (
    BOOLEAN,
    FLOAT,
    SIGNED,
    STRING,
    UNSIGNED,
    Fields,
    Rows,
    put_lines,
)
from loader.encoding.line_protocol.numbers import MOST_DIGITS, MOST_OF_FLOAT
from loader.encoding.line_protocol.texts import WORD_SIZE, ByteWords, byte_words, join_texts
from loader.encoding.selection import SelectedRows
from loader.encoding.series import find_series, gather_series

BYTES_A_VALUE = 100
_INDEX_BYTES = 8
_NO_TEXTS = pa.array([], pa.large_string())
_KINDS = {FieldType.FLOAT: FLOAT, FieldType.INTEGER: SIGNED, FieldType.UNSIGNED: UNSIGNED}
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
    """The values of a field: their bits, or for each row the number of a text; the longest takes ``longest`` bytes."""

    kind: int
    items: Words
    texts: pa.LargeStringArray
    longest: int


class LineEncoder:
    """Encodes points of ``schema``, each row as one line with a nanosecond timestamp, in the ``form`` of a server.

    Lines are written into one buffer, which is used again and is as large as the largest piece so far: used memory is
    in the caches of the processor, and the first touch of new memory costs more than a copy.
    """

    def __init__(self, schema: PointSchema, form: LineForm = USUAL_FORM) -> None:
        self._schema = schema
        self._form = form
        self._buffer = np.empty(0, np.uint8)

    def encode(self, points: SelectedRows, most_lines: int, most_bytes: Callable[[], int]) -> Iterator[EncodedLines]:
        """Yield ``points`` in pieces of up to ``most_lines`` lines and ``most_bytes()`` bytes.

        They are in order, except that rows of a series are brought together where they lie apart: a server takes them
        faster so. A longer line is a piece of its own. Floats are written in the shortest form that reads back as the
        same double. Memory is about BYTES_A_VALUE a row and field, three times the text of strings and series, and two
        pieces. Raises EncodeError, before anything is yielded, for a name that has no line-protocol form.
        """
        batch = points.points
        runs, order = find_series(batch, self._schema, self._form), None
        if gathered := gather_series(runs):
            runs, order = gathered
        columns = [_column(batch.column(field.column)) for field in self._schema.fields]
        values = [_values(column, field.type) for column, field in zip(columns, self._schema.fields, strict=True)]
        fields = _fields(columns, values, self._schema.fields, order, self._form.field_key)
        series = join_texts([runs.texts])
        times, numbers = (
            _ordered(read_times(batch, self._schema).to_numpy(writable=True), order),
            _ordered(points.rows, order),
        )
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


def _column(column: pa.Array) -> pa.Array:
    """Return ``column``; a dictionary is written out unless it is small, so that memory is bounded by the rows."""
    if not pa.types.is_dictionary(column.type):
        return column
    small = column.dictionary.nbytes <= _INDEX_BYTES * len(column) and not column.dictionary.null_count
    return column if small else column.dictionary_decode()


def _values(column: pa.Array, field: FieldType) -> _Values:
    match field:
        case FieldType.STRING:
            return _texts(column)
        case FieldType.BOOLEAN:
            items = _without_nulls(column).to_numpy(zero_copy_only=False).astype(np.uint64)
            return _Values(BOOLEAN, items, _NO_TEXTS, len("false"))
        case _:
            items = _without_nulls(column.cast(FIELD_TYPES[field])).to_numpy().view(np.uint64)
            return _Values(_KINDS[field], items, _NO_TEXTS, MOST_OF_FLOAT if field is FieldType.FLOAT else MOST_DIGITS)


def _texts(column: pa.Array) -> _Values:
    """Return a column of text: each text of a dictionary once, any others one for each row."""
    if pa.types.is_dictionary(column.type):
        items, texts = _without_nulls(column.indices).to_numpy().astype(np.uint64), column.dictionary
    else:
        items, texts = np.arange(len(column), dtype=np.uint64), column
    texts = texts.cast(pa.large_string())
    # Each character may need a backslash before it.
    return _Values(STRING, items, texts, 2 * (pc.max(pc.binary_length(texts)).as_py() or 0))


def _without_nulls(column: pa.Array) -> pa.Array:
    """Return ``column`` with any value in place of a null, not copied."""
    if not column.null_count:
        return column
    return pa.Array.from_buffers(column.type, len(column), [None, column.buffers()[1]], offset=column.offset)


def _ordered(items: npt.NDArray[_Item], order: Integers | None) -> npt.NDArray[_Item]:
    return items if order is None else items[order]


def _fields(
    columns: Sequence[pa.Array],
    values: Sequence[_Values],
    fields: Sequence[Field],
    order: Integers | None,
    field_key: Part,
) -> Fields:
    """Return the fields of the rows, in ``order``, in the form that the kernel takes."""
    ends = ['="' if each.kind == STRING else "=" for each in values]
    keys = [field_key.escape(field.column) + end for field, end in zip(fields, ends, strict=True)]
    nullable = any(column.null_count for column in columns)
    present = [_ordered(column.is_valid().to_numpy(zero_copy_only=False), order) for column in columns if nullable]
    return Fields(
        np.array([each.kind for each in values], np.uint8),
        join_texts([pa.array(keys, pa.large_string())]),
        np.stack([_ordered(each.items, order) for each in values]),
        np.stack(present) if present else np.empty((0, 0), np.bool_),
        join_texts([each.texts for each in values]),
        np.cumsum([0, *(len(each.texts) for each in values[:-1])]),
    )
