"""The restore path beside the replay of ready-made line protocol on the same server, and every value verified.

Each round restores into a new bucket, verifies every value, and replays bodies into another, in turn, so that drift
of the machine meets all of them; medians and ratios are what to quote. The loader runs as a user runs it, so that its
memory is its own. ``python -m benchmarks.restoring 300000000`` does it for all trades.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.loading import ready_bodies, replay
from benchmarks.servers import require_binary
from loader.dataset.manifest import read_manifest
from loader.servers.base import Target
from loader.staging import StageSettings, stage
from tools.influxd import RunningServer, start

ALL_TRADES = 300_000_000
SESSIONS = 252
REPLAYED_BODIES = 100
"""Bodies of 20,000 lines each: enough seconds of the server's time for a rate."""


def run(trades: int = 24_000_000, rounds: int = 3) -> dict[str, Any]:
    """Restore and verify ``trades`` trades ``rounds`` times."""
    binary = require_binary("v2")
    with tempfile.TemporaryDirectory() as folder:
        data = stage_trades(Path(folder) / "data", trades)
        bodies = list(islice(ready_bodies(data), REPLAYED_BODIES))
        server = start(binary, Path(folder) / "server")
        try:
            return _measure(server, data, bodies, rounds)
        finally:
            server.stop()


def stage_trades(data: Path, trades: int) -> Path:
    """Stage ``trades`` trades, as many a day as all trades of a year have, and return their folder."""
    days = max(1, round(366 * trades / ALL_TRADES))
    end = min(date(2024, 12, 31), date(2024, 1, 2) + timedelta(days=days))
    stage(StageSettings(out=data, trades=trades, start=date(2024, 1, 2), end=end))
    return data


def command(server: RunningServer, bucket: str, *arguments: str) -> dict[str, Any]:
    """Run the loader's command line against a bucket and return its metrics; raises CalledProcessError."""
    environment = {
        **os.environ,
        "INFLUX_HOST": server.url,
        "INFLUX_ORG": server.org,
        "INFLUX_TOKEN": server.token,
        "INFLUX_BUCKET_NAME": bucket,
    }
    done = subprocess.run(
        [sys.executable, "-m", "loader", *arguments, "--json"],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    metrics: dict[str, Any] = json.loads(done.stdout)
    return metrics


def _measure(server: RunningServer, data: Path, bodies: list[bytes], rounds: int) -> dict[str, Any]:
    trades = read_manifest(data).rows
    lines = sum(body.count(b"\n") for body in bodies)
    figures: dict[str, list[float]] = {name: [] for name in ("restore", "replay", "values", "aggregates")}
    memory = {"restore": 0, "values": 0}
    # Once for the encoders to be compiled, which is not what is measured.
    command(server, "warm", "load", str(data), "--via", "restore", "--dry-run")
    for number in range(rounds):
        bucket = f"restored{number}"
        loaded = command(server, bucket, "load", str(data), "--via", "restore")
        figures["restore"].append(trades / loaded["report"]["seconds"])
        verified = command(server, bucket, "verify", str(data))
        figures["aggregates"].append(trades / verified["report"]["seconds"])
        values = command(server, bucket, "verify", str(data), "--values")
        figures["values"].append(trades / values["report"]["seconds"])
        memory["restore"] = max(memory["restore"], loaded["peak_memory"])
        memory["values"] = max(memory["values"], values["peak_memory"])
        target = Target(server.url, server.new_bucket(), server.org, server.token)
        figures["replay"].append(lines / replay(target, bodies))
    return {
        "trades": trades,
        "rates": {name: statistics.median(rates) for name, rates in figures.items()},
        "ratios_to_replay": [one / other for one, other in zip(figures["restore"], figures["replay"], strict=True)],
        "peak_memory": memory,
    }


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    rates, memory = result["rates"], result["peak_memory"]
    ratio = statistics.median(result["ratios_to_replay"])
    rows = [
        ("replay of ready-made line protocol", rates["replay"], "1", ""),
        ("restore", rates["restore"], f"{ratio:.1f}", f"{memory['restore'] / 2**30:.2f}"),
        ("verify", rates["aggregates"], "", ""),
        ("verify --values", rates["values"], "", f"{memory['values'] / 2**30:.2f}"),
    ]
    lines = [
        f"| {result['trades']:,} trades, InfluxDB 2.9.1 | M trades/s | of replay | peak GiB |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {rate / 1e6:.2f} | {of_replay} | {peak} |" for name, rate, of_replay, peak in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:]]
    print(table(run(*arguments)))
