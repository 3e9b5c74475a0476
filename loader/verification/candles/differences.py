"""Compares candles: prices and counts exactly, sums of floats within a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from loader.dataset.instant import instant
from loader.servers.frames import tag_columns
from loader.staging.candles.aggregate import GROSS
from loader.staging.candles.plan import CandlePlan
from loader.verification.differences import FOUND, series_text
from loader.verification.settings import Difference
from loader.verification.texts import cut

EXACT = ("open", "high", "low", "close", "count")
_ROUNDING = 2.0**-52
"""Most that two sums of n floats may differ by, in whatever order they are added: n times so much of their gross."""


def compare_candles(
    plan: CandlePlan, expected: pl.DataFrame, found: pl.DataFrame, tolerance: float
) -> Iterator[Difference]:
    """Yield a difference for each candle that differs, by time and series.

    Both have the tags ``t0``, …, ``start``, and the values of candles, with ``turnover`` in place of VWAP; ``expected``
    has GROSS, too. Sums of floats may differ by ``tolerance`` of the gross, or by what rounding makes of so many trades
    if that is more; a zero has no sign.
    """
    tags = tag_columns(len(plan.by))
    names = [*EXACT, *(name for name in ("volume", "turnover") if name in expected.columns)]
    both = expected.with_columns(pl.lit(value=True).alias("in dataset")).join(
        found.with_columns(pl.lit(value=True).alias("on server")),
        on=[*tags, "start"],
        how="full",
        coalesce=True,
        suffix=FOUND,
        nulls_equal=True,
    )
    differs = [_differs(name, both.schema[name], tolerance).alias(f"{name} differs") for name in names]
    both = both.with_columns(differs)
    wrong = both.filter(pl.any_horizontal(f"{name} differs" for name in names))
    for row in wrong.sort("start", *tags).iter_rows(named=True):
        series = series_text(plan.columns, [row[tag] for tag in tags])
        start = instant(row["start"])
        if row["on server"] is None:
            yield Difference("missing", start[:10], series, "", f"{start}: expected a candle of {_trades(row, '')}")
        elif row["in dataset"] is None:
            detail = f"{start}: a candle of {_trades(row, FOUND)} that the dataset does not have"
            yield Difference("surplus", start[:10], series, "", detail)
        else:
            wanted, there = _shown(row, ""), _shown(row, FOUND)
            fields = [name for name in wanted if wanted[name] != there[name]]
            pairs = "; ".join(f"{name} {wanted[name]}, found {there[name]}" for name in fields)
            yield Difference("different", start[:10], series, cut(",".join(fields)), f"{start}: expected {pairs}")


def _differs(name: str, kind: pl.DataType, tolerance: float) -> pl.Expr:
    left, right = pl.col(name), pl.col(name + FOUND)
    if name in EXACT or kind.is_integer():
        return left.ne_missing(right)
    bound = pl.max_horizontal(pl.lit(tolerance), pl.col("count") * _ROUNDING) * pl.col(GROSS[name])
    rounded = bound.is_finite() & ((left - right).abs() <= bound)
    return (left.ne_missing(right) & ~rounded).fill_null(left.is_null() != right.is_null())


def _shown(row: dict[str, Any], suffix: str) -> dict[str, str]:
    """Return what differs in a candle, as texts; a turnover as the VWAP that it makes, if both sides have a volume."""
    shown = {}
    for column in (*EXACT, "volume", "turnover"):
        name = column
        if row.get(f"{name} differs"):
            value = row[name + suffix]
            if name == "turnover" and row["volume"] and row["volume" + FOUND]:
                name, value = "vwap", None if value is None else value / row["volume" + suffix]
            shown[name] = "nothing" if value is None else repr(value)
    return shown


def _trades(row: dict[str, Any], suffix: str) -> str:
    number = row["count" + suffix] or 0
    return f"{number:,} trade{'s' if number != 1 else ''}"
