"""Small datasets and their line protocol, made by hand, for tests of verification."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from loader.dataset.manifest import Manifest, Partition, write_manifest
from loader.dataset.schema import PointSchema

MINUTE = 60_000_000_000
DAY = 86_400_000_000_000
FIRST_DAY = 1_704_153_600_000_000_000
"""2024-01-02T00:00:00Z."""


def trades(symbols: tuple[str, ...] = ("AAPL", "MSFT", "NVDA"), days: int = 3, points: int = 20) -> pl.DataFrame:
    """Return trades in series order within each day: one a minute from midnight on, each series."""
    return pl.DataFrame(
        [
            (
                symbol,
                side,
                100.0 + (index * 37 + day) % 50 / 100,
                1 + index * 7 % 90,
                FIRST_DAY + day * DAY + index * MINUTE + 1,
            )
            for day in range(days)
            for symbol in symbols
            for side in ("buy", "sell")
            for index in range(points)
        ],
        schema=["symbol", "side", "price", "amount", "timestamp"],
        orient="row",
    )


def _price(day: int, index: int) -> float:
    return 100.0 + (index * 37 + day) % 50 / 100


def _time(day: int, index: int) -> int:
    return FIRST_DAY + day * DAY + index * MINUTE + 1


def line(row: dict[str, object]) -> str:
    """Return a trade as line protocol."""
    return (
        f"trades,symbol={row['symbol']},side={row['side']}"
        f" price={row['price']!r},amount={row['amount']}i {row['timestamp']}"
    )


def write_dataset(root: Path, schema: PointSchema, rows: pl.DataFrame, *, partition_days: int = 1) -> Manifest:
    """Write ``rows`` (time as Int64 nanoseconds) as a dataset, one partition every ``partition_days``."""
    width = partition_days * DAY
    partitions = []
    for number, part in sorted(
        rows.group_by(pl.col(schema.time) // width, maintain_order=True), key=lambda pair: pair[0]
    ):
        path = f"part={number[0]}/points.parquet"
        times = part[schema.time]
        whole = part.with_columns(
            pl.col(schema.time).cast(pl.Datetime("ns", "UTC")),
            pl.col(schema.tags).cast(pl.Categorical),
        )
        (root / path).parent.mkdir(parents=True)
        pq.write_table(whole.to_arrow(), root / path)
        content = (root / path).read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        low, high = int(times.min()), int(times.max())
        partitions.append(Partition(path, part.height, low, high, len(content), checksum))
    manifest = Manifest((schema,), {}, {}, tuple(partitions), complete=True)
    write_manifest(root, manifest)
    return manifest
