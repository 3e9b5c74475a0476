"""Candles as a dataset: their content for any data, where they are refused, and what a later run keeps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader import CandleRule, CandleSettings, stage_candles
from loader.dataset.adopt import adopt, keep_manifest, prepare_state
from loader.dataset.instant import DAY
from loader.dataset.manifest import Partition, read_manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.reader import open_dataset
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, StageError
from loader.events import Advanced, Event, Started
from loader.staging import FilesSettings, StageSettings, stage, stage_files
from loader.staging.candles import compute, merging, trades
from loader.staging.points import write_partitions
from tests.candles import assert_same, by_key, slow_candles, staged_candles
from tests.datasets import JANUARY_2, small_dataset
from tests.tables import MOMENT, write_tables

HOUR = 3_600_000_000_000
MINUTE = 60_000_000_000


def random_trades(rows: int, seed: int = 1) -> pl.DataFrame:
    """Return trades of two days in no order, some at one time, of two tags of which one is sometimes null."""
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "venue": [None if number == 2 else f"v{number}" for number in chance.integers(0, 3, rows)],
            "symbol": [f"S{number}" for number in chance.integers(0, 3, rows)],
            "px": np.round(chance.random(rows) * 9, 2),
            "size": chance.random(rows),
            "at": JANUARY_2 + chance.integers(0, 2 * DAY // MINUTE, rows) * MINUTE,
        }
    ).with_columns(pl.col("at").cast(pl.Datetime("ns", "UTC")))


def adopted(folder: Path, frame: pl.DataFrame, files: int = 3) -> CandleSettings:
    """Write ``frame`` as Parquet of others, whose mapping a load has kept, and return settings for its candles."""
    source = folder / "own"
    source.mkdir()
    for number in range(files):
        frame.gather_every(files, number).write_parquet(source / f"{number}.parquet", row_group_size=40)
    rule = CandleRule(HOUR, "px", "size", ("symbol", "venue"))
    settings = CandleSettings(source, folder / "out", rule, state=folder / "state")
    mapping = ColumnMapping("own", "at", ("symbol", "venue"))
    found = adopt(settings.place, mapping)
    assert found
    prepare_state(settings.place)
    keep_manifest(settings.place, found)
    return settings


@pytest.mark.parametrize(("held", "ahead"), [(0, 1 << 20), (0, 0), (6_000, 0), (1 << 26, 0)])
def test_own_data_in_no_order(tmp_path: Path, held: int, ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that span files, batches and days in any order are merged, in memory or on disk: the same candles."""
    monkeypatch.setattr(compute, "AHEAD_ROWS", ahead)
    monkeypatch.setattr(merging, "HELD_BYTES", held)
    monkeypatch.setattr(trades, "TRADE_ROWS", 64)
    monkeypatch.setattr("loader.staging.sorting.GROUP_ROWS", 50)
    frame = random_trades(600)
    report = stage_candles(adopted(tmp_path, frame))
    rows = frame.with_columns(pl.col("at").cast(pl.Int64)).rows(named=True)
    expected = [((row["symbol"], row["venue"] or ""), row["at"], row["px"], row["size"]) for row in rows]
    found = staged_candles(tmp_path / "out")
    assert_same(by_key(found, ("symbol", "venue")), slow_candles(expected, HOUR))
    assert (report.rows, report.candles, report.partitions) == (600, found.height, 2)
    keys = found.select(day=pl.col("time") // DAY, symbol="symbol", venue=pl.col("venue").fill_null(""), time="time")
    assert keys.equals(keys.sort(*keys.columns)), "partitions are days, rows are in series order"
    assert keys.n_unique() == keys.height
    manifest = open_dataset(tmp_path / "out")
    assert (manifest.distinct, manifest.complete, manifest.schema.measurement) == (True, True, "candles_1h")
    assert not list(tmp_path.glob(".loader-stage-*"))


def test_staged_trades(tmp_path: Path) -> None:
    """Trades give candles by symbol, of both sides together."""
    data = tmp_path / "data"
    stage(StageSettings(data, 4_000, symbols=("AAPL", "MSFT"), end=StageSettings.start.replace(day=5), workers=1))
    events: list[Event] = []
    report = stage_candles(CandleSettings(data, tmp_path / "out"), events.append)
    rows = pl.read_parquet(data / "**/*.parquet", hive_partitioning=False).with_columns(
        pl.col("timestamp").cast(pl.Int64)
    )
    expected = [((row["symbol"],), row["timestamp"], row["price"], row["amount"]) for row in rows.rows(named=True)]
    assert_same(by_key(staged_candles(tmp_path / "out"), ("symbol",)), slow_candles(expected, MINUTE))
    assert events[0] == Started("candles", 4_000)
    assert sum(event.rows for event in events if isinstance(event, Advanced)) == 4_000
    assert sum(event.size for event in events if isinstance(event, Advanced)) == report.size
    again = stage_candles(CandleSettings(data, tmp_path / "out"))
    assert (again.fingerprint, again.rows_kept, again.partitions_kept) == (report.fingerprint, 4_000, 4)


def test_threads_change_nothing(tmp_path: Path) -> None:
    """The same trades give the same bytes for any number of threads of Polars."""
    small = random_trades(3_000)
    adopted(tmp_path, small, files=2)
    code = (
        "import sys; from pathlib import Path; from loader import *\n"
        "rule = CandleRule(60 * 10**9, 'px', 'size', ('symbol', 'venue'))\n"
        "folder = Path(sys.argv[1])\n"
        "settings = CandleSettings(folder / 'own', folder / sys.argv[2], rule, state=folder / 'state')\n"
        "print(stage_candles(settings).fingerprint)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code, tmp_path, f"out{threads}"],
            env={**os.environ, "POLARS_MAX_THREADS": threads, "NUMBA_DISABLE_JIT": "1"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "3")
    ]
    assert found[0] == found[1]


def test_types_are_kept(tmp_path: Path) -> None:
    """Prices of integers stay integers, unsigned amounts unsigned, and VWAP is null where the volume is 0."""
    fields = (Field("price", FieldType.INTEGER), Field("amount", FieldType.UNSIGNED))
    table = pa.table(
        {
            "price": pa.array([3, -4], pa.int32()),
            "amount": pa.array([0, 2**64 - 1], pa.uint64()),
            "t": [MOMENT, MOMENT + DAY],
        }
    )
    write_tables(tmp_path / "in", PointSchema("m", (), fields, "t", "ns"), {"a.parquet": table})
    stage_candles(CandleSettings(tmp_path / "in", tmp_path / "out", CandleRule(DAY), "daily"))
    found = staged_candles(tmp_path / "out")
    assert (found.schema["open"], found.schema["volume"], found.schema["vwap"]) == (pl.Int64, pl.UInt64, pl.Float64)
    assert (found["volume"].to_list(), found["vwap"].to_list()) == ([0, 2**64 - 1], [None, -4.0])
    assert read_manifest(tmp_path / "out").schema.measurement == "daily"


def test_moved_rows_have_their_new_times(tmp_path: Path) -> None:
    """Rows that a load has moved by nanoseconds are in the windows of where they are now."""
    from loader.dataset.moves import with_moves

    frame = pl.DataFrame({"px": [1.0, 2.0], "size": [1.0, 1.0], "at": [MOMENT + HOUR - 1, MOMENT + HOUR - 1]})
    source = frame.with_columns(pl.col("at").cast(pl.Datetime("ns", "UTC")))
    (tmp_path / "own").mkdir()
    source.write_parquet(tmp_path / "own" / "x.parquet")
    settings = CandleSettings(
        tmp_path / "own", tmp_path / "out", CandleRule(HOUR, "px", "size"), state=tmp_path / "state"
    )
    found = adopt(settings.place, ColumnMapping("own", "at"))
    assert found
    prepare_state(settings.place)
    keep_manifest(settings.place, with_moves(found, {"x.parquet": np.array([0, 1])}, {"x.parquet": MOMENT + HOUR}))
    stage_candles(settings)
    assert staged_candles(tmp_path / "out")["open"].to_list() == [1.0, 2.0]


def test_one_of_several_measurements(tmp_path: Path) -> None:
    """Candles are of the measurement that is named, and other measurements may change."""
    (tmp_path / "x.lp").write_text("a price=1,amount=2i 0\nb price=3 0\n")
    stage_files(FilesSettings(tmp_path / "data", (tmp_path / "x.lp",), workers=1))
    with pytest.raises(ConfigError, match="2 measurements"):
        stage_candles(CandleSettings(tmp_path / "data", tmp_path / "out"))
    stage_candles(CandleSettings(tmp_path / "data", tmp_path / "out", CandleRule(measurement="b")))
    assert staged_candles(tmp_path / "out").columns == ["open", "high", "low", "close", "count", "time"]


def test_a_later_run_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stop, finished days are kept and their trades are not read again; the content is the same."""
    small_dataset(tmp_path / "data", days=3)
    settings = CandleSettings(tmp_path / "data", tmp_path / "out")
    whole = stage_candles(CandleSettings(tmp_path / "data", tmp_path / "whole"))
    monkeypatch.setattr("loader.staging.dataset._SAVE_SECONDS", -1)
    real = compute.read_trades
    read: list[str] = []

    def failing(root: Path, plan: object, partition: object, series: object) -> object:
        read.append(partition.path)  # type: ignore[attr-defined]
        if len(read) == 3:
            raise StageError("planted")
        return real(root, plan, partition, series)  # type: ignore[arg-type]

    monkeypatch.setattr(compute, "read_trades", failing)
    with pytest.raises(StageError, match="planted"):
        stage_candles(settings)
    report = stage_candles(settings)
    assert read[3:] == ["date=2024-01-04/trades.parquet"]
    assert (report.partitions_kept, report.rows_kept) == (2, 400)
    assert report.fingerprint == whole.fingerprint


def test_other_settings_and_other_trades(tmp_path: Path) -> None:
    """Candles of other settings or trades are refused, or replaced on request; foreign Parquet stays."""
    small_dataset(tmp_path / "data")
    out = tmp_path / "out"
    stage_candles(CandleSettings(tmp_path / "data", out))
    with pytest.raises(ConfigError, match="every: staged 60000000000, asked 3600000000000"):
        stage_candles(CandleSettings(tmp_path / "data", out, CandleRule(HOUR)))
    stage_candles(CandleSettings(tmp_path / "data", out, CandleRule(HOUR), overwrite=True))
    assert read_manifest(out).schema.measurement == "candles_1h"
    shutil.rmtree(tmp_path / "data")
    small_dataset(tmp_path / "data", rows=20)
    with pytest.raises(ConfigError, match="dataset: staged"):
        stage_candles(CandleSettings(tmp_path / "data", out, CandleRule(HOUR)))
    pq.write_table(pa.table({"x": [1]}), out / "foreign.parquet")
    with pytest.raises(ConfigError, match="did not stage"):
        stage_candles(CandleSettings(tmp_path / "data", out, CandleRule(HOUR), overwrite=True))
    with pytest.raises(ConfigError, match="holds a dataset of candles, and trades are to be staged"):
        stage(StageSettings(out, 1_000))


def test_a_failed_replacement_leaves_what_was_there(tmp_path: Path) -> None:
    """Candles that would be replaced stay when there is nothing to replace them."""
    small_dataset(tmp_path / "data")
    before = stage_candles(CandleSettings(tmp_path / "data", tmp_path / "out"))
    table = pa.table({"price": [float("nan")], "t": [MOMENT]})
    schema = PointSchema("m", (), (Field("price", FieldType.FLOAT),), "t", "ns")
    write_tables(tmp_path / "empty", schema, {"a.parquet": table})
    with pytest.raises(StageError, match="no row of 'm' is a trade"):
        stage_candles(CandleSettings(tmp_path / "empty", tmp_path / "out", overwrite=True))
    assert read_manifest(tmp_path / "out").fingerprint == before.fingerprint


def test_where_candles_cannot_be(tmp_path: Path) -> None:
    """Neither among the trades, nor of what is no dataset, nor with a name that no measurement has."""
    small_dataset(tmp_path / "data")
    for out in (tmp_path / "data", tmp_path / "data" / "candles"):
        with pytest.raises(ConfigError, match="is within the dataset of the trades"):
            stage_candles(CandleSettings(tmp_path / "data", out))
    with pytest.raises(ConfigError, match="no such folder"):
        stage_candles(CandleSettings(tmp_path / "nothing", tmp_path / "out"))
    with pytest.raises(ConfigError, match="measurement"):
        stage_candles(CandleSettings(tmp_path / "data", tmp_path / "out", name="a\\"))
    (tmp_path / "own").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "own" / "x.parquet")
    with pytest.raises(ConfigError, match="loader stage"):
        stage_candles(CandleSettings(tmp_path / "own", tmp_path / "out"))


def test_a_stretch_of_several_days_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days that are finished are kept, but trades of days that share a file are read again."""
    settings = adopted(tmp_path, random_trades(600), files=1)
    whole = stage_candles(replace(settings, out=tmp_path / "whole"))
    monkeypatch.setattr("loader.staging.dataset._SAVE_SECONDS", -1)

    def cut_off(*given: Any) -> Iterator[Partition]:
        yield next(write_partitions(*given))
        raise StageError("planted")

    with monkeypatch.context() as patched:
        patched.setattr(compute, "write_partitions", cut_off)
        with pytest.raises(StageError, match="planted"):
            stage_candles(settings)
    report = stage_candles(settings)
    assert (report.partitions_kept, report.rows_kept) == (1, 0)
    assert report.fingerprint == whole.fingerprint


def test_settings_in_the_manifest(tmp_path: Path) -> None:
    """The manifest says what determines the content."""
    small_dataset(tmp_path / "data")
    stage_candles(CandleSettings(tmp_path / "data", tmp_path / "out"))
    said = json.loads((tmp_path / "out" / ".loader" / "manifest.json").read_text())["settings"]
    assert said == {
        "source": "candles",
        "dataset": read_manifest(tmp_path / "data").fingerprint,
        "trades": "trades",
        "price": "price",
        "amount": "amount",
        "by": ["symbol"],
        "every": MINUTE,
        "name": "candles_1m",
    }
