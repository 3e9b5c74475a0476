"""Rows of one measurement as columns, on their way into a storage file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import Field, FieldType
from loader.encoding.arrays import Bytes, Integers, Mask, Words
from loader.encoding.series import SeriesRuns
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.order import RowOrder, order_rows
from loader.encoding.tsm.layout import FIELD_SEPARATOR, INDEX_BLOCK, INDEX_KEY, KEY_LENGTH, check_keys

_WORD_BYTES = 8
_KEY_BYTES = KEY_LENGTH.size + len(FIELD_SEPARATOR) + INDEX_KEY.size + INDEX_BLOCK.itemsize
"""Bytes of a key of one block in the index, besides its series and its field."""
_RUN_BYTES = 16
_TEXT_BYTES = 4 << 20
"""About how many bytes of strings are copied at a time."""


class Rows:
    """Rows of one measurement, which are added batch by batch and copied at once.

    ``words`` has a line for the times (nanoseconds) and one for each field: bit patterns of numbers, 0 or 1 for
    booleans, for strings where their text begins in ``texts``; and then, for each field of strings, one for where the
    text ends. ``present`` has a line for each field, which tells the values that are not null; it has no columns while
    all are there. Both may have more columns than there are rows.

    Memory is eight bytes a number, sixteen a string and its text, one a value where there are nulls, 16 bytes for each
    run of a series, and the names of series. The largest arrays are those of ``workspace``, if it has any.
    """

    def __init__(self, fields: Sequence[Field], workspace: Workspace) -> None:
        self.fields = tuple(fields)
        self.height = 0
        self.strings = np.array(
            [number for number, field in enumerate(self.fields) if field.type is FieldType.STRING], np.int64
        )
        self._ends = {number: 1 + len(self.fields) + place for place, number in enumerate(self.strings.tolist())}
        self._index_bytes = sum(len(field.column.encode()) + _KEY_BYTES for field in self.fields)
        self._workspace = workspace
        self._array = workspace.take_rows()
        self._lines = 1 + len(self.fields) + len(self.strings)
        room = len(self._array) // self._lines
        self.words: Words = self._array[: self._lines * room].reshape(self._lines, room)
        self.present: Mask = np.empty((len(self.fields), 0), np.bool_)
        self._texts = workspace.take_texts()
        self._text_bytes = 0
        self._series: pa.LargeStringArray = pa.array([], pa.large_string())
        self._series_bytes = 0
        self._runs: list[tuple[Integers, Integers]] = []
        self._run_number = 0

    @property
    def size(self) -> int:
        """Bytes that are held."""
        words = self.height * (_WORD_BYTES * self._lines + (len(self.fields) if self.present.size else 0))
        return words + self._text_bytes + self._series_bytes + _RUN_BYTES * self._run_number

    @property
    def index_size(self) -> int:
        """About the bytes of the file's index, where each series has a block of each field."""
        return len(self._series) * self._index_bytes + len(self.fields) * self._series_bytes

    @property
    def times(self) -> Integers:
        """The time of each row, nanoseconds."""
        return self.words[0, : self.height].view(np.int64)

    @property
    def texts(self) -> Bytes:
        """The texts of all strings."""
        return self._texts.reserve(0)

    def add(self, times: Integers, values: Sequence[pl.Series], runs: SeriesRuns) -> None:
        """Add rows: their times, values or nulls of each field in the types of DTYPES, and their series."""
        start, stop = self.height, self.height + len(times)
        self._make_room(stop)
        self.words[0, start:stop] = times.view(np.uint64)
        self._add_present(values, start, stop)
        for number, column in enumerate(values):
            if number in self._ends:
                self._add_texts(number, column, start)
            elif column.dtype == pl.Boolean:
                self.words[1 + number, start:stop] = column.fill_null(value=False).to_numpy()
            else:
                filled = column.fill_null(0) if column.has_nulls() else column
                self.words[1 + number, start:stop] = filled.to_numpy().view(np.uint64)
        self._runs.append((runs.starts[:-1] + start, self._numbers(runs.texts)[runs.codes]))
        self._run_number += len(runs.codes)
        self.height = stop

    def release(self) -> None:
        """Give the arrays back to the workspace; these rows are of no use then."""
        self._workspace.give_back(self._array, self._texts)

    def series(self) -> tuple[pl.Series, RowOrder]:
        """Return the keys of all series, without the field but with what parts both, in byte order, and their rows.

        Raises EncodeError for a key that is too long.
        """
        keys = (pl.Series(self._series) + FIELD_SEPARATOR.decode()).cast(pl.Binary)
        check_keys(keys, self.fields)
        order = keys.arg_sort()
        ranks = np.empty(len(order), np.int64)
        ranks[order.to_numpy()] = np.arange(len(order))
        none = np.empty(0, np.int64)
        starts = np.concatenate([none, *(starts for starts, _ in self._runs), [self.height]])
        numbers = np.concatenate([none, *(numbers for _, numbers in self._runs)])
        return keys.gather(order), order_rows(starts, ranks[numbers], len(keys), self.times)

    def _numbers(self, names: pa.LargeStringArray) -> Integers:
        """Return the number of each of ``names``; those that are new get the next ones."""
        numbers = pc.index_in(names, self._series)
        if numbers.null_count:
            new = pc.unique(names.filter(numbers.is_null()))
            self._series = pa.concat_arrays([self._series, new])
            self._series_bytes += pc.sum(pc.binary_length(new)).as_py()
            numbers = pc.index_in(names, self._series)
        found: Integers = numbers.to_numpy()
        return found

    def _make_room(self, rows: int) -> None:
        if rows <= self.words.shape[1]:
            return
        # Memory that is reserved but not touched costs nothing; so growth is generous, and copies are rare.
        array: Words = np.empty(2 * rows * self._lines, np.uint64)
        words = array.reshape(self._lines, 2 * rows)
        words[:, : self.height] = self.words[:, : self.height]
        self._array, self.words = array, words

    def _add_present(self, values: Sequence[pl.Series], start: int, stop: int) -> None:
        """Note the nulls of ``values``; up to the first one, all values are there."""
        if not self.present.size and not any(column.has_nulls() for column in values):
            return
        if stop > self.present.shape[1]:
            present = np.empty((len(self.fields), 2 * stop), np.bool_)
            present[:, :start] = self.present[:, :start] if self.present.size else True
            self.present = present
        for number, column in enumerate(values):
            self.present[number, start:stop] = column.is_not_null().to_numpy()

    def _add_texts(self, number: int, column: pl.Series, start: int) -> None:
        """Add strings from row ``start`` on, a part of them at a time, because each part is copied twice."""
        step = max(1, _TEXT_BYTES * len(column) // max(1, int(column.estimated_size())))
        for at in range(0, len(column), step):
            part = column.slice(at, step)
            array = part.to_arrow(compat_level=pl.CompatLevel.oldest())
            _, offset_buffer, data_buffer = array.buffers()
            offsets = np.frombuffer(offset_buffer, np.uint64)[array.offset : array.offset + len(array) + 1]
            first, last = int(offsets[0]), int(offsets[-1])
            stop = self._text_bytes + last - first
            texts = self._texts.reserve(stop, kept=self._text_bytes)
            texts[self._text_bytes : stop] = np.frombuffer(data_buffer or b"", np.uint8)[first:last]
            places = offsets + np.uint64(self._text_bytes - first)
            first_row = start + at
            self.words[1 + number, first_row : first_row + len(part)] = places[:-1]
            self.words[self._ends[number], first_row : first_row + len(part)] = places[1:]
            self._text_bytes = stop
