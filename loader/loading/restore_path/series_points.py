"""Points of one series as columns, on their way into a storage file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from loader.encoding.arrays import Integers, last_in_groups


@dataclass(frozen=True)
class SeriesPoints:
    """Times, and a value or null of each field; strings are views, so that no bytes of them are copied here."""

    times: Integers
    values: tuple[pl.Series, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.times.nbytes) + sum(int(column.estimated_size()) for column in self.values)

    def slice(self, start: int, stop: int) -> SeriesPoints:
        """Return rows ``start`` to ``stop`` (exclusive), not copied."""
        return SeriesPoints(self.times[start:stop], tuple(column.slice(start, stop - start) for column in self.values))

    def take(self, rows: Integers) -> SeriesPoints:
        """Return the given rows."""
        return SeriesPoints(self.times[rows], tuple(column.gather(rows) for column in self.values))


def join(slices: Sequence[SeriesPoints]) -> SeriesPoints:
    """Return ``slices`` of one series as one, in time order; of equal times, one point with the fields of all."""
    joined = SeriesPoints(
        np.concatenate([part.times for part in slices]),
        tuple(pl.concat(columns) for columns in zip(*(part.values for part in slices), strict=True)),
    )
    if (joined.times[1:] <= joined.times[:-1]).any():
        joined = joined.take(np.argsort(joined.times, kind="stable"))
        if (joined.times[1:] == joined.times[:-1]).any():
            joined = _merge(joined)
    return joined


def _merge(points: SeriesPoints) -> SeriesPoints:
    """Return ``points``, which are in time order, with one for all of equal time, which have no field twice."""
    begins = np.append(True, points.times[1:] != points.times[:-1])
    starts = np.flatnonzero(begins)
    merged = []
    for column in points.values:
        valid = column.is_not_null().to_numpy()
        rows = pl.Series(last_in_groups(valid, starts))
        merged.append(column.gather(rows.set(rows < 0, None)))
    return SeriesPoints(points.times[starts], tuple(merged))
