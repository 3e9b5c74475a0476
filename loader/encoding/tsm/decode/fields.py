"""Reads one field of a measurement from all storage files of a shard, merged as the server merges them.

Of points with one identity, the one in the later file counts. A tombstone deletes points of its own file only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.dataset.schema import FieldType
from loader.encoding.arrays import Integers, Mask, Places
from loader.encoding.tsm.decode.blocks import Parts, part_blocks, read_numbers, read_strings, read_times
from loader.encoding.tsm.decode.columns import (
    Column,
    TooManyPoints,
    Values,
    ascending,
    bounds_within,
    pick,
    runs_of,
    same_series,
)
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.decode.tombstones import Tombstone

DECODED_POINTS = 4 << 20
"""Points of blocks that are decoded at a time; one block has at most a million."""
DECODED_BYTES = 8 << 20
"""Bytes of blocks of strings that are read and decoded at a time; they may become 32 times as many."""
DECODED_BLOCKS = 1 << 19
"""Blocks that are read at a time; each takes some 100 bytes, whatever it holds."""
_NO_BOUNDS = np.empty(0, np.int64)
TextForm: TypeAlias = Callable[[pa.LargeBinaryArray], pa.LargeBinaryArray]


def _held() -> None:
    """Release nothing."""


def _whole(texts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return texts


@dataclass(frozen=True)
class Source:
    """A storage file and its tombstones; ``release`` frees memory of the file that can be read again."""

    file: StoredFile
    tombstones: Sequence[Tombstone] = ()
    release: Callable[[], None] = _held


@dataclass(frozen=True)
class Reading:
    """A column, and what the next field needs to share its timestamps; ``keep`` are the points that stay, None for all.

    Timestamps can be shared only if ``plain``: no point was deleted or moved.
    """

    column: Column
    parts: list[Parts]
    owners: Places
    keep: Mask | None
    plain: bool


@dataclass(frozen=True)
class StoredField:
    """The blocks of a field: ``owners`` (numbers of ``series``), ``origins`` (numbers of ``sources``), ``blocks``.

    Blocks are known by their places, and sorted by series, then time; where blocks of a series overlap (``mixed``), by
    file before time. ``first`` and ``last`` are their times, the same object where each has one time.
    ``deleted`` has the deleted ranges by origin and owner. ``mistyped`` are the series that hold another type than
    ``kind``; of these nothing is read.
    """

    kind: FieldType
    sources: Sequence[Source]
    series: pl.Series
    owners: Places
    origins: npt.NDArray[np.int16]
    blocks: Integers
    first: Integers
    last: Integers
    mixed: Mask
    deleted: Mapping[tuple[int, int], list[tuple[int, int]]]
    mistyped: Mapping[bytes, FieldType]

    def read(
        self, start: int, stop: int, former: Reading | None = None, form: TextForm = _whole, most: int = 0
    ) -> Reading:
        """Return the points with ``start`` <= time < ``stop``, strings as ``form`` makes them; raises DecodeError.

        ``former`` is the reading of another field over the same range: encoded timestamps that are the same bytes
        are not decoded again, nor are equal times held twice. Memory is bounded by what the range holds, twice,
        24 bytes a series, 8 a block, and the blocks that are decoded at a time: DECODED_POINTS, DECODED_BYTES and
        DECODED_BLOCKS, or one block. Raises TooManyPoints when the range holds more than ``most`` bytes of times and
        values, 0 for any number.
        """
        chosen = np.flatnonzero((self.first < stop) & (self.last >= start))
        plain = not self.deleted and not (self.mixed.any() and self.mixed[self.owners[chosen]].any())
        runs = self._runs(chosen)
        columns: list[Column] = []
        lengths = np.zeros(len(self.series), np.int64)
        held = 0
        for run in runs:
            blocks = chosen[run]
            parts, places, counts = self._parts(blocks)
            pieces = runs_of(counts, DECODED_POINTS)
            if len(runs) == len(pieces) == 1:
                return self._read(blocks, parts, places, counts, start, stop, former, form, most, plain)
            for piece in pieces:
                if len(pieces) > 1:
                    blocks = chosen[run][piece]
                    parts, places, counts = self._parts(blocks)
                column = self._read(blocks, parts, places, counts, start, stop, None, form, 0, plain).column
                lengths += np.diff(column.bounds)
                held += column.size
                if most and held > most:
                    raise TooManyPoints
                columns.append(replace(column, bounds=_NO_BOUNDS))
                for source in self.sources:
                    source.release()
        column = _ordered(_concatenated(self.series, np.append(0, np.cumsum(lengths)), columns))
        if former:
            column = _shared(column, former.column)
        return Reading(column, [], self.owners[:0], None, plain=False)

    def _runs(self, chosen: Integers) -> list[slice]:
        """Divide the ``chosen`` blocks into runs that are read at a time."""
        if self.kind is FieldType.STRING:
            return runs_of(np.maximum(self._sizes(chosen), DECODED_BYTES // DECODED_BLOCKS), DECODED_BYTES)
        return [slice(at, at + DECODED_BLOCKS) for at in range(0, len(chosen), DECODED_BLOCKS)] or [slice(None)]

    def _sizes(self, chosen: Integers) -> Integers:
        """Return the bytes of the ``chosen`` blocks, as the indexes have them."""
        sizes = np.zeros(len(chosen), np.int64)
        for number, source in enumerate(self.sources):
            place = self.origins[chosen] == number
            sizes[place] = source.file.extents(self.blocks[chosen[place]])[1]
        return sizes

    def _parts(self, chosen: Integers) -> tuple[list[Parts], list[Integers], Integers]:
        """Return the parts of the ``chosen`` blocks by file, their places among them, and their numbers of points."""
        origins = self.origins[chosen]
        places = [np.flatnonzero(origins == number) for number in range(len(self.sources))]
        parts = [
            part_blocks(source.file, self.blocks[chosen[place]], self.kind)
            for source, place in zip(self.sources, places, strict=True)
        ]
        counts = np.zeros(len(chosen), np.int64)
        for part, place in zip(parts, places, strict=True):
            counts[place] = part.counts
        return parts, places, counts

    def _read(
        self,
        chosen: Integers,
        parts: list[Parts],
        places: list[Integers],
        counts: Integers,
        start: int,
        stop: int,
        former: Reading | None,
        form: TextForm,
        most: int,
        plain: bool,
    ) -> Reading:
        """Return the points of the ``chosen`` blocks, all decoded at once."""
        owners = self.owners[chosen]
        ends = np.cumsum(counts)
        to = ends - counts
        values = self._values(parts, places, to, counts)
        if not isinstance(values, np.ndarray):
            values = form(values)
        if former and former.plain and plain and self._alike(former, owners, parts):
            keep, other = former.keep, former.column
            kept = values if keep is None else pick(values, keep)
            return Reading(Column(self.series, other.bounds, other.times, kept), parts, owners, keep, plain)
        raw = np.empty(int(counts.sum()), np.uint64)
        for part, place in zip(parts, places, strict=True):
            read_times(part, to[place], raw)
        times = raw.view(np.int64)
        firsts = np.searchsorted(owners, np.arange(len(self.series) + 1, dtype=owners.dtype))
        column = Column(self.series, np.append(to, len(times))[firsts], times, values)
        keep = self._keep(chosen, times, to, ends, start, stop)
        if keep is not None:
            column = Column(self.series, bounds_within(column.bounds, keep), times[keep], pick(values, keep))
        if most and column.size > most:
            raise TooManyPoints
        return Reading(column if plain else _ordered(column), parts, owners, keep, plain)

    def _values(self, parts: Sequence[Parts], places: Sequence[Integers], to: Integers, counts: Integers) -> Values:
        points = int(counts.sum())
        if self.kind is not FieldType.STRING:
            numbers = np.empty(points, np.uint8 if self.kind is FieldType.BOOLEAN else np.uint64)
            for part, place in zip(parts, places, strict=True):
                read_numbers(part, self.kind, to[place], numbers)
            return numbers
        lengths = np.empty(points, np.int64)
        texts = [np.empty(0, np.uint8)] * len(counts)
        for part, place in zip(parts, places, strict=True):
            for number, text in zip(place.tolist(), read_strings(part, to[place], lengths), strict=True):
                texts[number] = text
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        content = np.concatenate([np.empty(0, np.uint8), *texts])
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), points, buffers)

    def _alike(self, former: Reading, owners: Places, parts: Sequence[Parts]) -> bool:
        return (
            same_series(former.column.series, self.series)
            and np.array_equal(former.owners, owners)
            and all(new.same_times(old) for new, old in zip(parts, former.parts, strict=True))
        )

    def _keep(
        self, chosen: Integers, times: Integers, to: Integers, ends: Integers, start: int, stop: int
    ) -> Mask | None:
        """Return which points lie within the range and are not deleted, None for all."""
        keep = None
        if len(chosen) and (self.first[chosen].min() < start or self.last[chosen].max() >= stop):
            keep = (times >= start) & (times < stop)
        if self.deleted:
            keep = np.ones(len(times), np.bool_) if keep is None else keep
            pairs = zip(self.origins[chosen].tolist(), self.owners[chosen].tolist(), strict=True)
            for number, pair in enumerate(pairs):
                span = slice(to[number], ends[number])
                for first, last in self.deleted.get(pair, ()):
                    keep[span] &= (times[span] < first) | (times[span] > last)
        return keep


def _ordered(column: Column) -> Column:
    """Return ``column`` with times that ascend strictly in each series: of equal times, the last point."""
    order = ascending(column.times, column.bounds)
    if order is None:
        return column
    positions, bounds = order
    return Column(column.series, bounds, column.times[positions], pick(column.values, positions))


def _concatenated(series: pl.Series, bounds: Integers, columns: list[Column]) -> Column:
    """Return ``columns``, whose points follow each other in the order of ``series``, as one; they are emptied."""
    values = [column.values for column in columns]
    times = np.concatenate([column.times for column in columns])
    columns.clear()
    joined: Values
    if isinstance(values[0], np.ndarray):
        joined = np.concatenate([part for part in values if isinstance(part, np.ndarray)])
    else:
        joined = pa.concat_arrays(values)
    return Column(series, bounds, times, joined)


def _shared(column: Column, other: Column) -> Column:
    """Return ``column`` with the bounds and times of ``other`` if they are equal, so that they are held once."""
    if np.array_equal(column.bounds, other.bounds) and np.array_equal(column.times, other.times):
        return replace(column, bounds=other.bounds, times=other.times)
    return column
