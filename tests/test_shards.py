"""Which shard groups a dataset fills; that they are the server's own is tested on one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from loader.dataset.manifest import Partition
from loader.encoding.columns import TIME_MAX, TIME_MIN
from loader.errors import ConfigError
from loader.loading.shards import DEFAULT_DURATION, Shard, check_duration, plan_shards

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
WEEK = 7 * DAY
MONDAY = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z."""


def partition(first: int, last: int, rows: int = 1) -> Partition:
    """Return a partition with rows from ``first`` to ``last``."""
    return Partition(f"{first}-{last}", rows, first, last, 1, "")


def test_weeks_begin_on_mondays() -> None:
    """A partition goes into each week that it may have rows in, by the nanosecond."""
    early = partition(MONDAY - WEEK, MONDAY - 1)
    across = partition(MONDAY - 1, MONDAY)
    late = partition(MONDAY, MONDAY + WEEK - 1)
    shards = plan_shards([late, across, early], DEFAULT_DURATION)
    assert shards == (
        Shard(MONDAY - WEEK, MONDAY, (across, early)),
        Shard(MONDAY, MONDAY + WEEK, (late, across)),
    )
    assert [[shard.holds(part) for part in (early, across, late)] for shard in shards] == [
        [True, False, False],
        [False, False, True],
    ]


def test_a_long_partition_fills_every_shard_between() -> None:
    """All shards from the first time to the last are planned, for there may be rows in all of them."""
    shards = plan_shards([partition(MONDAY - 1, MONDAY + 2 * DAY)], DAY)
    assert [shard.start for shard in shards] == [MONDAY + day * DAY for day in (-1, 0, 1, 2)]
    assert all(earlier.stop == later.start for earlier, later in itertools.pairwise(shards))


def test_days_before_1970() -> None:
    """Shards before 1970 are cut at the same multiples."""
    (shard,) = plan_shards([partition(-1, -1)], DAY)
    assert (shard.start, shard.stop) == (-DAY, 0)


def test_the_first_and_the_last_shard() -> None:
    """Nothing is planned beyond the times that the server stores."""
    first, last = plan_shards([partition(TIME_MIN, TIME_MIN), partition(TIME_MAX, TIME_MAX)], WEEK)
    assert (first.start, last.stop) == (TIME_MIN, TIME_MAX + 1)
    assert first.stop < last.start
    assert last.contains(np.array([TIME_MAX, 0])).tolist() == [True, False]


def test_partitions_without_rows_are_left_out() -> None:
    """A partition without rows needs no shard."""
    assert plan_shards([partition(0, 0, rows=0)], WEEK) == ()
    assert plan_shards([], WEEK) == ()


def test_times_of_a_shard() -> None:
    """A shard has its start, and not its stop."""
    times = np.array([-1, 0, DAY - 1, DAY])
    assert Shard(0, DAY, ()).contains(times).tolist() == [False, True, True, False]


@pytest.mark.parametrize("duration", [0, HOUR, WEEK])
def test_durations(duration: int) -> None:
    """The default and anything from an hour on will do."""
    check_duration(duration)


def test_a_duration_that_is_too_short() -> None:
    """The server takes no shards below an hour."""
    with pytest.raises(ConfigError, match="below an hour"):
        check_duration(HOUR - 1)
