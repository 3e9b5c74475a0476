"""Each way of loading and verifying, for datasets of several shapes, beside peers on the same real servers in one run.

``python -m benchmarks.ways [SHAPE ...]``. The loader runs as a user runs it; its seconds are those of its own reports.
A quarter of each dataset is loaded by the write path, in turn with a replay of the same bodies (the ceiling: it only
sends) and with sluicebox; the quarter and the whole are restored and verified, which tells how time grows with points.
Each load meets a new server. Ratios and medians are what to quote.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.loading import ready_bodies, replay, sluicebox
from benchmarks.restoring import command
from benchmarks.servers import new_server
from benchmarks.shapes import SHAPES, Shape, shape_of
from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest, read_manifest
from loader.encoding.warm import compile_line_encoder
from loader.loading.known_rows import KnownRows
from loader.loading.write_path.payloads import payloads
from loader.servers.base import Target
from loader.servers.v1 import InfluxDB1
from tools.influxd import RunningServer

PARTS = 4
STAND_IN_LINES = 10_000
"""Lines of a body of TSBS's own loader, which sends rows in time order, without compression, by three workers."""


def run(names: Sequence[str] = (), rounds: int = 3) -> dict[str, Any]:
    """Measure the shapes with these names, by default all."""
    results = {}
    for shape in [shape_of(name) for name in names] or SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            results[shape.name] = _measure(shape, Path(folder), rounds)
        print(json.dumps({shape.name: results[shape.name]}), file=sys.stderr)
    return results


def _measure(shape: Shape, folder: Path, rounds: int) -> dict[str, Any]:
    part = shape.write(folder / "part", shape.rows // PARTS)
    whole = shape.write(folder / "whole")
    with new_server("v2") as server:
        # Once for kernels to be compiled, which is not what is measured.
        command(server, "warm", "load", str(whole), "--via", "restore", "--dry-run", *shape.flags)
    compile_line_encoder()
    result: dict[str, Any] = {"rows": shape.rows, "series": shape.series, "fields": shape.fields}
    result["part"] = _restored(shape, part, rounds)
    result["whole"] = _restored(shape, whole, rounds)
    for name in ("restore", "verify", "verify --values"):
        seconds = result["whole"][name]["seconds"] / result["part"][name]["seconds"]
        result["whole"][name]["exponent"] = math.log(seconds) / math.log(PARTS)
    if shape.by_lines:
        result["write"] = _written(shape, part, rounds)
    if shape.name == "monitoring":
        result["write on 1.8.10"] = _written_to_1(shape, part, rounds)
    return result


def _restored(shape: Shape, data: Path, rounds: int) -> dict[str, Any]:
    """Restore the dataset and verify it both ways; return medians of seconds and CPU-seconds, and peaks of memory."""
    commands = {
        "restore": ("load", str(data), "--via", "restore", *shape.flags),
        "verify": ("verify", str(data)),
        "verify --values": ("verify", str(data), "--values"),
    }
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        with new_server("v2") as server:
            for name, arguments in commands.items():
                figures[name].append(_figures(command(server, "restored", *arguments)))
    return {
        name: {key: statistics.median(each[key] for each in measured) for key in measured[0]}
        for name, measured in figures.items()
    }


def _figures(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        "seconds": metrics["report"]["seconds"],
        "cpu_seconds": metrics["cpu_seconds"],
        "peak_memory": metrics["peak_memory"],
    }


def _written(shape: Shape, data: Path, rounds: int) -> dict[str, Any]:
    """Load the dataset by the write path, in turn with peers; return medians of rows a second and of ratios."""
    bodies: list[bytes] = []
    rates: dict[str, list[float]] = {"loader": [], "replay": []}
    for number in range(rounds + 1):
        # The first round leaves the manifest, from which bodies are made, and is not counted.
        ways = ["loader", "replay", *(["sluicebox"] if find_spec("sluicebox") else [])] if number else ["loader"]
        for way in ways if number % 2 else reversed(ways):
            with new_server("v2") as server:
                target = Target(server.url, server.new_bucket(), server.org, server.token)
                match way:
                    case "loader":
                        seconds = _load(shape, data, server, target)
                    case "replay":
                        seconds = replay(target, bodies)
                    case _:
                        seconds = sluicebox(target, data, shape.frame_options)
            rates.setdefault(way, []).append(shape.rows // PARTS / seconds)
        if not number:
            rates["loader"].clear()
            bodies = list(ready_bodies(data))
    return _medians(rates)


def _written_to_1(shape: Shape, data: Path, rounds: int) -> dict[str, Any]:
    """Load the dataset into 1.8.10, in turn with a replay of what TSBS's own loader would send."""
    bodies = _stand_in(data, read_manifest(data), shape.series)
    rates: dict[str, list[float]] = {"loader": [], "replay": []}
    for number in range(rounds):
        for way in ("loader", "replay") if number % 2 else ("replay", "loader"):
            with new_server("v1") as server:
                target = Target(server.url, server.new_bucket(), server.org, server.token)
                dialect = InfluxDB1()
                seconds = _load(shape, data, server, target) if way == "loader" else replay(target, bodies, dialect)
            rates[way].append(shape.rows // PARTS / seconds)
    return _medians(rates)


def _medians(rates: dict[str, list[float]]) -> dict[str, Any]:
    ratios = {
        name: statistics.median(mine / other for mine, other in zip(rates["loader"], others, strict=True))
        for name, others in rates.items()
        if name != "loader"
    }
    return {"rates": {name: statistics.median(each) for name, each in rates.items()}, "loader_to": ratios}


def _load(shape: Shape, data: Path, server: RunningServer, target: Target) -> float:
    report = command(server, target.bucket, "load", str(data), "--via", "write", *shape.flags)["report"]
    return float(report["seconds"])


def _stand_in(data: Path, manifest: Manifest, series: int) -> list[bytes]:
    """Return bodies of STAND_IN_LINES lines in time order."""
    (partition,) = manifest.partitions
    lines: list[bytes] = []
    for first in range(0, partition.rows, series):
        # A row of each series at a time, so that none are brought together.
        chunk = Chunk(partition.path, first, min(first + series, partition.rows))
        for payload in payloads(data, manifest.schema, partition, chunk, series, lambda: 1 << 30, KnownRows()):
            lines += payload.body.splitlines(keepends=True)
    return [b"".join(lines[first : first + STAND_IN_LINES]) for first in range(0, len(lines), STAND_IN_LINES)]


def table(result: dict[str, Any]) -> str:
    """Return the result as a table, a shape a line; all but the write path is of the whole dataset."""
    lines = [
        "| shape | rows | series | fields | write, rows/s | of replay | of sluicebox | restore, rows/s | of write |"
        " M values a CPU-second | verify / restore | values / restore | exponents | peak GiB |",
        "|---" * 14 + "|",
    ]
    for name, each in result.items():
        whole, write = each["whole"], each.get("write", {"rates": {}, "loader_to": {}})
        restore = whole["restore"]["seconds"]
        rate, lines_rate = each["rows"] / restore, write["rates"].get("loader")
        ratios = [f"{write['loader_to'][peer]:.2f}" if peer in write["loader_to"] else "" for peer in _PEERS]
        cells = [
            name,
            f"{each['rows']:,}",
            f"{each['series']:,}",
            str(each["fields"]),
            f"{lines_rate:,.0f}" if lines_rate else "",
            *ratios,
            f"{rate:,.0f}",
            f"{rate / lines_rate:.1f}" if lines_rate else "",
            f"{each['rows'] * each['fields'] / whole['restore']['cpu_seconds'] / 1e6:.2f}",
            f"{whole['verify']['seconds'] / restore:.2f}",
            f"{whole['verify --values']['seconds'] / restore:.2f}",
            ", ".join(f"{whole[way]['exponent']:.2f}" for way in ("restore", "verify", "verify --values")),
            ", ".join(f"{whole[way]['peak_memory'] / 2**30:.2f}" for way in ("restore", "verify", "verify --values")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if "write on 1.8.10" in result.get("monitoring", {}):
        on_1 = result["monitoring"]["write on 1.8.10"]
        lines += ["", f"monitoring on InfluxDB 1.8.10: {on_1['loader_to']['replay']:.2f} of what TSBS's loader sends"]
    return "\n".join(lines)


_PEERS = ("replay", "sluicebox")


if __name__ == "__main__":
    print(table(run(sys.argv[1:])))
