"""Remembers the time range of each batch, so that batches outside of a window are not read again."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from loader.dataset.manifest import Partition
from loader.verification.windows import Window


@dataclass(frozen=True)
class Extents:
    """First and last time of the batches that were read, by partition and first row; several threads may use it.

    A partition that overlaps many windows, such as one file of a year in shards of weeks, is read as a whole once or
    twice; after that, each window reads only the batches that it needs. Memory is some 200 bytes a batch.
    """

    _found: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, partition: Partition, row: int, times: pl.Series) -> None:
        """Remember the ``times`` (Int64, without nulls, at least one) of the batch of ``partition`` from ``row`` on."""
        first, last = pl.select(pl.lit(times).min(), pl.lit(times).max().alias("last")).row(0)
        self._found[partition.path, row] = first, last

    def outside(self, partition: Partition, window: Window, row: int) -> bool:
        """Tell whether no row of the batch from ``row`` on is in ``window``; False where nothing is known."""
        extent = self._found.get((partition.path, row))
        return extent is not None and (extent[1] < window.start or extent[0] >= window.stop)
