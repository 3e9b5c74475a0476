"""Staged trades open as they are in Polars, pandas, DuckDB and pyarrow; tests/sample is what staging makes."""

from __future__ import annotations

import datetime
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

from loader.dataset.manifest import read_manifest
from loader.staging import StageSettings, stage

SAMPLE = Path(__file__).parents[1] / "sample"
DAYS = ["2024-07-02", "2024-07-03", "2024-07-05"]


@pytest.fixture(scope="module")
def expected() -> pl.DataFrame:
    """Return the sample's trades, with tags and date as text."""
    return in_order(pl.read_parquet(SAMPLE / "**/*.parquet", hive_partitioning=True))


def in_order(trades: pl.DataFrame) -> pl.DataFrame:
    """Return trades with one kind of tags and dates, sorted."""
    columns = ["date", "symbol", "side", "price", "amount", "timestamp"]
    texts = trades.with_columns(pl.col("date", "symbol", "side").cast(pl.String))
    return (
        texts.select(columns)
        .with_columns(pl.col("timestamp").cast(pl.Int64))
        .sort("date", "symbol", "side", "timestamp")
    )


def test_polars_reads_the_dataset(expected):
    """Polars scans the folder with the date as a column, and knows tags as categories."""
    lazy = pl.scan_parquet(SAMPLE / "**/*.parquet", hive_partitioning=True)
    assert lazy.collect_schema()["symbol"] == pl.Categorical
    assert lazy.collect_schema()["timestamp"] == pl.Datetime("ns", "UTC")
    assert expected.height == 3_000
    assert expected["date"].unique().sort().to_list() == DAYS


def test_pandas_reads_the_dataset(expected):
    """Pandas reads the folder, passes over the loader's own files, and keeps nanoseconds."""
    trades = pd.read_parquet(SAMPLE)
    assert str(trades["timestamp"].dtype) == "datetime64[ns, UTC]"
    assert str(trades["symbol"].dtype) == "category"
    assert in_order(pl.from_pandas(trades)).equals(expected)


def test_pyarrow_reads_the_dataset(expected):
    """pyarrow.dataset discovers the partitions of the folder."""
    table = ds.dataset(SAMPLE, partitioning="hive").to_table()
    assert in_order(pl.DataFrame(table)).equals(expected)


def test_duckdb_reads_the_dataset(expected):
    """DuckDB reads the glob with the date as a column."""
    query = f"""
        SELECT date::VARCHAR AS date, symbol, side, price, amount, epoch_ns(timestamp) AS timestamp
        FROM read_parquet('{SAMPLE}/**/*.parquet', hive_partitioning = true)
    """
    with duckdb.connect() as connection:
        trades = connection.sql(query).to_arrow_table()
    assert in_order(pl.DataFrame(trades)).equals(expected)


def test_the_sample_is_what_staging_makes_today(tmp_path, expected):
    """The settings in the sample's manifest lead to the sample's trades."""
    staged = read_manifest(SAMPLE).settings
    stage(
        StageSettings(
            tmp_path,
            trades=staged["trades"],
            symbols=tuple(staged["symbols"]),
            start=datetime.date.fromisoformat(staged["start"]),
            end=datetime.date.fromisoformat(staged["end"]),
            seed=staged["seed"],
            workers=1,
        )
    )
    assert in_order(pl.read_parquet(tmp_path / "**/*.parquet", hive_partitioning=True)).equals(expected)
