"""Which series differ between two columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.encoding.tsm.decode.columns import Column
from loader.verification.values import differing
from loader.verification.values.differing import differing_series

POINTS = st.dictionaries(
    st.sampled_from([b"", b"a", b"b", b"c", b"d"]), st.dictionaries(st.integers(0, 5), st.integers(0, 2), min_size=1)
)


def column(points: dict[bytes, dict[int, int]], text: bool) -> Column:
    """Return points (value by time) by series as a column."""
    bounds = np.cumsum([0, *map(len, points.values())])
    pairs = [pair for values in points.values() for pair in sorted(values.items())]
    values: Any = np.array([value for _, value in pairs], np.uint64)
    if text:
        values = pa.array([b"x" * value for _, value in pairs], pa.large_binary())
    series = pl.Series(list(points), dtype=pl.Binary)
    return Column(series, bounds, np.array([time for time, _ in pairs], np.int64), values)


@pytest.mark.parametrize("at_a_time", [1, 4, 1 << 20])
@pytest.mark.parametrize("text", [False, True])
@settings(deadline=None)
@given(POINTS, POINTS, st.booleans())
def test_any_columns(text: bool, at_a_time: int, left: Any, right: Any, alike: bool) -> None:
    """Series of one side, and those of other times or values, are found, however few points are compared at a time."""
    if alike:
        right = {series: right.get(series, values) for series, values in left.items()}
    expected = {series for series in {*left, *right} if left.get(series) != right.get(series)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differing, "COMPARED_POINTS", at_a_time)
        found = differing_series(column(left, text), column(right, text)).to_list()
    assert sorted(found) == sorted(expected)
