"""Candles in plain Python, as an oracle, and datasets of trades to compute them from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from loader.dataset.manifest import read_manifest

Trade = tuple[tuple[str, ...], int, Any, Any]
"""Series, time, price, amount."""


def slow_candles(trades: Iterable[Trade], every: int) -> dict[tuple[tuple[str, ...], int], dict[str, Any]]:
    """Return the candles of ``trades`` by series and start of the window."""
    groups: dict[tuple[tuple[str, ...], int], list[Trade]] = defaultdict(list)
    for trade in trades:
        groups[trade[0], trade[1] // every * every].append(trade)
    candles = {}
    for key, group in groups.items():
        first, last = min(trade[1] for trade in group), max(trade[1] for trade in group)
        prices = [trade[2] for trade in group]
        volume = math.fsum(trade[3] for trade in group) if isinstance(group[0][3], float) else sum(t[3] for t in group)
        turnover = math.fsum(float(trade[2]) * float(trade[3]) for trade in group)
        candles[key] = {
            "open": max(trade[2] for trade in group if trade[1] == first),
            "high": max(prices),
            "low": min(prices),
            "close": max(trade[2] for trade in group if trade[1] == last),
            "count": len(group),
            "volume": volume,
            "vwap": turnover / float(volume) if volume else None,
        }
    return candles


def staged_candles(root: Path) -> pl.DataFrame:
    """Return the candles of the dataset at ``root``, in its order, with times as integers and tags as text."""
    manifest = read_manifest(root)
    parts = [pl.read_parquet(root / part.path, hive_partitioning=False) for part in manifest.partitions]
    tags = pl.col(manifest.schema.tags).cast(pl.String)
    return pl.concat(parts, how="vertical_relaxed").with_columns(tags, pl.col("time").cast(pl.Int64))


def by_key(candles: pl.DataFrame, tags: tuple[str, ...]) -> dict[tuple[tuple[str, ...], int], dict[str, Any]]:
    """Return staged ``candles`` in the form of the oracle."""
    found = {}
    for row in candles.iter_rows(named=True):
        key = tuple(row.pop(tag) or "" for tag in tags)
        found[key, row.pop("time")] = row
    return found


def assert_same(found: dict[Any, dict[str, Any]], expected: dict[Any, dict[str, Any]]) -> None:
    """Compare candles: all values exactly, and sums of floats within their rounding."""
    assert found.keys() == expected.keys()
    for key, candle in expected.items():
        for name, value in candle.items():
            if name == "vwap" or (name == "volume" and isinstance(value, float)):
                same = found[key][name] is value or math.isclose(found[key][name], value, rel_tol=1e-9, abs_tol=1e-9)
                assert same, (key, name, found[key][name], value)
            else:
                assert found[key][name] == value, (key, name)
