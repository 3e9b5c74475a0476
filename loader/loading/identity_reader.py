"""Reads the identities of the rows of a dataset, in order, for the search for repeated ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS, read_batches, read_joined
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.columns import read_times
from loader.encoding.selection import SelectedRows, select_points
from loader.encoding.series import Numbers, find_series, number_series
from loader.loading.repetitions import Identities, Keys, Slice
from loader.loading.series_order import SeriesOrder, find_series_order
from loader.loading.time_order import distinct_in_time_order
from loader.loading.times import check_times
from loader.waiting import Workers

THREADS = 2
"""Partitions that are read at a time; more threads would wait for each other in Python."""
MOST_BYTES = 256 << 20
"""Memory for the rows that are compared at a time, where they are not in order already."""
_KEY_BYTES = 9
"""Bytes of a row while its key is sorted."""
_ROW_BYTES = 200
"""Bytes of a row with a repeated key while it is compared, besides one for each field."""


def overlapping(partitions: Sequence[Partition]) -> Iterator[list[Partition]]:
    """Yield groups of partitions that overlap in time, each in the order of ``partitions``."""
    group: list[tuple[int, Partition]] = []
    filled = [pair for pair in enumerate(partitions) if pair[1].rows]
    for pair in sorted(filled, key=lambda pair: pair[1].time_min):
        if group and pair[1].time_min > max(other.time_max for _, other in group):
            yield [partition for _, partition in sorted(group)]
            group = []
        group.append(pair)
    if group:
        yield [partition for _, partition in sorted(group)]


@dataclass(frozen=True)
class IdentityReader:
    """Reads the identities of partitions of one measurement; setting ``stop`` ends that early."""

    root: Path
    schema: PointSchema
    stop: threading.Event

    @property
    def most_keys(self) -> int:
        """Rows whose keys are held at a time."""
        return max(2, MOST_BYTES // _KEY_BYTES)

    @property
    def most_rows(self) -> int:
        """Rows that are compared at a time."""
        return max(2, MOST_BYTES // (_ROW_BYTES + len(self.schema.fields)))

    def in_order(
        self, groups: Iterable[Sequence[Partition]], workers: Workers
    ) -> Iterator[tuple[Sequence[Partition], SeriesOrder | bool]]:
        """Yield ``groups``, each with its order, or whether it is one partition in order; ``workers`` check ahead."""
        waiting: deque[tuple[Sequence[Partition], Future[SeriesOrder | bool]]] = deque()
        for group in groups:
            waiting.append((group, workers.submit(self._order, group)))
            if len(waiting) > THREADS:
                looked_at, ordered = waiting.popleft()
                yield looked_at, ordered.result()
        for looked_at, ordered in waiting:
            yield looked_at, ordered.result()

    def _order(self, group: Sequence[Partition]) -> SeriesOrder | bool:
        if len(group) > 1:
            return False
        (partition,) = group
        names = replace(self.schema, fields=())
        batches = read_batches(self.root, names, partition.whole, GROUP_ROWS)
        found = find_series_order(self._until_stopped(batches), self.schema, partition)
        if found is not None:
            return found
        joined = (batch for _, batch in read_joined(self.root, names, partition.whole))
        if distinct_in_time_order(self._until_stopped(joined), self.schema, partition):
            return True
        return _ascends(self._runs(partition, {}))

    def _until_stopped(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self.stop.is_set():
                return
            yield batch

    def slices(self, group: Sequence[Partition]) -> Iterator[Slice]:
        """Yield parts of the time of ``group``, of about ``most_keys`` rows each if times are evenly spread."""
        first = min(partition.time_min for partition in group)
        last = max(partition.time_max for partition in group)
        number = -(-sum(partition.rows for partition in group) // self.most_keys)
        bounds = {first + (last - first) * each // number for each in range(number)} | {last + 1}
        for start, stop in pairwise(sorted(bounds)):
            yield Slice(start, stop)

    def within(self, group: Sequence[Partition], known: Numbers, part: Slice) -> Iterator[tuple[int, Identities]]:
        """Yield the identities of the rows in ``part``, with the numbers of their partitions in ``group``."""
        for number, partition in enumerate(group):
            if partition.time_min < part.stop and partition.time_max >= part.start:
                for identities in self._identities(partition, known):
                    yield number, identities.at(part.holds(identities))

    def keys_within(self, group: Sequence[Partition], known: Numbers, part: Slice) -> Keys | None:
        """Return the key of each row in ``part``; None when there are too many rows and ``part`` can be divided."""
        keys = Keys(self.most_keys)
        for _, identities in self.within(group, known, part):
            keys.add(identities)
            if keys.full and part.divisible:
                return None
        return keys

    def present(self, group: Sequence[Partition], numbers: Integers, rows: Integers) -> Mask:
        """Return which fields each row has; row ``i`` is ``rows[i]`` of the partition ``numbers[i]`` of ``group``."""
        present = np.zeros((len(rows), len(self.schema.fields)), np.bool_)
        for number, partition in enumerate(group):
            place = np.flatnonzero(numbers == number)
            place = place[np.argsort(rows[place])]
            if len(place):
                self._fill(partition, rows[place], place, present)
        return present

    def _fill(self, partition: Partition, rows: Integers, places: Integers, present: Mask) -> None:
        """Set which fields the ``rows`` (ascending) of ``partition`` have, in the lines ``places`` of ``present``."""
        chunk = Chunk(partition.path, int(rows[0]), int(rows[-1]) + 1)
        row = chunk.start
        for batch in read_batches(self.root, self.schema, chunk, GROUP_ROWS):
            address = Chunk(partition.path, row, row + batch.num_rows)
            row = address.stop
            within = slice(*np.searchsorted(rows, (address.start, address.stop)))
            points = select_points(batch, self.schema, address)
            _, there, wanted = np.intersect1d(points.rows, rows[within], assume_unique=True, return_indices=True)
            for number, field in enumerate(self.schema.fields):
                valid = points.points.column(field.column).is_valid().to_numpy(zero_copy_only=False)
                present[places[within][wanted], number] = valid[there]

    def _identities(self, partition: Partition, known: Numbers) -> Iterator[Identities]:
        """Yield the identities of the rows of a partition, in their order; ``known`` numbers the series."""
        for runs in self._runs(partition, known):
            yield Identities(np.repeat(runs.series, np.diff(runs.starts)), runs.times, runs.selected.rows)

    def _runs(self, partition: Partition, known: Numbers) -> Iterator[_Runs]:
        """Yield the rows of a partition in runs of one series; ``known`` numbers the series."""
        schema = replace(self.schema, fields=())
        for address, batch in read_joined(self.root, schema, partition.whole):
            if self.stop.is_set():
                return
            selected = select_points(batch, schema, address)
            runs = find_series(selected.points, schema)
            times = read_times(selected.points, schema).to_numpy()
            check_times(times, selected, self.root, partition)
            yield _Runs(number_series(runs, known), runs.starts, times, selected)


@dataclass(frozen=True)
class _Runs:
    """Rows of a partition: run ``i`` is rows ``starts[i]`` to ``starts[i + 1]`` of ``series[i]``, a number."""

    series: Integers
    starts: Integers
    times: Integers
    selected: SelectedRows


def _ascends(parts: Iterator[_Runs]) -> bool:
    """Tell whether each series' rows are together and ascend strictly in time."""
    last_series, last_time = -1, 0
    ended: set[int] = set()
    for part in parts:
        if not len(part.times):
            continue
        series = np.append(last_series, part.series)
        begins = series[1:] != series[:-1]
        if not begins[0] and part.times[0] <= last_time:
            return False
        ascends = part.times[1:] > part.times[:-1]
        ascends[part.starts[:-1][begins & (part.starts[:-1] > 0)] - 1] = True
        if not ascends.all():
            return False
        begun = part.series[begins].tolist()
        if len(ended) + len(begun) != len(ended := ended | set(begun)):
            return False
        last_series, last_time = int(series[-1]), int(part.times[-1])
    return True
