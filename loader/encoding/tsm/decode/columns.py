"""Columns: all values of one field over a range of time, series by series, to compare dataset and server."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.encoding.arrays import Integers, Mask
from loader.encoding.compiled import compiled

Values: TypeAlias = npt.NDArray[Any] | pa.LargeBinaryArray
"""Values to be compared bit for bit: UInt64 for numbers (of doubles, the bits), UInt8 for booleans, LargeBinary for
strings."""


class TooManyPoints(Exception):
    """There are more points in a range of time than may be held; the caller should try smaller ranges."""


@dataclass(frozen=True)
class Column:
    """Series ``i`` of ``series`` (by their bytes) has ``times`` and ``values`` from ``bounds[i]`` to ``bounds[i + 1]``.

    ``series`` are Binary, 16 bytes each and their texts. Times are nanoseconds, strictly ascending in each series. A
    series may have no points.
    """

    series: pl.Series
    bounds: Integers
    times: Integers
    values: Values

    @property
    def size(self) -> int:
        """Bytes of times and values."""
        return int(self.times.nbytes) + int(self.values.nbytes)


def same_series(left: pl.Series, right: pl.Series) -> bool:
    """Tell whether these are the same series in the same order, at once where they are the same object."""
    return left is right or left.equals(right)


def runs_of(weights: Integers, most: int) -> list[slice]:
    """Divide items with ``weights`` into runs of a weight of about ``most`` each, or of one item."""
    ends = np.cumsum(weights)
    if not len(ends) or ends[-1] <= most:
        return [slice(None)]
    stops = np.flatnonzero(np.diff(ends // most)) + 1
    return [slice(first, last) for first, last in pairwise([0, *stops.tolist(), len(ends)])]


def pick(values: Values, chosen: Mask | Integers) -> Values:
    """Return the ``chosen`` of ``values``."""
    if isinstance(values, np.ndarray):
        picked: Values = values[chosen]
        return picked
    return values.filter(pa.array(chosen)) if chosen.dtype == np.bool_ else values.take(pa.array(chosen))


def bounds_within(bounds: Integers, keep: Mask) -> Integers:
    """Return where each series begins and ends once only the points to ``keep`` are left."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])[bounds]


def by_time(times: Integers, bounds: Integers) -> Integers | None:
    """Return the positions of points so that times ascend within series; points of equal time keep their order.

    None when times ascend strictly already, which takes one pass to find out; only series that do not are sorted.
    """
    ascends = np.empty(len(bounds) - 1, np.bool_)
    _ascending(times, bounds, ascends)
    if ascends.all():
        return None
    positions = np.arange(len(times))
    for series in np.flatnonzero(~ascends).tolist():
        span = slice(bounds[series], bounds[series + 1])
        positions[span] = span.start + np.argsort(times[span], kind="stable")
    return positions


def ascending(times: Integers, bounds: Integers) -> tuple[Integers, Integers] | None:
    """Return the positions of points so that times ascend strictly within series, and the new bounds.

    Of points of equal time only the last one stays. None when times ascend strictly already, as for ``by_time``.
    """
    positions = by_time(times, bounds)
    if positions is None:
        return None
    found = times[positions]
    keep = np.ones(len(found), np.bool_)
    keep[:-1] = found[1:] != found[:-1]
    keep[bounds[1:][np.diff(bounds) > 0] - 1] = True
    return positions[keep], bounds_within(bounds, keep)


@compiled
def _ascending(times: Integers, bounds: Integers, ascends: Mask) -> None:
    for series in range(len(ascends)):
        ascends[series] = True
        for position in range(bounds[series] + 1, bounds[series + 1]):
            if times[position] <= times[position - 1]:
                ascends[series] = False
                break
