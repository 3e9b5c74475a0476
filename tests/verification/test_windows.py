"""Windows and samples."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loader.dataset.manifest import Partition
from loader.servers.frames import DAY
from loader.verification.windows import WINDOW_DAYS, WINDOW_ROWS, draw_samples, plan_windows


def partition(day: int, rows: int = 10, days: int = 1) -> Partition:
    """Return a partition of ``days`` days."""
    return Partition(f"{day}", rows, day * DAY + 5, (day + days) * DAY - 1, 1, "")


def test_windows_grow_to_the_limits() -> None:
    """A year of days becomes windows of at most WINDOW_DAYS; one of many rows fewer days."""
    windows = plan_windows([partition(day) for day in range(366)])
    assert len(windows) == 12
    assert max(window.stop - window.start for window in windows) == WINDOW_DAYS * DAY
    many = plan_windows([partition(day, WINDOW_ROWS // 2) for day in range(4)])
    assert [len(window.partitions) for window in many] == [2, 2]


def test_partitions_that_share_a_day_share_a_window() -> None:
    """Partitions that overlap in time are compared at once, whatever their rows."""
    (window,) = plan_windows([partition(0, WINDOW_ROWS, days=3), partition(2, WINDOW_ROWS)])
    assert (window.start, window.stop) == (0, 3 * DAY)


def test_partitions_keep_the_order_of_the_dataset() -> None:
    """Within a window partitions are as they were given, also where a later one begins earlier."""
    given_order = [partition(2), partition(0, days=4), partition(1)]
    (window,) = plan_windows(given_order)
    assert list(window.partitions) == given_order


@given(st.sets(st.integers(0, 2_000), max_size=30))
def test_windows_have_no_gaps(days: set[int]) -> None:
    """Every day from the first to the last is asked for once, also those without a partition."""
    windows = plan_windows([partition(day) for day in days])
    assert all(left.stop == right.start for left, right in pairwise(windows))
    assert sorted(part.path for window in windows for part in window.partitions) == sorted(map(str, days))
    if days:
        assert (windows[0].start, windows[-1].stop) == (min(days) * DAY, (max(days) + 1) * DAY)


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(0, 100), st.integers(0, 9))
def test_samples(rows: list[int], number: int, seed: int) -> None:
    """As many distinct rows as asked for, or as there are, within their partitions, equal for equal seeds."""
    partitions = [partition(day, count) for day, count in enumerate(rows)]
    picks = draw_samples(partitions, number, seed)
    assert sum(len(chosen) for chosen in picks.values()) == min(number, sum(rows))
    for part in partitions:
        chosen = picks[part.path]
        assert chosen == sorted(set(chosen))
        assert all(0 <= row < part.rows for row in chosen)
    assert picks == draw_samples(partitions, number, seed)
