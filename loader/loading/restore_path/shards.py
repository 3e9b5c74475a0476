"""Which shard groups a dataset fills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loader.dataset.chunk import Chunk
from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import read_valid_times
from loader.errors import ConfigError
from loader.loading.shard_numbers import YEAR_1
from loader.servers import backup

HOUR = 3_600_000_000_000
MOST_CHUNKS = 64
"""Most chunks of a partition that are known of a shard."""
_END = 2**63 - 1
"""Where the server's last shard ends."""


@dataclass(frozen=True)
class Shard:
    """What goes into the shard of ``start`` <= time < ``stop`` (nanoseconds): rows of ``partitions`` in that time.

    ``chunks`` has the chunks of a partition in which these rows are, by its path, where only some can have any.
    """

    start: int
    stop: int
    partitions: tuple[Partition, ...]
    chunks: Mapping[str, tuple[Chunk, ...]] = field(default_factory=dict, compare=False)

    def chunks_of(self, partition: Partition) -> tuple[Chunk, ...]:
        """Return the chunks of ``partition`` in which the shard's rows are, in order."""
        return self.chunks.get(partition.path) or (partition.whole,)

    def holds(self, partition: Partition) -> bool:
        """Tell whether all rows of ``partition`` are in the shard's time."""
        return self.start <= partition.time_min and partition.time_max < self.stop

    def contains(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell for each of ``times`` whether it is in the shard's time."""
        inside: npt.NDArray[np.bool_] = (times >= self.start) & (times < self.stop)
        return inside

    def partitions_of(self, manifest: Manifest, schema: PointSchema) -> list[Partition]:
        """Return the shard's partitions whose rows are points of ``schema``."""
        return [each for each in self.partitions if manifest.schema_of(each.path) == schema]

    def times_of(self, partitions: Iterable[Partition]) -> tuple[int, int]:
        """Return start and stop of the times that rows of ``partitions`` in the shard can have; equal for none.

        ``partitions`` are some of the shard's. The last nanosecond of all, which queries cannot have, is left out.
        """
        parts = list(partitions)
        start = max(self.start, min((part.time_min for part in parts), default=self.start))
        stop = min(self.stop, TIME_MAX + 1, max((part.time_max + 1 for part in parts), default=start))
        return start, stop


def check_duration(duration: int) -> None:
    """Raise ConfigError for a shard duration (nanoseconds, 0 for the default) that servers do not take."""
    if duration and duration < HOUR:
        raise ConfigError("a shard duration below an hour", hint="use days or weeks, such as 7d")


def plan_shards(root: Path, manifest: Manifest, duration: int) -> tuple[Shard, ...]:
    """Return the shards in which the partitions of the dataset at ``root`` have rows, in time order.

    As on the server, shard groups start at multiples of their duration since year 1: those of 7 days on Mondays.
    The first begins and the last ends at the limits of the times that the server can store. The times of a partition
    are read where it spans more than two shards. Memory is a number for each shard and partition, and MOST_CHUNKS
    chunks for each shard of such a partition. Raises StageError.
    """
    found: dict[int, list[Partition]] = {}
    chunks: dict[int, dict[str, tuple[Chunk, ...]]] = {}
    for partition in manifest.filled:
        first, last = ((time - YEAR_1) // duration for time in (partition.time_min, partition.time_max))
        numbers = {first, last}
        if last - first > 1:
            occupied = _occupied(root, manifest.schema_of(partition.path), partition, duration)
            numbers |= {*occupied}
            for number, some in occupied.items():
                chunks.setdefault(number, {})[partition.path] = tuple(some)
        for number in numbers:
            found.setdefault(number, []).append(partition)
    starts = {number: YEAR_1 + number * duration for number in sorted(found)}
    return tuple(
        Shard(max(start, TIME_MIN), min(start + duration, _END), tuple(found[number]), chunks.get(number, {}))
        for number, start in starts.items()
    )


def fit_shards(planned: Sequence[Shard], groups: Sequence[backup.Shard]) -> tuple[Shard, ...]:
    """Return the shards that the rows of ``planned`` fill, where the server has ``groups`` already, in time order.

    What is within a group is one shard of its time, what is outside of all of them one of the time that is left: the
    server cuts a new group so. Groups may have any time, as a bucket's shard duration can change. Rows need not be in
    each of the shards. Raises ConfigError for groups that overlap.
    """
    for group, other in pairwise(groups):
        if other.start < group.stop:
            raise ConfigError(
                f"shards {group.id} and {other.id} of the bucket overlap in time",
                hint="load into it by the write path: --via write",
            )
    found: dict[tuple[int, int], list[Shard]] = {}
    first = 0
    for shard in planned:
        while first < len(groups) and groups[first].stop <= shard.start:
            first += 1
        at = shard.start
        for group in groups[first:]:
            if group.start >= shard.stop:
                break
            if at < group.start:
                found.setdefault((at, group.start), []).append(shard)
            bounds = max(group.start, TIME_MIN), min(group.stop, _END)
            found.setdefault(bounds, []).append(shard)
            at = group.stop
        if at < shard.stop:
            found.setdefault((at, shard.stop), []).append(shard)
    return tuple(_joined(start, stop, parts) for (start, stop), parts in sorted(found.items()))


def _joined(start: int, stop: int, parts: Sequence[Shard]) -> Shard:
    """Return the shard of ``start`` to ``stop`` with what may be in it of ``parts``."""
    partitions = {
        partition.path: partition
        for part in parts
        for partition in part.partitions
        if partition.time_min < stop and partition.time_max >= start
    }
    chunks = {}
    for path in partitions:
        holders = [part for part in parts if any(path == each.path for each in part.partitions)]
        if all(path in part.chunks for part in holders):
            chunks[path] = tuple(_merged(chunk for part in holders for chunk in part.chunks[path]))
    return Shard(start, stop, tuple(partitions.values()), chunks)


def _merged(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Return ``chunks`` of one partition in order, those that touch or overlap as one."""
    merged: list[Chunk] = []
    for chunk in sorted(chunks, key=lambda chunk: chunk.start):
        if merged and chunk.start <= merged[-1].stop:
            merged[-1] = replace(merged[-1], stop=max(merged[-1].stop, chunk.stop))
        else:
            merged.append(chunk)
    return merged


def _occupied(root: Path, schema: PointSchema, partition: Partition, duration: int) -> dict[int, list[Chunk]]:
    """Return the chunks of ``partition`` in which each shard has rows, by its number, in order.

    A row without a valid time belongs to the shard of the partition's first time.
    """
    found: dict[int, list[Chunk]] = {}
    # Times are counted from a shard's start, since those since year 1 are beyond 64 bits.
    base = (TIME_MIN - YEAR_1) // duration
    start = YEAR_1 + base * duration
    first = (partition.time_min - YEAR_1) // duration
    row = 0
    for batch in read_batches(root, replace(schema, tags=(), fields=()), partition.whole, GROUP_ROWS):
        address = Chunk(partition.path, row, row + batch.num_rows)
        row = address.stop
        times, valid = read_valid_times(batch, schema, partition.steps(address.start, address.stop))
        numbers = {base + number for number in _numbers(times[valid], start, duration)}
        for number in numbers if valid.all() else numbers | {first}:
            _extend(found.setdefault(number, []), address)
    return found


def _extend(chunks: list[Chunk], chunk: Chunk) -> None:
    """Add ``chunk``, to the last one of ``chunks`` if it follows that, or if there are many; more is read then."""
    if chunks and (chunks[-1].stop == chunk.start or len(chunks) == MOST_CHUNKS):
        chunks[-1] = replace(chunks[-1], stop=chunk.stop)
    else:
        chunks.append(chunk)


def _numbers(times: Integers, start: int, duration: int) -> list[int]:
    """Return the numbers of all shards that hold some of ``times``, counted from the shard that begins at ``start``."""
    # The difference to a start before 1970 may need 64 bits without a sign bit.
    passed = times.view(np.uint64) - np.uint64(start % 2**64)
    numbers: list[int] = np.unique(passed // np.uint64(duration)).tolist()
    return numbers
