"""The connections that a load finds by itself, beside fixed numbers: on loopback, and behind 40 ms; and a held rate.

``python -m benchmarks.connections [TRADES]``. Each load meets a new server, and all take turns, so that drift of the
machine meets all; medians and ratios are what to quote. Behind the latency bodies are small, because a large one is
mostly the work of the server, which has this machine only.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.latency import slow_way
from benchmarks.servers import new_server
from loader.encoding.warm import compile_line_encoder
from loader.loading import LoadReport, LoadSettings, WriteSettings, load
from loader.loading.write_path import write as write_path
from loader.loading.write_path.connection_limit import fixed
from loader.servers.base import Target
from loader.staging import StageSettings, stage

MILLISECONDS = 40
BATCH_LINES = 2_000
RATE = 50_000.0
LOOPBACK = (1, 2, 3, 6, 12, 0)
SLOW = (1, 3, 12, 32, 0)
"""Numbers of connections; 0 is what the load finds."""


def run(trades: int = 12_000_000, rounds: int = 3) -> dict[str, Any]:
    """Load ``trades`` trades ``rounds`` times with each number; behind the latency a tenth of them over one."""
    compile_line_encoder()
    with tempfile.TemporaryDirectory() as folder:
        data = _stage(Path(folder) / "data", trades)
        part = _stage(Path(folder) / "part", max(1, trades // 10))
        loopback: dict[int, list[LoadReport]] = {}
        slow: dict[int, list[LoadReport]] = {}
        for number in range(rounds):
            for connections in LOOPBACK[:: -1 if number % 2 else 1]:
                loopback.setdefault(connections, []).append(_load(data, connections))
            for connections in SLOW[:: -1 if number % 2 else 1]:
                few = part if connections == 1 else data
                slow.setdefault(connections, []).append(_load(few, connections, milliseconds=MILLISECONDS))
        held = _load(part, 0, rate=RATE)
    return {
        "trades": trades,
        "loopback": _figures(loopback),
        f"{MILLISECONDS} ms": _figures(slow),
        "rate_held": held.rows / held.seconds / RATE,
    }


def _stage(data: Path, trades: int) -> Path:
    stage(StageSettings(out=data, trades=trades, end=date(2024, 1, 31)))
    return data


def _load(data: Path, connections: int, milliseconds: int = 0, rate: float = 0.0) -> LoadReport:
    with ExitStack() as stack:
        server = stack.enter_context(new_server("v2"))
        url = stack.enter_context(slow_way(server.url, milliseconds)) if milliseconds else server.url
        if connections:
            stack.enter_context(patch.object(write_path, "adaptive", lambda most: fixed(connections)))
        target = Target(url, server.new_bucket(), server.org, server.token)
        write = WriteSettings(batch_lines=BATCH_LINES) if milliseconds else WriteSettings(rate=rate)
        return load(LoadSettings(data, target, via="write", write=write))


def _figures(reports: dict[int, list[LoadReport]]) -> list[dict[str, Any]]:
    rates = {number: [each.rows / each.seconds for each in runs] for number, runs in reports.items()}
    best = max(statistics.median(values) for number, values in rates.items() if number)
    one = statistics.median(rates[1])
    return [
        {
            "connections": number or f"found: up to {max(each.connections for each in reports[number])}",
            "rate": statistics.median(values),
            "spread": (max(values) - min(values)) / statistics.median(values),
            "of_best": statistics.median(values) / best,
            "of_one": statistics.median(values) / one,
        }
        for number, values in rates.items()
    ]


def table(result: dict[str, Any]) -> str:
    """Return the result as two tables."""
    lines = []
    for way in ("loopback", f"{MILLISECONDS} ms"):
        lines += [f"| {way}: connections | K points/s | spread | of the best fixed | of one |", "|---|---|---|---|---|"]
        lines += [
            f"| {row['connections']} | {row['rate'] / 1e3:,.0f} | {row['spread']:.0%} | {row['of_best']:.2f}"
            f" | {row['of_one']:.1f} |"
            for row in result[way]
        ]
        lines.append("")
    lines.append(f"--rate {RATE:,.0f}: {result['rate_held']:.3f} of it")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000_000)))
