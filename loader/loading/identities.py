"""Looks for rows of one identity: InfluxDB keeps one point of them, with the last value of each field."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl

from loader.dataset.chunk import Chunk
from loader.dataset.instant import instant
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import GROUP_ROWS, read_batches, read_joined
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers, Mask, last_in_groups
from loader.encoding.columns import read_times
from loader.encoding.selection import SelectedRows, select_points
from loader.encoding.series import find_series
from loader.events import Notice, Observer
from loader.loading.repetitions import Identities, Keys, Slice, keys_of
from loader.loading.superseded import Superseded
from loader.loading.times import check_times
from loader.waiting import Workers

THREADS = 2
"""Partitions that are looked at at a time; more would wait for each other in Python."""
MOST_BYTES = 256 << 20
"""Memory of the rows that are looked at at a time, where they are not in order already."""
_KEY_BYTES = 9
"""What a row takes while its key is sorted."""
_ROW_BYTES = 200
"""What a row whose key others have takes while it is compared, beside a byte for each field."""
_LONGEST_NAME = 100
_EXAMPLES = 3


_Numbers: TypeAlias = dict[str | bytes, int]
"""The number of each series, by what stands for it."""


def find_superseded(
    root: Path, manifest: Manifest, observe: Observer, stop: threading.Event | None = None
) -> Superseded:
    """Return which values of the dataset at ``root`` a later row of the same identity replaces, and say how many.

    Rows count in the order of the partitions in the manifest, then of the rows within. Rows that cannot be points
    replace nothing. A dataset whose manifest says that it is distinct is not read. Rows in series order, each series'
    times ascending, and partitions one after the other in time are checked as they stream by, THREADS at a time; of
    others, as many as MOST_BYTES hold are looked at at a time. About 200 bytes are held for each series. Setting
    ``stop`` ends it early.
    Raises StageError and EncodeError as reading does, StageError for times that the manifest does not say of a
    partition, and ConfigError when there is no room for temporary files.
    """
    found = Superseded()
    for part in () if manifest.distinct else manifest.measurements:
        search = _Search(root, part.schema, stop or threading.Event(), found)
        with Workers(THREADS) as workers:
            for group in search.unordered(_overlapping(part.partitions), workers):
                search.look_at(group)
    if found.values:
        observe(
            Notice(
                f"{found.values:,} values are replaced by later rows of the same series and time, and left out:"
                f" nothing is left of {found.rows:,} rows"
            )
        )
    return found


def _overlapping(partitions: Sequence[Partition]) -> Iterator[list[Partition]]:
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
class _Search:
    """Looks at one group of partitions after another; ``stop`` ends it early."""

    root: Path
    schema: PointSchema
    stop: threading.Event
    found: Superseded

    def unordered(self, groups: Iterable[Sequence[Partition]], workers: Workers) -> Iterator[Sequence[Partition]]:
        """Yield those of ``groups`` that are no single partition in order; ``workers`` look ahead."""
        waiting: deque[tuple[Sequence[Partition], Future[bool]]] = deque()
        for group in groups:
            waiting.append((group, workers.submit(self._is_ordered, group)))
            if len(waiting) > THREADS:
                yield from _refuted(waiting.popleft())
        for each in waiting:
            yield from _refuted(each)

    def _is_ordered(self, group: Sequence[Partition]) -> bool:
        return len(group) == 1 and _ascends(self._runs(group[0], {}))

    def look_at(self, group: Sequence[Partition]) -> None:
        """Add what is superseded in ``group`` to what is found."""
        known: _Numbers = {}
        first = min(partition.time_min for partition in group)
        last = max(partition.time_max for partition in group)
        slices = -(-sum(partition.rows for partition in group) // max(2, MOST_BYTES // _KEY_BYTES))
        bounds = {first + (last - first) * number // slices for number in range(slices)} | {last + 1}
        for start, stop in pairwise(sorted(bounds)):
            self._look_within(group, known, Slice(start, stop))

    def _most_rows(self) -> int:
        return max(2, MOST_BYTES // (_ROW_BYTES + len(self.schema.fields)))

    def _look_within(self, group: Sequence[Partition], known: _Numbers, part: Slice) -> None:
        """Look at the rows in ``part``, or at halves of it if they are many.

        First only at a key of each, in eight bytes; the rows whose keys are there twice are compared as they are.
        """
        keys = Keys(max(2, MOST_BYTES // _KEY_BYTES))
        for _, identities in self._identities_within(group, known, part):
            keys.add(identities)
            if keys.full and part.divisible:
                break
        divided = keys.full and part.divisible
        same = np.zeros(0, np.bool_) if divided else keys.find_repetitions()
        repetitions = np.count_nonzero(same)
        if divided or (repetitions > self._most_rows() and part.divisible):
            del keys, same
            for half in part.halves():
                self._look_within(group, known, half)
        elif repetitions:
            repeated = keys.repeated(same)
            found = [
                (number, identities.chosen(np.isin(keys_of(identities), repeated)))
                for number, identities in self._identities_within(group, known, part)
            ]
            self._compare(group, _repeated(found))

    def _identities_within(
        self, group: Sequence[Partition], known: _Numbers, part: Slice
    ) -> Iterator[tuple[int, Identities]]:
        """Yield the identities of the rows in ``part``, with the numbers of their partitions in ``group``."""
        for number, partition in enumerate(group):
            if partition.time_min < part.stop and partition.time_max >= part.start:
                for identities in self._identities(partition, known):
                    yield number, identities.chosen(part.holds(identities))

    def _compare(self, group: Sequence[Partition], frame: pl.DataFrame) -> None:
        """Add what is superseded among the rows of ``frame``, which holds all rows of their identities."""
        if not frame.height:
            return
        present = np.zeros((frame.height, len(self.schema.fields)), np.bool_)
        numbers, rows = frame["partition"].to_numpy(), frame["row"].to_numpy()
        places = [np.flatnonzero(numbers == number) for number in range(len(group))]
        for partition, place in zip(group, places, strict=True):
            ordered = place[np.argsort(rows[place])]
            self._fill(partition, rows[ordered], ordered, present)
        begins = frame.select(
            ((pl.col("series") != pl.col("series").shift(1)) | (pl.col("time") != pl.col("time").shift(1))).fill_null(
                True
            )
        ).to_series()
        starts = np.flatnonzero(begins.to_numpy())
        owners = np.cumsum(begins.to_numpy()) - 1
        order = np.arange(frame.height)
        superseded = np.zeros_like(present)
        for field in range(present.shape[1]):
            last = last_in_groups(present[:, field], starts)
            superseded[:, field] = present[:, field] & (order < last[owners])
        whole = superseded.any(axis=1) & (superseded == present).all(axis=1)
        for partition, place in zip(group, places, strict=True):
            self.found.add(partition, rows[place], superseded[place], whole[place])
        for line in np.flatnonzero(superseded.any(axis=1))[: _EXAMPLES - len(self.found.examples)].tolist():
            former, later = (f"{group[numbers[each]].path} row {rows[each]:,}" for each in (line, line + 1))
            self.found.examples.append(f"{former} and {later} ({instant(frame['time'][line])})")

    def _fill(self, partition: Partition, rows: Integers, places: Integers, present: Mask) -> None:
        """Set which fields the ``rows`` (ascending) of ``partition`` have, in the lines ``places`` of ``present``."""
        if not len(rows):
            return
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

    def _identities(self, partition: Partition, known: _Numbers) -> Iterator[Identities]:
        """Yield the identities of the rows of a partition, in their order; ``known`` numbers the series."""
        for runs in self._runs(partition, known):
            yield Identities(np.repeat(runs.series, np.diff(runs.starts)), runs.times, runs.selected.rows)

    def _runs(self, partition: Partition, known: _Numbers) -> Iterator[_Runs]:
        """Yield the rows of a partition in runs of one series; ``known`` numbers the series."""
        schema = replace(self.schema, fields=())
        for address, batch in read_joined(self.root, schema, partition):
            if self.stop.is_set():
                return
            selected = select_points(batch, schema, address)
            runs = find_series(selected.points, schema)
            texts = map(_name, runs.texts.to_pylist())
            numbers = np.array([known.setdefault(name, len(known)) for name in texts], np.int64)
            times = read_times(selected.points, schema).to_numpy()
            check_times(times, selected, self.root, partition)
            yield _Runs(numbers[runs.codes], runs.starts, times, selected)


@dataclass(frozen=True)
class _Runs:
    """Rows of a partition: run ``i`` is rows ``starts[i]`` to ``starts[i + 1]`` of ``series[i]``, a number."""

    series: Integers
    starts: Integers
    times: Integers
    selected: SelectedRows


def _name(series: str) -> str | bytes:
    """Return what stands for a series: 128 bits of a long one, so that names take no more memory than their number."""
    return series if len(series) <= _LONGEST_NAME else hashlib.blake2b(series.encode(), digest_size=16).digest()


def _refuted(looked_at: tuple[Sequence[Partition], Future[bool]]) -> Iterator[Sequence[Partition]]:
    """Yield the group of partitions when it is found not to be in order."""
    group, in_order = looked_at
    if not in_order.result():
        yield group


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


def _repeated(parts: Sequence[tuple[int, Identities]]) -> pl.DataFrame:
    """Return the rows whose identity others have too, by identity and in the order of the dataset."""
    frame = pl.concat(
        [
            pl.DataFrame({"series": part.series, "time": part.times, "row": part.rows}).with_columns(
                partition=pl.lit(number, pl.Int32)
            )
            for number, part in parts
        ]
    )
    repeated = frame.filter(frame.select(pl.struct("series", "time").is_duplicated()).to_series())
    return repeated.sort("series", "time", "partition", "row")
