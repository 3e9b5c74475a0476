"""The order of rows in a storage file."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.encoding.tsm.encode.order import order_rows

RUNS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9), max_size=9))
)


@settings(deadline=None)
@given(RUNS)
def test_rows_are_sorted_by_series_and_time(runs: list[tuple[int, list[int]]]) -> None:
    """Rows come by series, by time in each, those of equal time in their order; points are counted once."""
    times = [time for _, run in runs for time in run]
    series = [number for number, run in runs for _ in run]
    starts = np.cumsum([0, *(len(run) for _, run in runs)])
    found = order_rows(starts, np.array([number for number, _ in runs], np.int64), 4, np.array(times, np.int64))
    expected = sorted(range(len(times)), key=lambda row: (series[row], times[row]))
    assert found.rows.tolist() == expected
    assert found.bounds.tolist() == [sum(each < number for each in series) for number in range(5)]
    points = {(series[row], times[row]) for row in expected}
    assert found.points == len(points)
    repeated = [series.count(number) > sum(each == number for each, _ in points) for number in range(4)]
    assert found.repeated.tolist() == repeated
