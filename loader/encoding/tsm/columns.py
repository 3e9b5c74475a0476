"""All values of one field over a range of time, series by series: what datasets and servers are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.encoding.tsm.compiled import compiled
from loader.encoding.tsm.words import Integers

Values: TypeAlias = npt.NDArray[Any] | pa.LargeBinaryArray
"""Values to be compared bit for bit: UInt64 for numbers (of doubles, the bits), UInt8 for booleans, LargeBinary for
strings."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """Series ``i`` of ``series`` (by their bytes) has ``times`` and ``values`` from ``bounds[i]`` to ``bounds[i + 1]``.

    Times are nanoseconds, ascending once ``ordered``. A series may have no points.
    """

    series: list[bytes]
    bounds: Integers
    times: Integers
    values: Values


def pick(values: Values, chosen: Mask | Integers) -> Values:
    """Return the ``chosen`` of ``values``."""
    if isinstance(values, np.ndarray):
        picked: Values = values[chosen]
        return picked
    return values.filter(pa.array(chosen)) if chosen.dtype == np.bool_ else values.take(pa.array(chosen))


def bounds_within(bounds: Integers, keep: Mask) -> Integers:
    """Return where each series begins and ends once only the points to ``keep`` are left."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])[bounds]


def ordered(column: Column) -> Column:
    """Return ``column`` with times that ascend strictly; of equal times in a series only the last point is left.

    Costs one look at each time where they ascend; only series that do not are sorted.
    """
    ascends = np.empty(len(column.series), np.bool_)
    _ascending(column.times, column.bounds, ascends)
    if ascends.all():
        return column
    positions, keep = np.arange(len(column.times)), np.ones(len(column.times), np.bool_)
    for series in np.flatnonzero(~ascends).tolist():
        span = slice(column.bounds[series], column.bounds[series + 1])
        positions[span] = span.start + np.argsort(column.times[span], kind="stable")
        times = column.times[positions[span]]
        keep[span.start : span.stop - 1] = times[1:] != times[:-1]
    chosen = positions[keep]
    return Column(column.series, bounds_within(column.bounds, keep), column.times[chosen], pick(column.values, chosen))


@compiled
def _ascending(times: Integers, bounds: Integers, ascends: Mask) -> None:
    for series in range(len(ascends)):
        ascends[series] = True
        for position in range(bounds[series] + 1, bounds[series + 1]):
            if times[position] <= times[position - 1]:
                ascends[series] = False
                break
