"""Aggregates trades to candles with Polars; pure, with no input or output.

Trades have the columns ``keys`` of their series, ``time`` (Int64 nanoseconds), ``price`` and perhaps ``amount``,
without nulls. Parts of candles have ``keys``, ``start`` (of the window), the times ``first`` and ``last``, and what is
merged. The open is the price of the first time, the close that of the last time; of several trades at that time, the
highest price counts: so the order of rows does not matter, and FIRST() and LAST() of InfluxQL do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from loader.dataset.instant import TIME_MIN, instant
from loader.errors import StageError

_WRAPPED = 2.0**62
"""A sum of 64-bit integers that wrapped is wrong by 2**64, and a sum of floats by far less."""
_CHECK, _CANDLE = "check", "candle"
GROSS = {"volume": "gross volume", "turnover": "gross turnover"}
"""Sums of the same numbers without their signs: the rounding of a sum is a part of these."""
_RUN_ROWS = 8
"""Average rows of a run from which runs are worth more than candles that are merged at once."""


def aggregate(trades: pl.DataFrame, keys: Sequence[str], every: int, *, gross: bool = False) -> pl.DataFrame:
    """Return parts of the candles of ``trades``, of which several may belong to one candle; ``gross`` adds GROSS.

    A part is a run of one series and window with ascending times: rows in series order have long runs. The runs of
    other orders are short, and are merged. Raises StageError as ``merge_parts`` does, and for a window that begins
    before the first time that InfluxDB stores.
    """
    _refuse_first_window(trades, every)
    time, price, amount = pl.col("time"), pl.col("price"), pl.col("amount")
    if trades["price"].dtype.is_float():  # the sign of a zero would depend on the order of rows
        trades = trades.with_columns(price=pl.when(price == 0).then(0.0).otherwise(price))
    dated = trades.with_columns(start=time // every * every)
    changes = [pl.col(key).ne_missing(pl.col(key).shift(1)) for key in (*keys, "start")]
    begins = pl.any_horizontal(*changes, time <= time.shift(1)).fill_null(value=True)
    columns = [
        *(pl.col(key).first() for key in (*keys, "start")),
        time.first().alias("first"),
        time.last().alias("last"),
        price.first().alias("open"),
        price.last().alias("close"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.len().cast(pl.Int64).alias("count"),
    ]
    if "amount" in trades.columns:
        dated = dated.with_columns(approximate=amount.cast(pl.Float64))
        dated = dated.with_columns(turnover=price.cast(pl.Float64) * pl.col("approximate"))
        columns += [
            amount.sum().alias("volume"),
            pl.col("turnover").sum(),
            pl.col("approximate").sum().alias(_CHECK),
        ]
        if gross:
            columns += [
                pl.col("approximate").abs().sum().alias(GROSS["volume"]),
                pl.col("turnover").abs().sum().alias(GROSS["turnover"]),
            ]
    run = begins.cast(pl.UInt32).cum_sum().set_sorted()
    parts = dated.with_columns(run=run).group_by("run", maintain_order=True).agg(columns).drop("run")
    parts = _unwrapped(parts)
    return merge_parts(parts, keys) if parts.height * _RUN_ROWS > trades.height else parts


def merge_parts(parts: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return ``parts`` merged to one for each series and window, by ``keys`` and time.

    Sums of floats are added in the order of ``parts``. Raises StageError when a volume is beyond 64 bits.
    """
    if "volume" in parts.columns:
        parts = parts.with_columns(pl.col("volume").cast(pl.Float64).alias(_CHECK))
    identity = [*keys, "start"]
    ordered = parts.sort(identity, maintain_order=True)
    changes = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in identity)
    candle = ordered.select(changes.cast(pl.UInt32).cum_sum()).to_series().set_sorted()
    first, last = pl.col("first"), pl.col("last")
    marked = ordered.with_columns(candle.alias(_CANDLE)).with_columns(
        pl.when(first == first.min().over(_CANDLE)).then("open").alias("open"),
        pl.when(last == last.max().over(_CANDLE)).then("close").alias("close"),
    )
    added = [name for name in ("count", "volume", "turnover", _CHECK, *GROSS.values()) if name in parts.columns]
    merged = marked.group_by(_CANDLE, maintain_order=True).agg(
        pl.col(identity).first(),
        first.min(),
        last.max(),
        pl.col("open", "close", "high").max(),
        pl.col("low").min(),
        pl.col(added).sum(),
    )
    return _unwrapped(merged.drop(_CANDLE))


def merge_sorted(parts: Iterable[pl.DataFrame], keys: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Merge ``parts`` that are sorted by ``keys`` and time, also across frames; memory is two frames."""
    held: pl.DataFrame | None = None
    for part in parts:
        if part.is_empty():
            continue
        merged = merge_parts(part if held is None else pl.concat([held, part.select(held.columns)]), keys)
        held = merged.tail(1)
        yield merged.head(-1)
    if held is not None:
        yield held


def finish(parts: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return whole candles: ``keys``, ``start`` and the fields; VWAP is null where the volume is 0.

    Raises StageError for a volume or VWAP that no float can hold.
    """
    columns = [*keys, "start", "open", "high", "low", "close", "count"]
    if "volume" not in parts.columns:
        return parts.select(columns)
    volume = pl.col("volume").cast(pl.Float64)
    vwap = pl.when(volume != 0).then(pl.col("turnover") / volume).alias("vwap")
    candles = parts.select(*columns, "volume", vwap)
    beyond = ~(volume.is_finite() & pl.col("vwap").is_finite().fill_null(value=True))
    _refuse(candles.filter(beyond), "is beyond what a float can hold")
    return candles


def _unwrapped(parts: pl.DataFrame) -> pl.DataFrame:
    """Return ``parts`` without the sums that show whether a volume of integers wrapped; raises StageError then."""
    if _CHECK not in parts.columns:
        return parts
    if parts["volume"].dtype.is_integer():
        wrapped = (pl.col("volume").cast(pl.Float64) - pl.col(_CHECK)).abs() > _WRAPPED
        _refuse(parts.filter(wrapped), "is beyond 64 bits")
    return parts.drop(_CHECK)


def _refuse(candles: pl.DataFrame, why: str) -> None:
    if candles.height:
        row: dict[str, Any] = candles.row(0, named=True)
        raise StageError(
            f"the volume or VWAP of a candle at {instant(row['start'])} {why}",
            hint="choose shorter windows, or leave the amount out",
        )


def _refuse_first_window(trades: pl.DataFrame, every: int) -> None:
    least = -(-TIME_MIN // every) * every
    earliest = trades["time"].min()
    if isinstance(earliest, int) and earliest < least:
        raise StageError(
            f"the candle of the trade at {instant(earliest)} would begin before the first time that InfluxDB stores",
            hint="leave out such trades",
        )
