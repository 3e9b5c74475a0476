"""Differences of candles: what counts as equal, and what is told."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from loader.dataset.schema import trades_schema
from loader.staging.candles.plan import plan_candles
from loader.staging.candles.settings import CandleRule
from loader.verification.candles.differences import compare_candles

CANDLE = {
    **{"t0": "A", "start": 0, "open": 1.0, "close": 2.0, "high": 3.0, "low": 0.0},
    **{"count": 4, "volume": 5.0, "turnover": 1e6},
}
GROSS = {"gross volume": 5.0, "gross turnover": 1e6}
PLAN = plan_candles(CandleRule(), [trades_schema()])


def differences(expected: dict[str, Any] = CANDLE | GROSS, **found: Any) -> list[tuple[str, str, str]]:
    """Return what is told when the server has a candle with other values."""
    sides = pl.DataFrame([expected]), pl.DataFrame([{**CANDLE, **found}], schema=pl.DataFrame([CANDLE]).schema)
    return [(each.kind, each.field, each.detail) for each in compare_candles(PLAN, *sides, 1e-11)]


@pytest.mark.parametrize("found", [{}, {"low": -0.0}, {"turnover": 1e6 + 1e-6}, {"volume": 5.0 + 1e-12}])
def test_equal(found: dict[str, Any]) -> None:
    """Sums of floats may differ by their rounding, and a zero has no sign."""
    assert differences(**found) == []


@pytest.mark.parametrize(
    ("found", "field", "words"),
    [
        ({"open": 1.0000000000000002}, "open", "expected open 1.0, found 1.0000000000000002"),
        ({"count": None}, "count", "expected count 4, found nothing"),
        ({"volume": 5.1}, "volume", "expected volume 5.0, found 5.1"),
        ({"volume": None}, "volume", "expected volume 5.0, found nothing"),
        ({"turnover": 1e6 + 1e-3}, "vwap", "expected vwap 200000.0, found 200000.0002"),
        ({"turnover": None}, "vwap", "expected vwap 200000.0, found nothing"),
        ({"turnover": None, "volume": 0.0}, "volume,turnover", "turnover 1000000.0, found nothing"),
        ({"turnover": 2e6, "volume": 0.0}, "volume,turnover", "turnover 1000000.0, found 2000000.0"),
    ],
)
def test_different(found: dict[str, Any], field: str, words: str) -> None:
    """Every other difference is told with both values."""
    ((kind, name, detail),) = differences(**found)
    assert (kind, name) == ("different", field)
    assert detail.startswith("1970-01-01T00:00:00.000000000Z: ")
    assert words in detail


NET = {**CANDLE, **GROSS, "volume": 1e-16, "turnover": -2e-9}


def test_sums_that_nearly_cancel() -> None:
    """Rounding is a part of what is added, not of the sum, which is nearly zero where signs differ."""
    assert differences(NET, volume=2e-16, turnover=3e-9) == []
    ((_, field, _),) = differences(NET, volume=1e-10, turnover=-2e-9)
    assert field == "volume"


def test_sums_of_many_trades() -> None:
    """The more trades are added, the more rounding there may be: a million times 0.1 is off by more than 1e-11."""
    total = 0.0
    for _ in range(1_000_000):
        total += 0.1
    many = {**CANDLE, **GROSS, "count": 1_000_000, "volume": 100_000.0, "gross volume": 100_000.0}
    assert abs(total - 100_000) > 1e-11 * total
    assert differences(many, volume=total, count=1_000_000) == []
    assert [field for _, field, _ in differences(many, volume=total + 0.001, count=1_000_000)] == ["volume"]


def test_sums_that_no_float_bounds() -> None:
    """If the gross is infinite, sums are compared exactly: infinity bounds nothing."""
    vast = {**CANDLE, **GROSS, "gross turnover": float("inf")}
    assert differences(vast) == []
    assert [field for _, field, _ in differences(vast, turnover=1e6 + 1e-9)] == ["vwap"]


def test_a_turnover_without_volume() -> None:
    """Where the volume is zero on both sides there is no VWAP; then the turnover is told."""
    found = differences({**CANDLE, **GROSS, "volume": 0.0}, volume=0.0, turnover=5.0)
    assert [(field, detail[32:]) for _, field, detail in found] == [
        ("turnover", "expected turnover 1000000.0, found 5.0")
    ]


def test_integers_are_exact() -> None:
    """A volume of integers is compared exactly, however large it is."""
    schema = {**dict(pl.DataFrame([CANDLE | GROSS]).schema), "volume": pl.Int64}
    sides = [pl.DataFrame([{**CANDLE, **GROSS, "volume": 2**60 + number}], schema=schema) for number in (0, 1)]
    (difference,) = compare_candles(PLAN, *sides, 1e-11)
    assert difference.field == "volume"


def test_candles_of_one_side() -> None:
    """Candles that one side has are missing or surplus, in the order of time and series."""
    here = pl.DataFrame([CANDLE | GROSS, {**CANDLE, **GROSS, "start": 60, "count": 1}])
    there = pl.DataFrame([CANDLE, {**CANDLE, "t0": "B", "count": None}])
    found = [(each.kind, each.series, each.detail[32:]) for each in compare_candles(PLAN, here, there, 1e-11)]
    assert found == [
        ("surplus", "symbol=B", "a candle of 0 trades that the dataset does not have"),
        ("missing", "symbol=A", "expected a candle of 1 trade"),
    ]
