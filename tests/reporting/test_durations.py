"""Percentiles of durations that are kept in few buckets."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from loader.reporting.durations import Durations


@given(st.lists(st.floats(1e-6, 36_000), min_size=1, max_size=50), st.sampled_from([1, 50, 90, 99, 100]))
def test_percentiles(seconds: list[float], percent: int) -> None:
    """One is never below the true percentile, and at most a twentieth above it."""
    durations = Durations()
    for each in seconds:
        durations.add(each)
    true = sorted(seconds)[math.ceil(len(seconds) * percent / 100) - 1]
    found = durations.percentile(percent)
    assert true * (1 - 1e-9) <= found <= min(true * 1.0500001, max(seconds))


def test_what_is_read() -> None:
    """Number, sum, percentiles and maximum; all zero before anything was measured."""
    durations = Durations()
    assert set(durations.read().values()) == {0}
    for seconds in (0.0, 0.5, 1.5):
        durations.add(seconds)
    read = durations.read()
    assert (read["number"], read["sum"], read["p99"], read["max"]) == (3, 2.0, 1.5, 1.5)
    assert 0.5 <= read["p50"] <= 0.525
