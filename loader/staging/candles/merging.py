"""Merges the parts of candles of many batches: in memory, or sorted on disk where there are too many.

Partitions are taken in stretches of whole UTC days that share no day, so that a candle belongs to one stretch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.instant import DAY
from loader.dataset.manifest import Partition
from loader.encoding.arrays import Integers
from loader.staging.candles.aggregate import merge_parts, merge_sorted
from loader.staging.candles.trades import SeriesNumbers
from loader.staging.identities import ORDER, TIME
from loader.staging.sorting import sort_batches
from loader.staging.sources.spool import Spool

HELD_BYTES = 128 << 20
"""Bytes of parts that are held until they are merged; they go to disk when they are more than half as many then."""
SERIES = "series"
_KEYS = (SERIES,)
_RANK = "rank"
_SORTED = ("day", _RANK, SERIES)
_DAY = (pl.col("start") // DAY).alias("day")
_THREADS, _MEMORY = 2, "400MB"
_SPILLED_ROWS = 1 << 16


def plan_stretches(partitions: Iterable[Partition]) -> list[list[Partition]]:
    """Return ``partitions`` by time, those together that share UTC days; in a stretch they keep their order."""
    stretches: list[list[Partition]] = []
    last = 0
    given = list(partitions)
    for partition in sorted(given, key=lambda each: each.time_min):
        if stretches and partition.time_min // DAY <= last:
            stretches[-1].append(partition)
            last = max(last, partition.time_max // DAY)
        else:
            stretches.append([partition])
            last = partition.time_max // DAY
    places = {partition.path: number for number, partition in enumerate(given)}
    return [sorted(stretch, key=lambda each: places[each.path]) for stretch in stretches]


class PartMerger:
    """Takes the parts of candles of a stretch in the order of its rows, and gives merged ones by day, series and time.

    Memory is four times HELD_BYTES while parts are merged; more of them are in files in the folder ``temporary``, and
    are sorted as ``sort_batches`` does, within _MEMORY.
    What is merged when depends on the parts alone, and so does the last bit of a sum of floats.
    """

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._held: list[pl.DataFrame] = []
        self._size = 0
        self._path = temporary / "parts.arrow"
        self._spool = Spool(self._path)

    def add(self, parts: pl.DataFrame) -> None:
        """Take parts; raises StageError as ``merge_parts`` does, and OSError."""
        self._held.append(parts)
        self._size += int(parts.estimated_size())
        if self._size <= HELD_BYTES:
            return
        merged = merge_parts(pl.concat(self._held), _KEYS)
        self._held, self._size = [merged], int(merged.estimated_size())
        if self._size > HELD_BYTES // 2:
            self._spill()

    def finish(self, series: SeriesNumbers) -> Iterator[pl.DataFrame]:
        """Yield all parts, merged, by UTC day, series in their order, and time."""
        ranks = series.ranks()
        if self._spool.rows:
            self._spill()
            for merged in merge_sorted(_sorted(self._spool, ranks, self._temporary), _SORTED):
                yield merged.drop("day", _RANK)
            self._path.unlink()
        else:
            parts = pl.concat(self._held)
            ranked = parts.with_columns(pl.Series(_RANK, ranks[parts[SERIES].to_numpy()]), _DAY)
            yield merge_parts(ranked, _SORTED).drop("day", _RANK)

    def _spill(self) -> None:
        self._temporary.mkdir(exist_ok=True)
        for parts in self._held:
            for batch in parts.to_arrow().to_batches(_SPILLED_ROWS):
                self._spool.add(batch)
        self._held, self._size = [], 0


def _sorted(spool: Spool, ranks: Integers, temporary: Path) -> Iterator[pl.DataFrame]:
    """Yield the parts in ``spool`` by day, rank of their series, time, and the order in which they came."""
    keys = (_RANK, TIME, ORDER)
    names = [name for name in spool.columns if name != "start"]
    columns = pa.schema([*((key, pa.int64()) for key in keys), *((name, spool.columns[name]) for name in names)])
    for batch in sort_batches(columns, ranked(spool, ranks, columns), keys, temporary, _THREADS, _MEMORY):
        arrays = [batch.column(name) for name in (TIME, _RANK, *names)]
        yield pl.DataFrame(pa.RecordBatch.from_arrays(arrays, names=["start", _RANK, *names])).with_columns(_DAY)


def ranked(spool: Spool, ranks: Integers, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the parts in ``spool`` as they came, as ``columns``: rank of the series, time, order, and the others."""
    names = columns.names[3:]
    rows = 0
    for batch in spool.read(pa.schema([("start", pa.int64()), *(columns.field(name) for name in names)])):
        order = np.arange(rows, rows + len(batch))
        rows += len(batch)
        rank = ranks[batch.column(SERIES).to_numpy()]
        others = [batch.column(name) for name in names]
        yield pa.RecordBatch.from_arrays([rank, batch.column("start"), order, *others], schema=columns)
