"""Which fields and tags candles are of: defaults, and what is refused."""

from __future__ import annotations

import pytest

from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.errors import ConfigError
from loader.staging.candles.plan import every_text, plan_candles
from loader.staging.candles.settings import CandleRule

SECOND = 1_000_000_000
TRIPS = PointSchema(
    "trips",
    ("zone", "open"),
    (Field("fare", FieldType.FLOAT), Field("miles", FieldType.UNSIGNED), Field("note", FieldType.STRING)),
    "t",
)
ONE = PointSchema("one", (), (Field("v", FieldType.INTEGER),), "t")


def test_defaults_for_trades() -> None:
    """Trades have a price and an amount, and candles are by symbol; fields keep their types."""
    plan = plan_candles(CandleRule(), [trades_schema()])
    assert (plan.price.column, plan.by) == ("price", ("symbol",))
    points = plan.points("")
    assert (points.measurement, points.tags, points.time) == ("candles_1m", ("symbol",), "time")
    assert {field.column: field.type.value for field in points.fields} == {
        **dict.fromkeys(("open", "high", "low", "close", "vwap"), "float"),
        **dict.fromkeys(("count", "volume"), "integer"),
    }


def test_defaults_elsewhere() -> None:
    """The only number is the price; without a symbol, each series has its candles; an amount may be left out."""
    plan = plan_candles(CandleRule(), [ONE])
    assert (plan.price.column, plan.amount, plan.by) == ("v", None, ())
    assert [field.column for field in plan.points("x").fields] == ["open", "high", "low", "close", "count"]
    assert plan_candles(CandleRule(amount=""), [trades_schema()]).amount is None
    assert plan_candles(CandleRule(price="amount"), [trades_schema()]).amount is None
    named = plan_candles(CandleRule(price="fare", amount="miles", by=("zone",), measurement="trips"), [TRIPS, ONE])
    assert named.points("").fields[5] == Field("volume", FieldType.UNSIGNED)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (CandleRule(every=7 * SECOND), "windows of 7 s"),
        (CandleRule(every=SECOND // 2), "windows of 0.5 s"),
        (CandleRule(every=0), "windows of 0 s"),
        (CandleRule(), "2 measurements"),
        (CandleRule(measurement="x"), "no measurement 'x'"),
        (CandleRule(measurement="trips"), "which field of 'trips' is the price"),
        (CandleRule(measurement="trips", price="note"), "'note' is no field of numbers"),
        (CandleRule(measurement="trips", price="fare", amount="x"), "cannot be the amount"),
        (CandleRule(measurement="one", price="v", amount="v"), "both price and amount"),
        (CandleRule(measurement="trips", price="fare", by=("x",)), "'x' is no tag of 'trips'"),
        (CandleRule(measurement="trips", price="fare"), "a candle has a field or time of that name"),
        (CandleRule(measurement="trips", price="fare", by=("zone", "zone")), "named twice"),
    ],
)
def test_what_does_not_fit(rule: CandleRule, words: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(ConfigError, match=words):
        plan_candles(rule, [TRIPS, ONE])


def test_no_number() -> None:
    """A measurement without numbers has no candles."""
    texts = PointSchema("m", (), (Field("s", FieldType.STRING),), "t")
    with pytest.raises(ConfigError, match="'price' is no field of numbers"):
        plan_candles(CandleRule(), [texts])


def test_names_of_windows() -> None:
    """A window is named in its largest unit."""
    assert [every_text(seconds * SECOND) for seconds in (1, 90, 300, 5_400, 3_600, 86_400)] == [
        *("1s", "90s", "5m", "90m", "1h", "1d")
    ]
