"""Which partitions are read together, and what of their candles is held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from loader.dataset.instant import DAY
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.staging.candles import merging
from loader.staging.candles.aggregate import aggregate
from loader.staging.candles.trades import SeriesNumbers
from loader.staging.identities import ORDER, TIME
from loader.staging.sources.spool import Spool
from tests.tables import MOMENT, write_measurements


def test_several_partitions_of_a_measurement_and_day(tmp_path: Path) -> None:
    """Partitions that share a day are read together, others apart, whatever their order in the manifest."""
    schema = PointSchema("m", ("s",), (Field("price", FieldType.FLOAT),), "t", "ns")
    tables = {
        f"{number}.parquet": (
            schema,
            pa.table({"s": ["a"], "price": [float(number)], "t": [MOMENT + day * DAY + number]}),
        )
        for number, day in enumerate((2, 0, 2, 1))
    }
    manifest = write_measurements(tmp_path, tables)
    stretches = merging.plan_stretches(manifest.partitions)
    assert [[part.path[0] for part in stretch] for stretch in stretches] == [["1"], ["3"], ["0", "2"]]
    long = replace(manifest.partitions[1], time_max=MOMENT + 2 * DAY)
    stretches = merging.plan_stretches([*manifest.partitions, long])
    assert [len(stretch) for stretch in stretches] == [5], "days between those of a long partition are its own, too"


def test_parts_that_merge_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of the same candles are merged when they are many, and no file is made."""
    monkeypatch.setattr(merging, "HELD_BYTES", 1_000)
    trades = pl.DataFrame({"series": [0], "time": [MOMENT], "price": [1.0], "amount": [2]})
    series, merger = SeriesNumbers(), merging.PartMerger(tmp_path / "temporary")
    series.find([], 1)
    for _ in range(50):
        merger.add(aggregate(trades, ["series"], DAY))
    (found,) = merger.finish(series)
    assert found["volume"].to_list() == [100]
    assert not (tmp_path / "temporary").exists()


def test_parts_on_disk_are_numbered_as_they_came(tmp_path: Path) -> None:
    """Each has the rank of its series and its place, over all batches."""
    spool = Spool(tmp_path / "parts.arrow")
    for start, series in ((5, [1, 0]), (3, [1])):
        spool.add(pa.record_batch({"start": [start] * len(series), "series": series}))
    columns = pa.schema([(name, pa.int64()) for name in ("rank", TIME, ORDER, "series")])
    found = pa.Table.from_batches(merging.ranked(spool, np.array([7, 8]), columns))
    assert found.to_pydict() == {"rank": [8, 7, 8], TIME: [5, 5, 3], ORDER: [0, 1, 2], "series": [1, 0, 1]}
