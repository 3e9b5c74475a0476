"""Brings the rows of a file into the order of its keys: by series, and by time in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loader.encoding.arrays import Integers, Mask, Places
from loader.encoding.compiled import compiled


@dataclass(frozen=True)
class RowOrder:
    """Rows by series and time: those of series ``i`` are ``rows[bounds[i]:bounds[i + 1]]``, in time order.

    Rows of equal time stay in their order; ``repeated`` tells which series have such rows. ``points`` is the number of
    different (series, time).
    """

    rows: Places
    bounds: Integers
    repeated: Mask
    points: int


def order_rows(starts: Integers, series: Integers, number: int, times: Integers) -> RowOrder:
    """Return the order of the rows of ``times`` (nanoseconds).

    Rows ``starts[i]`` to ``starts[i + 1]`` are of series ``series[i]``, which is below ``number``. Memory is eight
    bytes a row, and 17 a series.
    """
    rows = np.empty(len(times), np.int32)
    bounds = np.zeros(number + 1, np.int64)
    repeated = np.zeros(number, np.bool_)
    _group(starts, series, rows, bounds)
    points = _sort(times, rows, bounds, repeated)
    return RowOrder(rows, bounds, repeated, points)


@compiled
def _group(starts: Integers, series: Integers, rows: Places, bounds: Integers) -> None:
    """Fill ``rows`` by series, each in its order, and ``bounds``."""
    for run in range(len(series)):
        bounds[series[run] + 1] += starts[run + 1] - starts[run]
    for number in range(1, len(bounds)):
        bounds[number] += bounds[number - 1]
    free = bounds[:-1].copy()
    for run in range(len(series)):
        place = free[series[run]]
        for row in range(starts[run], starts[run + 1]):
            rows[place] = row
            place += 1
        free[series[run]] = place


@compiled
def _sort(times: Integers, rows: Places, bounds: Integers, repeated: Mask) -> int:
    """Sort the rows of each series by time; return the number of different (series, time)."""
    points = 0
    spare = np.empty(len(rows), np.int32)
    for number in range(len(repeated)):
        start, stop = bounds[number], bounds[number + 1]
        ascends = True
        for place in range(start + 1, stop):
            if times[rows[place]] <= times[rows[place - 1]]:
                ascends = False
                break
        if not ascends:
            _merge_sort(times, rows[start:stop], spare)
        points += stop - start
        if not ascends:
            for place in range(start + 1, stop):
                if times[rows[place]] == times[rows[place - 1]]:
                    repeated[number] = True
                    points -= 1
    return points


@compiled
def _merge_sort(times: Integers, rows: Places, spare: Places) -> None:
    """Sort ``rows`` by time, those of equal time in their order; ``spare`` has room for as many."""
    width = 1
    while width < len(rows):
        start = 0
        while start < len(rows):
            middle, stop = min(start + width, len(rows)), min(start + 2 * width, len(rows))
            left, right = start, middle
            for place in range(start, stop):
                if left < middle and (right == stop or times[rows[left]] <= times[rows[right]]):
                    spare[place] = rows[left]
                    left += 1
                else:
                    spare[place] = rows[right]
                    right += 1
            start = stop
        for place in range(len(rows)):
            rows[place] = spare[place]
        width *= 2
