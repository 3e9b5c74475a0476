"""Small datasets with a manifest, made by hand: each day a partition, each series some rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.manifest import Manifest, Partition, write_manifest
from loader.dataset.schema import trades_schema

DAY = 86_400_000_000_000
JANUARY_2 = 1_704_153_600_000_000_000
ARROW = pa.schema(
    [
        ("symbol", pa.dictionary(pa.int32(), pa.string())),
        ("side", pa.dictionary(pa.int32(), pa.string())),
        ("price", pa.float64()),
        ("amount", pa.int64()),
        ("timestamp", pa.timestamp("ns", "UTC")),
    ]
)


def trades(day: int, symbols: Sequence[str], rows: int) -> pa.Table:
    """Return ``rows`` trades of each series on day ``day`` after 2024-01-02, in series order."""
    opening = JANUARY_2 + day * DAY + 52_200_000_000_000
    columns: dict[str, list[object]] = {name: [] for name in ARROW.names}
    for number, symbol in enumerate(symbols):
        for side in ("buy", "sell"):
            for row in range(rows):
                columns["symbol"].append(symbol)
                columns["side"].append(side)
                columns["price"].append(round(100 + number + row / 100, 2))
                columns["amount"].append(100 + row)
                columns["timestamp"].append(opening + row * 1_000_000_007 + number)
    return pa.table(columns, schema=ARROW)


def write_dataset(root: Path, tables: Sequence[pa.Table]) -> Manifest:
    """Write each table as one partition below ``root``, and the manifest."""
    partitions = []
    for table in tables:
        times = pl.from_arrow(table.select(["timestamp"])).to_series().cast(pl.Int64)  # type: ignore[union-attr]
        day = pl.Series([times[0]]).cast(pl.Datetime("ns")).dt.date()[0]
        path = root / f"date={day}" / "trades.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path, row_group_size=max(1, table.num_rows // 3))
        partitions.append(
            Partition(
                path=str(path.relative_to(root)),
                rows=table.num_rows,
                time_min=int(times.min()),  # type: ignore[arg-type]
                time_max=int(times.max()),  # type: ignore[arg-type]
                size=path.stat().st_size,
                checksum=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )
    manifest = Manifest((trades_schema(),), {}, {}, tuple(partitions), complete=True)
    write_manifest(root, manifest)
    return manifest


def small_dataset(root: Path, *, days: int = 3, symbols: Sequence[str] = ("AAPL", "MSFT"), rows: int = 50) -> Manifest:
    """Write ``days`` partitions with ``rows`` trades of each of the 2 x ``symbols`` series."""
    return write_dataset(root, [trades(day, symbols, rows) for day in range(days)])
