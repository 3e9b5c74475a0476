"""Which shard groups a dataset fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loader.dataset.manifest import Partition
from loader.encoding.columns import TIME_MAX, TIME_MIN
from loader.errors import ConfigError

DEFAULT_DURATION = 7 * 86_400_000_000_000
"""What the server takes for infinite retention, nanoseconds."""
HOUR = 3_600_000_000_000
_YEAR_1 = -62_135_596_800_000_000_000


@dataclass(frozen=True)
class Shard:
    """What goes into the shard of ``start`` <= time < ``stop`` (nanoseconds): rows of ``partitions`` in that time."""

    start: int
    stop: int
    partitions: tuple[Partition, ...]

    def holds(self, partition: Partition) -> bool:
        """Tell whether all rows of ``partition`` are in the shard's time."""
        return self.start <= partition.time_min and partition.time_max < self.stop

    def contains(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell for each of ``times`` whether it is in the shard's time."""
        inside: npt.NDArray[np.bool_] = (times >= self.start) & (times < self.stop)
        return inside


def check_duration(duration: int) -> None:
    """Raise ConfigError for a shard duration (nanoseconds, 0 for the default) that servers do not take."""
    if duration and duration < HOUR:
        raise ConfigError("a shard duration below an hour", hint="use days or weeks, such as 7d")


def plan_shards(partitions: Sequence[Partition], duration: int) -> tuple[Shard, ...]:
    """Return the shards in which ``partitions`` may have rows, in time order.

    As on the server, shard groups start at multiples of their duration since year 1: those of 7 days on Mondays.
    The first and the last one end where the times end that the server can store.
    """
    found: dict[int, list[Partition]] = {}
    for partition in partitions:
        if partition.rows:
            first, last = ((time - _YEAR_1) // duration for time in (partition.time_min, partition.time_max))
            for number in range(first, last + 1):
                found.setdefault(number, []).append(partition)
    starts = {number: _YEAR_1 + number * duration for number in sorted(found)}
    return tuple(
        Shard(max(start, TIME_MIN), min(start + duration, TIME_MAX + 1), tuple(found[number]))
        for number, start in starts.items()
    )
