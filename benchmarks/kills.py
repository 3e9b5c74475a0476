"""kill -9 of the loader, then of the server, at random moments of a restore; each time it is resumed and verified.

``python -m benchmarks.kills [TIMES] [TRADES]`` says how each went, and ends with an error at the first difference.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.restoring import command, stage_trades
from benchmarks.servers import require_binary
from tools.influxd import RunningServer, start


def run(times: int = 10, trades: int = 12_000_000, seed: int = 1) -> dict[str, Any]:
    """Kill each ``times`` times while ``trades`` trades are restored by days."""
    binary = require_binary("v2")
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        data = stage_trades(Path(folder) / "data", trades)
        server = start(binary, Path(folder) / "server")
        try:
            started = time.monotonic()
            command(server, "whole", *_restore(data))
            whole = time.monotonic() - started
            kills = {"loader": _kill_loader, "server": _kill_server}
            return {
                "trades": trades,
                "seconds_of_a_whole_restore": whole,
                "rounds": [
                    _said(_round(server, data, f"{name} {number}", kill, chance.uniform(0.45, 0.85) * whole))
                    for name, kill in kills.items()
                    for number in range(times)
                ],
            }
        finally:
            server.stop()


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """Tell how a round went while the others run."""
    print(f"killed {row['killed']}: {row['rows_before']:,} rows resumed, {row['differences']} differences", flush=True)
    return row


def _restore(data: Path) -> tuple[str, ...]:
    return ("load", str(data), "--via", "restore", "--shard-duration", "1d")


def _round(server: RunningServer, data: Path, bucket: str, kill: Callable[..., int], seconds: float) -> dict[str, Any]:
    """Kill after ``seconds``, resume, and have every value verified."""
    environment = {"INFLUX_HOST": server.url, "INFLUX_ORG": server.org, "INFLUX_TOKEN": server.token}
    with subprocess.Popen(
        [sys.executable, "-m", "loader", *_restore(data), "--bucket", bucket, "--quiet"],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(seconds)
        code = kill(server, process)
    resumed = command(server, bucket, *_restore(data))["report"]
    verified = command(server, bucket, "verify", str(data), "--values")["report"]
    return {
        "killed": bucket,
        "after_seconds": round(seconds, 2),
        "exit_code": code,
        "rows_before": resumed["rows_resumed"],
        "differences": verified["difference_count"],
    }


def _kill_loader(server: RunningServer, process: subprocess.Popen[bytes]) -> int:
    process.kill()
    return process.wait()


def _kill_server(server: RunningServer, process: subprocess.Popen[bytes]) -> int:
    """Kill the server and start it again; the loader goes on by itself, or has ended with an error of its own."""
    server.kill()
    server.restart()
    return process.wait()


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = ["| killed | after s | exit code | rows resumed | differences |", "|---|---|---|---|---|"]
    names = ("killed", "after_seconds", "exit_code", "rows_before", "differences")
    lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in result["rounds"]]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(*(int(text) for text in sys.argv[1:]))))
