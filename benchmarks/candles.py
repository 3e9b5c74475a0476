"""Minute candles of staged trades beside DuckDB, which computes the same into one file: seconds and peak memory.

``python -m benchmarks.candles [TRADES]`` prints a table; each runs in a process of its own, with a gigabyte for
DuckDB. Of several trades at the first or last time of a minute, DuckDB takes any; the loader takes the highest price.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loader.staging import StageSettings, stage

TRADES = 30_000_000
_DUCKDB = """
import duckdb, json, resource, sys, time
source, folder = sys.argv[1:]
database = duckdb.connect(config={"memory_limit": "1GB", "threads": 2, "temp_directory": folder + "/temp"})
database.execute("SET enable_progress_bar = false")  # it would stand on stdout
began = time.monotonic()
minute = "epoch_ns(timestamp) // 60000000000"
(candles,) = database.execute(
    f"COPY (SELECT symbol, arg_min(price, timestamp) AS open, max(price) AS high, min(price) AS low,"
    " arg_max(price, timestamp) AS close, count(*) AS count, sum(amount) AS volume,"
    f" sum(price * amount) / sum(amount) AS vwap, {minute} AS minute FROM '{source}/**/*.parquet'"
    f" GROUP BY symbol, minute ORDER BY minute // 1440, symbol, minute) TO '{folder}/x.parquet'"
    " (FORMAT parquet, COMPRESSION zstd)"
).fetchone()
seconds = time.monotonic() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak_memory": peak, "candles": candles}))
"""


def run(trades: int = TRADES, dataset: str = "") -> dict[str, Any]:
    """Compute the candles of ``trades`` new trades, or of those of ``dataset``, twice; both must have as many."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = Path(dataset) if dataset else folder / "data"
        if not dataset:
            stage(StageSettings(out=source, trades=trades))
        staged = _output(["-m", "loader", "candles", source, "--out", folder / "candles", "--json"])
        duckdb = _output(["-c", _DUCKDB, source, folder])
    if staged["candles"] != duckdb["candles"]:
        raise RuntimeError(f"the loader makes {staged['candles']:,} candles, DuckDB {duckdb['candles']:,}")
    ours = {name: staged[name] for name in ("seconds", "cpu_seconds", "peak_memory", "candles")}
    return {"trades": staged["rows"], "candles": ours["candles"], "loader candles": ours, "DuckDB": duckdb}


def _output(arguments: list[Any]) -> Any:
    command = [sys.executable, *map(str, arguments)]
    before = _cpu_seconds()
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found.get("report", found) | {"cpu_seconds": _cpu_seconds() - before}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    head = f"{result['trades']:,} trades, {result['candles']:,} candles"
    lines = [f"| {head} | seconds | CPU-seconds | M trades/s | peak memory, GiB |", "|---|---|---|---|---|"]
    for name in ("loader candles", "DuckDB"):
        found = result[name]
        rate = result["trades"] / found["seconds"] / 1e6
        times = f"{found['seconds']:.1f} | {found['cpu_seconds']:.1f}"
        lines.append(f"| {name} | {times} | {rate:.1f} | {found['peak_memory'] / 2**30:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(table(run(int(arguments[0]) if arguments else TRADES, *arguments[1:])))
