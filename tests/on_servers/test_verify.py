"""Verification against real servers: every kind of fault is planted, found and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.errors import ConfigError, ServerError
from loader.events import Advanced, Event, Notice, Started
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.cases import Case, agreeing, name_of, text_of
from tests.points import DAY, FIRST_DAY, MINUTE, line, trades, write_dataset


@pytest.fixture
def case(influx: Any, tmp_path: Path) -> Case:
    """Return a dataset and a server that agree."""
    return agreeing(influx, tmp_path)


def test_equal(case: Case) -> None:
    """A server that holds exactly the dataset shows no difference, and progress covers every row."""
    events: list[Event] = []
    report = case.verify(events.append, samples=50)
    assert report.differences == ()
    assert (report.rows, report.windows, report.samples) == (case.rows.height, 18, 50)
    assert case.server.version in report.server
    assert events[1] == Started("verify", case.rows.height)
    assert sum(event.rows for event in events if isinstance(event, Advanced)) == case.rows.height


def test_deleted_range(case: Case) -> None:
    """A deleted range is found: which day, which series, how many points, and one of them."""
    case.delete("MSFT", FIRST_DAY + DAY, FIRST_DAY + DAY + 3 * MINUTE)
    differences = case.verify().differences
    assert [name_of(difference) for difference in differences] == [
        ("missing", "2024-01-03", "symbol=MSFT,side=buy", ""),
        ("missing", "2024-01-03", "symbol=MSFT,side=sell", ""),
    ]
    assert "3 of 20 points missing" in differences[0].detail
    assert "2024-01-03T00:00:00.000000001Z" in differences[0].detail


def test_changed_values(case: Case) -> None:
    """Changed values are found per field, with the nanosecond, what was expected and what was found."""
    row = case.rows.row(25, named=True)
    case.write(line({**row, "price": 999.99, "amount": row["amount"] + 1}))
    price, amount = case.verify().differences
    assert (price.kind, price.field, amount.kind, amount.field) == ("different", "price", "different", "amount")
    assert (price.day, price.series) == ("2024-01-02", f"symbol={row['symbol']},side={row['side']}")
    assert f"expected {row['price']!r}, found 999.99" in price.detail
    assert str(row["timestamp"]) in price.detail
    assert f"expected {row['amount']}, found {row['amount'] + 1}" in amount.detail


def test_extra_point(case: Case) -> None:
    """A point that the dataset does not have is found in a series that it does have."""
    time = FIRST_DAY + 5
    case.write(f"trades,symbol=AAPL,side=buy price=1.5,amount=7i {time}")
    (difference,) = case.verify().differences
    assert name_of(difference) == ("surplus", "2024-01-02", "symbol=AAPL,side=buy", "")
    assert f"price=1.5, amount=7 at 2024-01-02T00:00:00.000000005Z ({time})" in difference.detail


def test_extra_series(case: Case) -> None:
    """Series that the dataset does not have are found, also those that lack a tag."""
    case.write(
        f"trades,symbol=ZZZ,side=buy price=1,amount=7i {FIRST_DAY + DAY}",
        f"trades,symbol=AAPL price=2,amount=8i {FIRST_DAY + DAY}",
    )
    assert [name_of(difference) for difference in case.verify().differences] == [
        ("surplus", "2024-01-03", "symbol=AAPL,side=", ""),
        ("surplus", "2024-01-03", "symbol=ZZZ,side=buy", ""),
    ]


def test_series_with_another_tag(case: Case) -> None:
    """Points of series that differ in a tag outside of the schema are surplus."""
    case.write(f"trades,symbol=AAPL,side=buy,venue=X price=2,amount=8i {FIRST_DAY + 5}")
    (difference,) = case.verify().differences
    assert name_of(difference) == ("surplus", "2024-01-02", "symbol=AAPL,side=buy", "")


@pytest.mark.parametrize("values", [False, True])
def test_extra_field(case: Case, values: bool) -> None:
    """Values of a field that the dataset does not have are found, on points that it has and on others."""
    row = case.rows.row(25, named=True)
    case.write(
        f'trades,symbol=ZZZ,side=buy note="x" {FIRST_DAY + DAY}',
        f'trades,symbol={row["symbol"]},side={row["side"]} note="y" {row["timestamp"]}',
        f"trades,symbol=AAPL,side=buy late=true {FIRST_DAY + 3 * DAY}",
    )
    differences = case.verify(values=values).differences
    assert [name_of(difference) for difference in differences] == [
        ("surplus", "2024-01-02", f"symbol={row['symbol']},side={row['side']}", "note"),
        ("surplus", "2024-01-03", "symbol=ZZZ,side=buy", "note"),
    ]
    assert "found 1: the dataset has no such field" in differences[0].detail


def test_missing_series(case: Case) -> None:
    """A series that the server lacks is named on each of its days."""
    case.delete("NVDA", FIRST_DAY, FIRST_DAY + 3 * DAY)
    differences = case.verify().differences
    assert {name_of(difference) for difference in differences} == {
        ("missing", f"2024-01-0{day}", f"symbol=NVDA,side={side}", "") for day in (2, 3, 4) for side in ("buy", "sell")
    }
    assert "20 of 20 points missing" in differences[0].detail


def test_missing_field(case: Case) -> None:
    """A point that lacks one field is found, and the field named."""
    case.delete("AAPL", FIRST_DAY, FIRST_DAY + MINUTE)
    first = case.rows.row(0, named=True)
    for row in case.rows.filter(symbol="AAPL", timestamp=first["timestamp"]).iter_rows(named=True):
        text = line(row)
        case.write(text.replace(f",amount={row['amount']}i", "") if row["side"] == "buy" else text)
    (difference,) = case.verify().differences
    assert name_of(difference) == ("missing", "2024-01-02", "symbol=AAPL,side=buy", "amount")
    assert f"expected {first['amount']}, found nothing" in difference.detail


def test_days_without_partition(case: Case, tmp_path: Path) -> None:
    """Points on a day between partitions are surplus; those before the first day are not looked at."""
    rows = case.rows.filter(pl.col("timestamp") // DAY * DAY != FIRST_DAY + DAY)
    root = tmp_path / "gap"
    write_dataset(root, trades_schema(), rows)
    case.write(f"trades,symbol=AAPL,side=buy price=1,amount=7i {FIRST_DAY - 1}")
    differences = verify(VerifySettings(root, case.target)).differences
    assert [name_of(difference)[:2] for difference in differences] == [("surplus", "2024-01-03")] * 6


def test_missing_bucket(case: Case) -> None:
    """Without the bucket everything is missing: said in one sentence, counted, and listed up to the limit."""
    target = Target(url=case.server.url, bucket="nowhere", org=case.server.org, token=case.server.token)
    events: list[Event] = []
    report = verify(VerifySettings(case.root, target, max_listed=4), events.append)
    assert (report.difference_count, len(report.differences), report.samples) == (18, 4, 0)
    assert report.differences[0].detail == "expected 20 points, found none"
    assert any(isinstance(event, Notice) and "does not exist" in event.message for event in events)


def test_empty_bucket(case: Case) -> None:
    """In an empty bucket everything is missing; samples do not repeat it."""
    target = Target(case.server.url, case.server.new_bucket(), case.server.org, case.server.token)
    report = verify(VerifySettings(case.root, target, samples=10))
    assert report.difference_count == 18
    assert {difference.kind for difference in report.differences} == {"missing"}


def test_many_differences(case: Case) -> None:
    """Beyond the number of (series, day) that are fetched, the aggregates tell what differs."""
    row = case.rows.row(25, named=True)
    time = FIRST_DAY + DAY + 5
    case.write(line({**row, "price": 999.99}), f"trades,symbol=AAPL,side=buy price=1.5 {time}")
    case.write(f"trades,symbol=ZZZ,side=buy price=1,amount=1i {time}")
    case.delete("NVDA", FIRST_DAY, FIRST_DAY + 3 * MINUTE)
    found = {name_of(difference): difference.detail for difference in case.verify(drills=0).differences}
    assert found["surplus", "2024-01-03", "symbol=ZZZ,side=buy", ""] == "expected no points, found 1"
    assert found["surplus", "2024-01-03", "symbol=AAPL,side=buy", "price"] == "expected 20 values, found 21"
    assert found["missing", "2024-01-02", "symbol=NVDA,side=buy", "price"] == "expected 20 values, found 17"
    changed = found["different", "2024-01-02", f"symbol={row['symbol']},side={row['side']}", "price"]
    assert "max" in changed
    assert "found 999.99" in changed


def test_change_within_the_tolerance(case: Case) -> None:
    """A change too small for the sums is found by the samples."""
    row = case.rows.filter(symbol="AAPL", side="buy").sort("price").row(10, named=True)
    case.write(line({**row, "price": row["price"] + 0.01}))
    report = case.verify(samples=case.rows.height, tolerance=0.5)
    assert [name_of(difference) for difference in report.differences] == [
        ("different", text_of(row["timestamp"])[:10], "symbol=AAPL,side=buy", "price")
    ]
    assert case.verify(samples=0, tolerance=0.5).differences == ()


def test_sums_in_another_order(case: Case) -> None:
    """A float sum that differs although all its points are equal is no difference."""
    assert case.verify(tolerance=-1.0).differences == ()


def test_duplicates(case: Case, tmp_path: Path) -> None:
    """Values of an identity that a later row sets are counted, said, and not expected on the server."""
    first = case.rows.head(1).with_columns(price=pl.lit(5.0))
    root = tmp_path / "duplicates"
    write_dataset(root, trades_schema(), pl.concat([first, case.rows]))
    events: list[Event] = []
    report = verify(VerifySettings(root, case.target, samples=1_000), events.append)
    assert report.differences == ()
    assert report.superseded == 2
    assert any(isinstance(event, Notice) and event.message.startswith("2 values") for event in events)


@pytest.mark.parametrize("change", [{"samples": -1}, {"seed": -1}, {"connections": 0}, {"timeout_seconds": 0.0}])
def test_impossible_settings(tmp_path: Path, change: dict[str, Any]) -> None:
    """A setting that cannot work is named before anything is asked."""
    write_dataset(tmp_path, trades_schema(), trades())
    settings = VerifySettings(tmp_path, Target("http://127.0.0.1:1", "trades"))
    with pytest.raises(ConfigError, match=next(iter(change)).split("_")[0]):
        verify(replace(settings, **change))


def test_wrong_token(influx_v2: Any, tmp_path: Path) -> None:
    """What the server refuses is an error that does not show the token, never a difference."""
    write_dataset(tmp_path, trades_schema(), trades())
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, "no-such-secret")
    with pytest.raises(ServerError) as caught:
        verify(VerifySettings(tmp_path, target))
    assert caught.value.status == 401
    assert "no-such-secret" not in str(caught.value)


FLOATS = (0.1, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e21, 1e20, 123456789012345678.0, 1 / 3, 100.0, -1e-7)
INTEGERS = (9_223_372_036_854_775_807, -9_223_372_036_854_775_808, 9_007_199_254_740_993, 0, 1, -1, 2, 3, 4, 5, 6)


def test_bits(influx: Any, tmp_path: Path) -> None:
    """Floats come back bit for bit, integers and nanoseconds exactly, strings and tags in every spelling."""
    schema = PointSchema(
        measurement='odd "name" ${x} ü',
        tags=("tag key",),
        fields=(
            Field("f", FieldType.FLOAT),
            Field("n", FieldType.INTEGER),
            Field("ok", FieldType.BOOLEAN),
            Field("text", FieldType.STRING),
        ),
        time="when",
    )
    tags = ["a'b", 'c"d', "${e}", "ü\\x", "f g", "", "a'b", "a'b", "a'b", "a'b", "a'b"]
    texts = ["", "line\nbreak", 'quo"te', "back\\slash", "comma,", "  ", "ü", "'", "null", "true", "1"]
    rows = pl.DataFrame(
        {
            "tag key": tags,
            "f": FLOATS,
            "n": INTEGERS,
            "ok": [True, False, None] + [True] * 8,
            "text": texts,
            "when": [FIRST_DAY + 123_456_789 + 1_000 * index for index in range(11)],
        }
    )
    write_dataset(tmp_path, schema, rows)
    target = Target(influx.url, influx.new_bucket(), influx.org, influx.token)
    case = Case(influx, tmp_path, target, rows)
    name = 'odd\\ "name"\\ ${x}\\ ü'
    for row in rows.iter_rows(named=True):
        tag = f",tag\\ key={row['tag key'].replace(' ', chr(92) + ' ')}" if row["tag key"] else ""
        ok = "" if row["ok"] is None else f",ok={row['ok']}"
        text = row["text"].replace("\\", "\\\\").replace('"', '\\"')
        case.write(f'{name}{tag} f={row["f"]!r},n={row["n"]}i{ok},text="{text}" {row["when"]}')
    report = case.verify()
    assert report.differences == ()
    assert report.samples == rows.height
