"""A sample of a dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import StageError
from loader.reporting.report import sample
from loader.reporting.report.sample import SLOT, read_sample
from tests.points import DAY, FIRST_DAY, MINUTE, trades, write_dataset

SCHEMA = PointSchema(
    "trades",
    ("symbol", "side"),
    (Field("price", FieldType.FLOAT), Field("amount", FieldType.INTEGER)),
    "timestamp",
)


def test_a_small_dataset_is_seen_as_a_whole(tmp_path: Path) -> None:
    """Rows by series and by time of day, length of runs, bytes of columns, and the median price of each partition."""
    rows = trades(points=20)
    manifest = write_dataset(tmp_path, SCHEMA, rows)
    found = read_sample(tmp_path, manifest)
    assert (found.rows, found.partitions, found.series_number) == (360, 3, 6)
    assert dict(found.series) == {
        f"trades,symbol={symbol},side={side}": 60 for symbol in ("AAPL", "MSFT", "NVDA") for side in ("buy", "sell")
    }
    assert dict(found.slots) == Counter(time % DAY // SLOT for time in rows["timestamp"])
    assert found.entries == 1.0
    assert {*dict(found.columns)} == {*rows.columns}
    assert found.price == "price"
    days = rows.group_by("symbol", pl.col("timestamp") // DAY).agg(
        pl.col("price").median(), pl.col("timestamp").min().alias("first")
    )
    assert {(each.name, each.time // DAY, each.value) for each in found.prices} == {
        (row["symbol"], row["first"] // DAY, row["price"]) for row in days.iter_rows(named=True)
    }


def test_a_large_dataset_is_looked_at_here_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many partitions, first and last among them, and of each so many chunks, from its first row to its last."""
    for name, value in (("MOST_PARTITIONS", 3), ("CHUNKS", 3), ("CHUNK_ROWS", 10), ("WHOLE_ROWS", 100)):
        monkeypatch.setattr(sample, name, value)
    manifest = write_dataset(tmp_path, SCHEMA, trades(days=7, points=20))
    found = read_sample(tmp_path, manifest)
    assert (found.rows, found.partitions) == (90, 3)
    assert {(each.time - FIRST_DAY) // DAY for each in found.prices} == {0, 3, 6}
    assert {name.partition("symbol=")[2] for name, _ in found.series} >= {"AAPL,side=buy", "NVDA,side=sell"}


def test_many_small_partitions_are_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And large ones, while there are few rows in all."""
    for name, value in (("MOST_PARTITIONS", 3), ("CHUNKS", 2), ("CHUNK_ROWS", 10)):
        monkeypatch.setattr(sample, name, value)
    manifest = write_dataset(tmp_path, SCHEMA, trades(days=7, points=20))
    found = read_sample(tmp_path, manifest)
    assert (found.rows, found.partitions) == (manifest.rows, 7)


@pytest.mark.parametrize(
    ("order", "entries"), [(["symbol", "side", "timestamp"], 1.0), (["timestamp", "symbol"], 20.0)]
)
def test_the_order_of_rows(tmp_path: Path, order: list[str], entries: float) -> None:
    """In series order each series begins once, however few rows it has; in time order it begins with each row."""
    rows = trades(days=1, points=20).sort(order, maintain_order=True)
    assert read_sample(tmp_path, write_dataset(tmp_path, SCHEMA, rows)).entries == entries


@pytest.mark.parametrize(("name", "tags"), [("value", ("symbol", "side")), ("price", ())])
def test_without_prices(tmp_path: Path, name: str, tags: tuple[str, ...]) -> None:
    """A field that is no price, or prices that no tag names, make no series of prices."""
    rows = pl.DataFrame({"symbol": "A", "side": "b", name: [1.0, 2.0], "t": [FIRST_DAY, FIRST_DAY + MINUTE]})
    schema = replace(SCHEMA, tags=tags, fields=(Field(name, FieldType.FLOAT),), time="t")
    found = read_sample(tmp_path, write_dataset(tmp_path, schema, rows))
    assert (found.price, found.prices, found.rows) == ("", (), 2)


def test_rows_that_cannot_be_points(tmp_path: Path) -> None:
    """They are left out; of a sample without any other, there is nothing to see."""
    rows = trades(symbols=("A",), days=1, points=1).with_columns(price=pl.lit(float("nan")))
    found = read_sample(tmp_path, write_dataset(tmp_path, SCHEMA, rows))
    assert (found.rows, found.entries, found.series, found.prices) == (0, 0.0, (), ())


def test_series_of_one_row_tell_no_order(tmp_path: Path) -> None:
    """Where no series has two rows in a chunk, it might be any order."""
    rows = trades(days=1, points=1)
    assert read_sample(tmp_path, write_dataset(tmp_path, SCHEMA, rows)).entries == 0.0


def test_many_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many are told apart."""
    monkeypatch.setattr(sample, "MOST_SERIES", 4)
    found = read_sample(tmp_path, write_dataset(tmp_path, SCHEMA, trades(points=20)))
    assert (found.series_number, sum(rows for _, rows in found.series)) == (4, 240)


@pytest.mark.parametrize("change", ["gone", "longer", "no Parquet"])
def test_files_that_are_not_what_the_manifest_says(tmp_path: Path, change: str) -> None:
    """They are named, and no figure is made of them."""
    manifest = write_dataset(tmp_path, SCHEMA, trades(days=1))
    path = tmp_path / manifest.partitions[0].path
    if change == "gone":
        path.unlink()
    elif change == "longer":
        manifest = replace(manifest, partitions=(replace(manifest.partitions[0], size=1),))
    else:
        path.write_bytes(b"PAR1")
    with pytest.raises(StageError, match=r"points\.parquet"):
        read_sample(tmp_path, manifest)
