"""Unsorted trades in one file, staged by their series and time: beside DuckDB's own sort, which makes one file.

``python -m benchmarks.sorting [ROWS]`` prints a table: for CSV and Parquet, seconds and peak memory of both, each in a
process of its own. What DuckDB makes is no dataset yet: nothing is parted by days, merged, checked or listed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

ROWS = 50_000_000
_PIECE = 1_000_000
_FIRST, _MONTH = 1_704_067_200_000_000_000, 30 * 86_400_000_000_000
_COPY = """
import duckdb, json, resource, sys, time
source, folder = sys.argv[1:]
database = duckdb.connect(config={"memory_limit": "1GB", "threads": 2, "temp_directory": folder + "/temp"})
database.execute("SET enable_progress_bar = false")  # it would stand on stdout
began = time.monotonic()
database.sql(
    f"COPY (SELECT * FROM '{source}' ORDER BY symbol, side, time) TO '{folder}/x.parquet'"
    " (FORMAT parquet, COMPRESSION zstd)"
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.monotonic() - began, "peak_memory": peak}))
"""


def write_trades(folder: Path, rows: int) -> dict[str, Path]:
    """Write trades in no order as CSV and as Parquet; their times are integers of nanoseconds in CSV."""
    chance = np.random.default_rng(7)
    symbols, sides = np.array([f"S{number:03}" for number in range(100)]), np.array(["buy", "sell"])
    paths = {kind: folder / f"trades.{kind}" for kind in ("csv", "parquet")}
    writer: pq.ParquetWriter | None = None
    with paths["csv"].open("wb") as file:
        for start in range(0, rows, _PIECE):
            count = min(_PIECE, rows - start)
            times = pa.array(_FIRST + chance.integers(0, _MONTH, count))
            columns = {
                "symbol": pa.array(symbols[chance.integers(0, len(symbols), count)]),
                "side": pa.array(sides[chance.integers(0, 2, count)]),
                "price": chance.random(count).round(4) * 1_000,
                "amount": chance.integers(1, 1_000, count),
            }
            pc.write_csv(pa.table({**columns, "time": times}), file, pc.WriteOptions(include_header=start == 0))
            table = pa.table({**columns, "time": times.cast(pa.timestamp("ns", "UTC"))})
            writer = writer or pq.ParquetWriter(paths["parquet"], table.schema, compression="zstd")
            writer.write_table(table)
    if writer:
        writer.close()
    return paths


def run(rows: int = ROWS) -> dict[str, Any]:
    """Stage both files, and have DuckDB sort them."""
    results: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, path in write_trades(folder, rows).items():
            arguments = ["stage", "--from", path, "--out", folder / kind, "--measurement", "trades", "--time", "time"]
            arguments += ["--tag", "symbol,side", "--on-duplicate", "last", "--json"]
            unit = ["--time-unit", "ns"] if kind == "csv" else []
            report = _output(["-m", "loader", *arguments, *unit])["report"]
            results[kind] = {
                "loader": {name: report[name] for name in ("seconds", "peak_memory")},
                "DuckDB": _output(["-c", _COPY, path, folder]),
            }
    return results


def _output(arguments: list[Any]) -> Any:
    command = [sys.executable, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = [f"| {result['rows']:,} unsorted rows | seconds | peak memory, GiB |", "|---|---|---|"]
    for kind in ("csv", "parquet"):
        for name, found in result[kind].items():
            lines.append(f"| {kind}, {name} | {found['seconds']:.1f} | {found['peak_memory'] / 2**30:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(*(int(text) for text in sys.argv[1:]))))
