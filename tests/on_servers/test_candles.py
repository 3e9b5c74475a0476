"""Candles that real servers compute of loaded trades: equal, and different where a fault is planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from loader import CandleRule, CandleSettings, LoadSettings, VerifySettings, load, stage_candles, verify
from loader.dataset.manifest import read_manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError
from loader.events import Advanced, Event, Notice
from loader.servers.base import Target
from loader.staging import FilesSettings, stage_files
from loader.verification.candles import expected, verify_candles
from tests.cases import Case, agreeing, name_of, post
from tests.points import DAY, FIRST_DAY, MINUTE, line
from tests.staging.candles.test_compute import random_trades
from tests.tables import MOMENT, write_tables
from tools.influxd import RunningServer

HOUR = 60 * MINUTE
DAILY = CandleRule(DAY)


@pytest.fixture
def case(influx: Any, tmp_path: Path) -> Case:
    """Return trades and a server that agree; both sides of a symbol trade at the same times, at equal prices."""
    return agreeing(influx, tmp_path / "data")


def target_of(server: Any) -> Target:
    """Return a new bucket."""
    return Target(url=server.url, bucket=server.new_bucket(), org=server.org, token=server.token)


@pytest.mark.parametrize("rule", [DAILY, CandleRule(MINUTE), CandleRule(HOUR, by=()), CandleRule(HOUR, amount="")])
def test_equal(case: Case, rule: CandleRule) -> None:
    """A server that holds the trades computes the same candles, and progress covers every row."""
    events: list[Event] = []
    report = case.verify(events.append, candles=rule)
    assert report.differences == ()
    staged = stage_candles(CandleSettings(case.root, case.root.parent / "out", rule))
    assert (report.candles, report.rows) == (staged.candles, case.rows.height)
    assert sum(event.rows for event in events if isinstance(event, Advanced)) == case.rows.height


def test_many_windows(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset of many trades is compared some days, and parts of a day, at a time."""
    monkeypatch.setattr(verify_candles, "ASKED_ROWS", 50)
    case.delete("MSFT", FIRST_DAY + 2 * DAY, FIRST_DAY + 2 * DAY + MINUTE)
    report = case.verify(candles=CandleRule(MINUTE))
    assert [name_of(each)[:3] for each in report.differences] == [("missing", "2024-01-04", "symbol=MSFT")]
    assert report.candles == 180


def test_a_changed_price(case: Case) -> None:
    """One changed price in the middle of a day is found: which candle, and both values of what it changes."""
    row = case.rows.filter(symbol="MSFT").row(7, named=True)
    case.write(line({**row, "price": 100.005}))
    (difference,) = case.verify(candles=DAILY).differences
    assert name_of(difference) == ("different", "2024-01-02", "symbol=MSFT", "vwap")
    case.write(line({**row, "price": 250.0}))
    (difference,) = case.verify(candles=DAILY).differences
    assert difference.field == "high,vwap"
    assert "2024-01-02T00:00:00.000000000Z: expected high 100.48, found 250.0; vwap 100." in difference.detail


def test_a_missing_trade(case: Case) -> None:
    """One missing trade changes count, volume and VWAP; if it was alone in its window, the candle is missing."""
    case.delete("NVDA", FIRST_DAY + DAY + 3 * MINUTE, FIRST_DAY + DAY + 4 * MINUTE)
    (difference,) = case.verify(candles=DAILY).differences
    assert name_of(difference)[1:] == ("2024-01-03", "symbol=NVDA", "count,volume,vwap")
    assert "count 40, found 38" in difference.detail
    (difference,) = case.verify(candles=CandleRule(MINUTE)).differences
    assert name_of(difference) == ("missing", "2024-01-03", "symbol=NVDA", "")
    assert difference.detail == "2024-01-03T00:03:00.000000000Z: expected a candle of 2 trades"


def test_a_trade_in_another_window(case: Case) -> None:
    """A trade that was moved across a border, by a nanosecond or two, makes two candles differ."""
    row = case.rows.filter(symbol="AAPL", side="buy").row(5, named=True)
    case.delete("AAPL", FIRST_DAY + 5 * MINUTE, FIRST_DAY + 6 * MINUTE)
    other = case.rows.filter(symbol="AAPL", side="sell").row(5, named=True)
    case.write(line(other), line({**row, "timestamp": row["timestamp"] - 2}))
    found = case.verify(candles=CandleRule(MINUTE)).differences
    assert [each.detail[:20].rpartition(".")[0] for each in found] == ["2024-01-02T00:04:00", "2024-01-02T00:05:00"]
    assert [each.detail.partition("count ")[2][:11] for each in found] == ["2, found 3;", "2, found 1;"]
    assert case.verify(candles=CandleRule(HOUR)).differences == (), "prices of one hour do not tell their order"


def test_sums_that_cancel(influx: Any, tmp_path: Path) -> None:
    """Prices of both signs make a turnover of nearly nothing, whose rounding is that of what is added."""
    chance = np.random.default_rng(3)
    prices = chance.random(2_000) * 1e6
    rows = [(price * sign, number) for number, price in enumerate(prices) for sign in (1, -1)]
    chance.shuffle(rows)
    lines = [f"m price={price},amount={0.1 + number} {at}\n" for at, (price, number) in enumerate(rows)]
    (tmp_path / "x.lp").write_text("".join(lines))
    stage_files(FilesSettings(tmp_path / "data", (tmp_path / "x.lp",), workers=1))
    target = target_of(influx)
    load(LoadSettings(tmp_path / "data", target))
    assert verify(VerifySettings(tmp_path / "data", target, candles=DAILY)).differences == ()


def test_a_candle_more(case: Case) -> None:
    """Trades of a symbol that the dataset does not have are surplus candles."""
    row = case.rows.row(0, named=True)
    case.write(line({**row, "symbol": "ZZZ"}))
    (difference,) = case.verify(candles=DAILY).differences
    assert name_of(difference) == ("surplus", "2024-01-02", "symbol=ZZZ", "")
    assert "a candle of 1 trade that the dataset does not have" in difference.detail


def test_no_bucket(case: Case) -> None:
    """Without a bucket every candle is missing."""
    events: list[Event] = []
    target = replace(case.target, bucket="missing")
    report = verify(VerifySettings(case.root, target, candles=DAILY, max_listed=2), events.append)
    assert (report.difference_count, len(report.differences), report.candles) == (9, 2, 9)
    assert any(
        isinstance(event, Notice) and "does not exist: every candle is missing" in event.message for event in events
    )


@pytest.mark.parametrize("size", [1 << 20, 1])
def test_own_data(influx: Any, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows in no order that share series and time the last counts, as it was loaded; answers are bounded.

    The second file has the earliest row.
    """
    monkeypatch.setattr(expected, "MERGED_BYTES", size * 100)
    monkeypatch.setattr(verify_candles, "ASKED_CANDLES", 10)
    source, state = tmp_path / "own", tmp_path / "state"
    source.mkdir()
    frame = random_trades(300)
    frame = pl.concat(
        [frame.filter(pl.col("at") > pl.col("at").min()), frame.filter(pl.col("at") == pl.col("at").min())]
    )
    frame.head(200).write_parquet(source / "a.parquet")
    frame.tail(100).write_parquet(source / "b.parquet")
    target = target_of(influx)
    mapping = ColumnMapping("own", "at", ("symbol", "venue"))
    load(LoadSettings(source, target, state=state, mapping=mapping, on_duplicate="last"))
    rule = CandleRule(HOUR, "px", "size", ("symbol",))
    asked: list[int] = []
    real = verify_candles._ask
    monkeypatch.setattr(verify_candles, "_ask", lambda *of, **how: asked.append(len(made := real(*of, **how))) or made)
    report = verify(VerifySettings(source, target, state=state, candles=rule))
    assert (report.differences, report.rows, report.rows_left_out) == ((), 300, 0)
    assert report.superseded > 0
    assert asked[0] > 5


def test_rows_without_price_or_amount(influx: Any, tmp_path: Path) -> None:
    """Where points lack price or amount, the server is asked for those that have both; tags may be missing."""
    (tmp_path / "x.lp").write_text(
        "m,s=a price=1.5,amount=2i 0\nm,s=a price=9 1\nm,s=a amount=5i 2\nm price=-1,amount=3i 3\nm,s=a x=1 4\n"
    )
    stage_files(FilesSettings(tmp_path / "data", (tmp_path / "x.lp",), workers=1))
    target = target_of(influx)
    load(LoadSettings(tmp_path / "data", target))
    report = verify(VerifySettings(tmp_path / "data", target, candles=DAILY))
    assert (report.differences, report.candles, report.rows_left_out) == ((), 2, 3)
    assert report.fingerprint == read_manifest(tmp_path / "data").fingerprint
    case = Case(influx, tmp_path, target, pl.DataFrame())
    case.write("m,s=a amount=7i 1")
    (difference,) = verify(VerifySettings(tmp_path / "data", target, candles=DAILY)).differences
    assert difference.field == "high,close,count,volume,vwap"


def test_candles_are_a_dataset(case: Case) -> None:
    """Staged candles are loaded and verified like any dataset, NaN-free and with a VWAP that may be missing."""
    (case.root.parent / "x.lp").write_text("t,symbol=a price=1,amount=0i 0\nt,symbol=b price=1,amount=1i 0\n")
    stage_files(FilesSettings(case.root.parent / "t", (case.root.parent / "x.lp",), workers=1))
    for dataset in (case.root, case.root.parent / "t"):
        out = dataset.with_name(f"{dataset.name}-candles")
        report = stage_candles(CandleSettings(dataset, out))
        assert load(LoadSettings(out, case.target)).rows_acknowledged == report.candles
        assert verify(VerifySettings(out, case.target)).differences == ()


def test_integers_and_no_dataset_of_trades(influx_v2: Any, tmp_path: Path) -> None:
    """Prices of integers and unsigned amounts are compared in their types."""
    fields = (Field("price", FieldType.INTEGER), Field("amount", FieldType.UNSIGNED))
    prices, amounts = pa.array([3, 2**62], pa.int64()), pa.array([5, 2**63], pa.uint64())
    table = pa.table({"price": prices, "amount": amounts, "t": [MOMENT, MOMENT + 1]})
    write_tables(tmp_path, PointSchema("m", (), fields, "t", "ns"), {"a.parquet": table})
    target = target_of(influx_v2)
    load(LoadSettings(tmp_path, target))
    assert verify(VerifySettings(tmp_path, target, candles=DAILY)).differences == ()


def test_rows_that_no_load_takes(case: Case) -> None:
    """A row that cannot be a point is in no candle, of the dataset or of the server."""
    table = pa.table({"price": [1.0, float("nan")], "t": [MOMENT, MOMENT + 1]})
    root = case.root.parent / "nan"
    write_tables(root, PointSchema("m", (), (Field("price", FieldType.FLOAT),), "t", "ns"), {"a.parquet": table})
    load(LoadSettings(root, case.target))
    report = verify(VerifySettings(root, case.target, candles=DAILY))
    assert (report.differences, report.candles, report.rows_left_out) == ((), 1, 1)
    nothing = case.root.parent / "nothing"
    write_tables(nothing, PointSchema("n", (), (Field("price", FieldType.FLOAT),), "t", "ns"), {"a.parquet": table[1:]})
    report = verify(VerifySettings(nothing, case.target, candles=DAILY))
    assert (report.differences, report.candles) == ((), 0)


def test_a_database_that_stands_for_another_bucket(influx_v2: Any, tmp_path: Path) -> None:
    """On 2.x a mapping may give the bucket's name to another bucket: then no query is sent."""
    case = agreeing(influx_v2, tmp_path)
    other = influx_v2.new_bucket()
    headers = {"Authorization": f"Token {influx_v2.token}"}
    query = urlencode({"org": influx_v2.org, "name": other})
    with urlopen(Request(f"{influx_v2.url}/api/v2/buckets?{query}", headers=headers), timeout=30) as reply:
        (bucket,) = json.load(reply)["buckets"]
    mapping = {"bucketID": bucket["id"], "database": case.target.bucket, "retention_policy": "rp", "default": True}
    body = json.dumps({**mapping, "orgID": bucket["orgID"]}).encode()
    post(influx_v2, "/api/v2/dbrps", {}, body, "application/json")
    with pytest.raises(ConfigError, match="stands for another bucket"):
        case.verify(candles=DAILY)


def test_both_comparisons(case: Case) -> None:
    """Values and candles are not compared at once."""
    with pytest.raises(ConfigError, match="values and candles"):
        case.verify(candles=DAILY, values=True)


def test_a_server_that_bounds_the_rows_of_an_answer(
    start_influxd: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """What is beyond max-row-limit is compared, too: also where the limit is just the rows of the first series."""
    case = agreeing(start_influxd("v1", row_limit=3), tmp_path / "data")
    assert case.verify(candles=DAILY).differences == ()
    (tmp_path / "x.lp").write_text("".join(f"one,s=a price={day} {FIRST_DAY + day * DAY}\n" for day in range(3)))
    stage_files(FilesSettings(tmp_path / "one", (tmp_path / "x.lp",), workers=1))
    load(LoadSettings(tmp_path / "one", case.target))
    case.write(f"one,s=b price=1 {FIRST_DAY}")
    (difference,) = verify(VerifySettings(tmp_path / "one", case.target, candles=DAILY)).differences
    assert name_of(difference) == ("surplus", "2024-01-02", "s=b", "")
    assert {
        each.series for each in verify(VerifySettings(tmp_path / "one", case.target, surplus="fail")).differences
    } == {"s=b"}


def test_days_beyond_windows(influx_v2: Any, tmp_path: Path) -> None:
    """No query is sent for the last day, on which windows of servers never end."""
    table = pa.table({"price": [1.0], "t": [2**63 - 10]})
    write_tables(tmp_path, PointSchema("m", (), (Field("price", FieldType.FLOAT),), "t", "ns"), {"a.parquet": table})
    target = target_of(influx_v2)
    load(LoadSettings(tmp_path, target))
    with pytest.raises(ConfigError, match="2262-04-11"):
        verify(VerifySettings(tmp_path, target, candles=DAILY))
