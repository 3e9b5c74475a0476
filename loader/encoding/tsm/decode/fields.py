"""One field of a measurement in all storage files of a shard, merged as the server merges them.

Of points with one identity, that of the later file counts. A tombstone deletes points of its own file only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loader.dataset.schema import Field, FieldType
from loader.encoding.arrays import Integers, Mask
from loader.encoding.escaping import MEASUREMENT
from loader.encoding.tsm.decode.blocks import Parts, part_blocks, read_numbers, read_strings, read_times
from loader.encoding.tsm.decode.columns import Column, Values, ascending, bounds_within, pick
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.decode.tombstones import Tombstone
from loader.encoding.tsm.layout import BLOCK_TYPES, FIELD_SEPARATOR


@dataclass(frozen=True)
class Source:
    """A storage file and its tombstones."""

    file: StoredFile
    tombstones: Sequence[Tombstone] = ()


@dataclass(frozen=True)
class Reading:
    """A column, and what the next field needs to share its timestamps; ``keep`` are the points left, None for all.

    Nothing can be shared unless ``plain``: no point was deleted or changed its place.
    """

    column: Column
    parts: list[Parts]
    owners: Integers
    keep: Mask | None
    plain: bool


@dataclass(frozen=True)
class StoredField:
    """The blocks of a field: ``owners`` (numbers of ``series``), ``origins`` (numbers of ``sources``), ``blocks``.

    They are in the order of series, then time; where blocks of a series overlap (``mixed``), by file before time.
    ``deleted`` has the deleted ranges by origin and owner. ``mistyped`` are the series that hold another type than
    ``kind``; of these nothing is read.
    """

    kind: FieldType
    sources: Sequence[Source]
    series: list[bytes]
    owners: Integers
    origins: Integers
    blocks: Integers
    first: Integers
    last: Integers
    mixed: Mask
    deleted: Mapping[tuple[int, int], list[tuple[int, int]]]
    mistyped: Mapping[bytes, FieldType]

    def read(self, start: int, stop: int, former: Reading | None = None) -> Reading:
        """Return the points with ``start`` <= time < ``stop``; raises DecodeError.

        ``former`` is the reading of another field over the same range: encoded timestamps that are the same bytes
        are not decoded again. Memory is bounded by the points of the blocks that overlap the range, twice.
        """
        chosen = np.flatnonzero((self.first < stop) & (self.last >= start))
        owners, origins = self.owners[chosen], self.origins[chosen]
        places = [np.flatnonzero(origins == number) for number in range(len(self.sources))]
        parts = [
            part_blocks(source.file, self.blocks[chosen[place]], self.kind)
            for source, place in zip(self.sources, places, strict=True)
        ]
        counts = np.zeros(len(chosen), np.int64)
        for part, place in zip(parts, places, strict=True):
            counts[place] = part.counts
        ends = np.cumsum(counts)
        to = ends - counts
        values = self._values(parts, places, to, counts)
        plain = not self.deleted and not self.mixed[owners].any()
        if former and former.plain and plain and self._alike(former, owners, parts):
            keep, other = former.keep, former.column
            kept = values if keep is None else pick(values, keep)
            return Reading(Column(self.series, other.bounds, other.times, kept), parts, owners, keep, plain)
        raw = np.empty(int(counts.sum()), np.uint64)
        for part, place in zip(parts, places, strict=True):
            read_times(part, to[place], raw)
        times = raw.view(np.int64)
        firsts = np.searchsorted(owners, np.arange(len(self.series) + 1))
        column = Column(self.series, np.append(to, len(times))[firsts], times, values)
        keep = self._keep(chosen, times, to, ends, start, stop)
        if keep is not None:
            column = Column(self.series, bounds_within(column.bounds, keep), times[keep], pick(values, keep))
        if not plain and (order := ascending(column.times, column.bounds)):
            positions, bounds = order
            column = Column(self.series, bounds, column.times[positions], pick(column.values, positions))
        return Reading(column, parts, owners, keep, plain)

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

    def _alike(self, former: Reading, owners: Integers, parts: Sequence[Parts]) -> bool:
        return (
            former.column.series == self.series
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


def gather_field(sources: Sequence[Source], measurement: str, field: Field) -> StoredField:
    """Return where the values of ``field`` are in ``sources``, which are in the order of their age."""
    head, tail = MEASUREMENT.escape(measurement).encode(), FIELD_SEPARATOR + field.column.encode()
    kinds = {number: kind for kind, number in BLOCK_TYPES.items()}
    found: list[tuple[bytes, int, int]] = []
    mistyped = {}
    for origin, source in enumerate(sources):
        for number, key in enumerate(source.file.keys):
            text, separator, name = key.partition(FIELD_SEPARATOR)
            if separator + name == tail and (text == head or text.startswith(head + b",")):
                kind = kinds.get(int(source.file.types[number]))
                if kind is field.type:
                    found.append((text, origin, number))
                elif kind:
                    mistyped[text] = kind
    series = sorted({text for text, _, _ in found})
    numbers = {text: number for number, text in enumerate(series)}
    deleted = defaultdict(list)
    for origin, source in enumerate(sources):
        for key, first, last in source.tombstones:
            text, separator, name = key.partition(FIELD_SEPARATOR)
            if separator + name == tail and text in numbers:
                deleted[origin, numbers[text]].append((first, last))
    columns = [_blocks(numbers[text], origin, sources[origin].file, number) for text, origin, number in found]
    table, mixed = _in_order(np.concatenate([np.empty((5, 0), np.int64), *columns], axis=1), len(series))
    owners, origins, blocks, first, last = table
    return StoredField(
        field.type, sources, series, owners, origins, blocks, first, last, mixed, dict(deleted), mistyped
    )


def _blocks(owner: int, origin: int, file: StoredFile, key: int) -> Integers:
    """Return owner, origin, number, first and last time, a row each, of the blocks of a key."""
    span = slice(file.bounds[key], file.bounds[key + 1])
    blocks = np.arange(span.start, span.stop)
    return np.stack(
        [np.full_like(blocks, owner), np.full_like(blocks, origin), blocks, file.first[span], file.last[span]]
    )


def _in_order(table: Integers, series: int) -> tuple[Integers, Mask]:
    """Return the blocks in the order of StoredField, and for which of the ``series`` blocks overlap."""
    owners, origins, _, first, last = table = table[:, np.lexsort((table[3], table[0]))]
    mixed = np.zeros(series, np.bool_)
    mixed[owners[1:][(owners[1:] == owners[:-1]) & (first[1:] <= last[:-1])]] = True
    age = np.where(mixed[owners], origins, 0)
    return table[:, np.lexsort((first, age, owners))], mixed
