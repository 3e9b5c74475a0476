"""Staging beside DuckDB's COPY of equal columns, in one run: rows a second, bytes a trade, peak memory."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loader.staging import StageSettings, stage


def run(trades: int = 30_000_000) -> dict[str, Any]:
    """Stage ``trades`` trades, then let DuckDB copy them from memory-mapped Parquet to partitioned Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        report = stage(StageSettings(out=root / "staged", trades=trades))
        return {
            "trades": trades,
            "seconds": report.seconds,
            "rows_a_second": trades / report.seconds,
            "bytes_a_trade": report.size / trades,
            "peak_memory": report.peak_memory,
            "duckdb": _duckdb(root, trades),
        }


def _duckdb(root: Path, trades: int) -> dict[str, Any] | str:
    try:
        import duckdb  # noqa: PLC0415
    except ImportError:
        return "not installed"
    started = time.monotonic()
    with duckdb.connect() as database:
        database.execute("SET memory_limit = '2GB'")
        database.execute(f"SET temp_directory = '{root / 'spill'}'")
        database.execute(
            f"COPY (SELECT symbol, side, price, amount, timestamp, date FROM "
            f"read_parquet('{root}/staged/**/*.parquet', hive_partitioning = true)) "
            f"TO '{root}/copied' (FORMAT parquet, PARTITION_BY (date), COMPRESSION zstd)"
        )
    seconds = time.monotonic() - started
    size = sum(path.stat().st_size for path in (root / "copied").rglob("*.parquet"))
    return {"seconds": seconds, "rows_a_second": trades / seconds, "bytes_a_trade": size / trades}


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    rows = [("loader stage", result)]
    if isinstance(result["duckdb"], dict):
        rows.append(("DuckDB COPY", result["duckdb"]))
    lines = ["| staging | M rows/s | bytes a trade |", "|---|---|---|"]
    lines += [f"| {name} | {row['rows_a_second'] / 1e6:.1f} | {row['bytes_a_trade']:.1f} |" for name, row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else 30_000_000)))
