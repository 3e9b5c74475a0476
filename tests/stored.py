"""What a real server holds of the trades of ``tests/datasets.py``, and what was staged."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import polars as pl


def ask(server: Any, bucket: str, statement: str) -> Any:
    """Return what InfluxQL, which both versions speak, says of ``bucket``."""
    params = urllib.parse.urlencode({"db": bucket, "q": statement, "epoch": "ns"})
    return json.loads(server.call(f"/query?{params}"))["results"][0]


def stored(server: Any, bucket: str) -> list[list[Any]]:
    """Return every stored point as (time, amount, price, side, symbol), sorted."""
    result = ask(server, bucket, "SELECT amount, price, side, symbol FROM trades")
    return sorted(result["series"][0]["values"]) if "series" in result else []


def expected(root: Path) -> list[list[Any]]:
    """Return every staged row in the form of ``stored``."""
    frame = pl.scan_parquet(root / "**/*.parquet", hive_partitioning=False).select(
        pl.col("timestamp").cast(pl.Int64),
        "amount",
        "price",
        pl.col("side").cast(pl.String),
        pl.col("symbol").cast(pl.String),
    )
    return sorted(list(row) for row in frame.collect().rows())


def delete_bucket(server: Any, name: str) -> None:
    """Delete a bucket of 2.x by name."""
    identity = json.loads(server.call(f"/api/v2/buckets?name={name}"))["buckets"][0]["id"]
    server.call(f"/api/v2/buckets/{identity}", method="DELETE")
