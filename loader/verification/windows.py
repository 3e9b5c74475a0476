"""Plans which days are compared at a time, and which rows are sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import polars as pl

from loader.dataset.instant import DAY
from loader.dataset.manifest import Partition
from loader.servers.frames import FIRST, LAST, day_of

WINDOW_DAYS = 31
WINDOW_ROWS = 30_000_000


def days_of(times: pl.Expr) -> pl.Expr:
    """Return where the UTC days of ``times`` begin."""
    numbers = times // DAY
    # The first day begins before the least 64-bit time.
    return pl.when(numbers * DAY > times).then(pl.lit(FIRST)).otherwise(numbers * DAY)


def day_stop(time: int) -> int:
    """Return where the UTC day of ``time`` ends."""
    return min((time // DAY + 1) * DAY, LAST + 1)


@dataclass(frozen=True)
class Window:
    """Whole UTC days ``start`` <= time < ``stop`` (nanoseconds), and the partitions within them.

    Partitions are in the order of the dataset, which says which of several rows of one identity is the last.
    """

    start: int
    stop: int
    partitions: tuple[Partition, ...]

    @property
    def rows(self) -> int:
        """Rows of the partitions."""
        return sum(partition.rows for partition in self.partitions)


def plan_windows(partitions: Sequence[Partition], days: int = WINDOW_DAYS, rows: int = WINDOW_ROWS) -> list[Window]:
    """Return windows without gaps from the first day to the last, each of whole partitions.

    A window has up to ``days`` and ``rows``; more only when a single partition has more, partitions share a day, or
    there is a gap before a partition.
    """
    windows: list[Window] = []
    for partition in sorted(partitions, key=lambda partition: partition.time_min):
        stop = day_stop(partition.time_max)
        if not windows:
            windows.append(Window(day_of(partition.time_min), stop, (partition,)))
            continue
        last = windows[-1]
        fits = stop - last.start <= days * DAY and last.rows + partition.rows <= rows
        if fits or partition.time_min < last.stop:
            windows[-1] = Window(last.start, max(last.stop, stop), (*last.partitions, partition))
        else:
            windows.append(Window(last.stop, stop, (partition,)))
    places = {partition.path: number for number, partition in enumerate(partitions)}
    return [
        replace(window, partitions=tuple(sorted(window.partitions, key=lambda each: places[each.path])))
        for window in windows
    ]


def draw_samples(
    partitions: Sequence[Partition], number: int, seed: int, always: Mapping[str, Sequence[int]] = MappingProxyType({})
) -> Mapping[str, list[int]]:
    """Return ``number`` row numbers (all rows when there are fewer), ascending, by the path of their partition.

    Every row of the dataset is equally likely; equal seeds draw equal rows. Those of ``always`` are drawn besides.
    """
    stops = np.cumsum([0, *(partition.rows for partition in partitions)])
    total = int(stops[-1])
    rows = np.sort(np.random.default_rng(seed).choice(total, min(number, total), replace=False, shuffle=False))
    bounds = np.searchsorted(rows, stops)
    drawn = {
        partition.path: (rows[bounds[index] : bounds[index + 1]] - stops[index]).tolist()
        for index, partition in enumerate(partitions)
    }
    for path in drawn.keys() & always.keys():
        drawn[path] = sorted({*drawn[path], *always[path]})
    return drawn
