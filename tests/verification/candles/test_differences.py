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
PLAN = plan_candles(CandleRule(), [trades_schema()])


def differences(**found: Any) -> list[tuple[str, str, str]]:
    """Return what is told when the server has a candle with other values."""
    sides = pl.DataFrame([CANDLE]), pl.DataFrame([{**CANDLE, **found}], schema=pl.DataFrame([CANDLE]).schema)
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
        ({"turnover": None, "volume": 0.0}, "volume,vwap", "vwap 200000.0, found nothing"),
    ],
)
def test_different(found: dict[str, Any], field: str, words: str) -> None:
    """Every other difference is told with both values."""
    ((kind, name, detail),) = differences(**found)
    assert (kind, name) == ("different", field)
    assert detail.startswith("1970-01-01T00:00:00.000000000Z: ")
    assert words in detail


def test_integers_are_exact() -> None:
    """A volume of integers is compared exactly, however large it is."""
    schema = {**dict(pl.DataFrame([CANDLE]).schema), "volume": pl.Int64}
    sides = [pl.DataFrame([{**CANDLE, "volume": 2**60 + number}], schema=schema) for number in (0, 1)]
    (difference,) = compare_candles(PLAN, *sides, 1e-11)
    assert difference.field == "volume"


def test_candles_of_one_side() -> None:
    """Candles that one side has are missing or surplus, in the order of time and series."""
    here = pl.DataFrame([CANDLE, {**CANDLE, "start": 60, "count": 1}])
    there = pl.DataFrame([CANDLE, {**CANDLE, "t0": "B", "count": None}])
    found = [(each.kind, each.series, each.detail[32:]) for each in compare_candles(PLAN, here, there, 1e-11)]
    assert found == [
        ("surplus", "symbol=B", "a candle of 0 trades that the dataset does not have"),
        ("missing", "symbol=A", "expected a candle of 1 trade"),
    ]
