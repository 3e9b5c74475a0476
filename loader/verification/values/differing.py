"""Finds the series that differ between two columns of values."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow.compute as pc

from loader.encoding.arrays import Integers, Mask
from loader.encoding.tsm.decode.columns import Column, Values, pick, runs_of, same_series

COMPARED_POINTS = 1 << 20
"""Points that are compared at a time, or those of one series."""


def values_equal(left: Values, right: Values) -> bool:
    """Tell whether all values have the same bits."""
    return bool(np.array_equal(left, right) if isinstance(left, np.ndarray) else left.equals(right))


def differing_series(left: Column, right: Column) -> pl.Series:
    """Return the series that only one side has, or whose times or values differ; each series has points.

    Memory is bounded by some 50 bytes a series, and COMPARED_POINTS of both sides.
    """
    if same_series(left.series, right.series):
        ours = theirs = np.arange(len(left.series))
        alone = left.series[:0]
    else:
        frames = [
            pl.DataFrame({"series": column.series, name: pl.int_range(len(column.series), eager=True)})
            for name, column in (("left", left), ("right", right))
        ]
        both = frames[0].join(frames[1], on="series", how="full", coalesce=True)
        known = pl.all_horizontal(pl.col("left", "right").is_not_null())
        alone = both.filter(~known)["series"]
        ours, theirs = (both.filter(known)[name].to_numpy() for name in ("left", "right"))
    differs = np.diff(left.bounds)[ours] != np.diff(right.bounds)[theirs]
    alike = np.flatnonzero(~differs)
    differs[alike] = _differ(left, right, ours[alike], theirs[alike])
    return pl.concat([alone, left.series.gather(ours[differs])])


def _differ(left: Column, right: Column, ours: Integers, theirs: Integers) -> Mask:
    """Tell of the series ``ours`` and ``theirs``, which have as many points, whether times or values differ."""
    lengths = left.bounds[ours + 1] - left.bounds[ours]
    differs = np.zeros(len(ours), np.bool_)
    for run in runs_of(lengths, COMPARED_POINTS):
        sizes = lengths[run]
        owners = np.repeat(np.arange(len(sizes)), sizes)
        within = np.arange(len(owners)) - (np.cumsum(sizes) - sizes)[owners]
        one, other = left.bounds[ours[run]][owners] + within, right.bounds[theirs[run]][owners] + within
        unequal = left.times[one] != right.times[other]
        unequal |= _unequal(pick(left.values, one), pick(right.values, other))
        differs[run][owners[unequal]] = True
    return differs


def _unequal(left: Values, right: Values) -> Mask:
    """Tell of as many values on both sides which ones have other bits."""
    if isinstance(left, np.ndarray):
        unequal: Mask = left != right
        return unequal
    differ: Mask = pc.not_equal(left, right).to_numpy(zero_copy_only=False)
    return differ
