"""The write path beside the replay of the same ready-made bodies, and verification, on a real 2.9.1 in one run.

The replay is the ceiling: it only sends. Each load meets a new server, and both ways take turns, so that drift of
the machine meets both; medians and ratios are what to quote.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import polars as pl
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import WriteOptions

from benchmarks.servers import new_server
from loader.dataset.manifest import read_manifest
from loader.encoding.warm import compile_line_encoder
from loader.loading import LoadSettings, load
from loader.loading.known_rows import KnownRows
from loader.loading.write_path.payloads import payloads
from loader.memory import measure_peak_memory
from loader.servers.base import Dialect, Target
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2
from loader.staging import StageSettings, stage
from loader.verification import VerifySettings, verify
from tools.influxd import RunningServer

CONNECTIONS = 3
TRADES = {"measurement": "trades", "tag_columns": ["symbol", "side"], "time_column": "timestamp"}
"""What sluicebox has to be told of the columns of staged trades."""


def run(trades: int = 3_000_000, rounds: int = 10, others: int = 3) -> dict[str, Any]:
    """Load ``trades`` trades of three sessions ``rounds`` times by both ways, ``others`` times by all else."""
    compile_line_encoder()
    rates: dict[str, list[float]] = {"replay": [], "loader": []}
    verified: dict[str, list[float]] = {"verify": [], "verify --values": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        stage(StageSettings(out=data, trades=trades, end=date(2024, 1, 5)))
        bodies = list(ready_bodies(data))
        for number in range(rounds):
            # In turn the one first and the other, for the machine may drift.
            for name in ("replay", "loader") if number % 2 else ("loader", "replay"):
                with new_server("v2") as server:
                    target = _target(server)
                    rates[name].append(trades / (replay(target, bodies) if name == "replay" else _load(data, target)))
                    if name == "loader" and number < others:
                        _verify(data, target, verified)
        for _ in range(others if find_spec("sluicebox") else 0):
            with new_server("v2") as server:
                rates.setdefault("sluicebox", []).append(trades / sluicebox(_target(server), data, TRADES))
        part = bodies[: max(1, len(bodies) // 10)]
        lines = sum(body.count(b"\n") for body in part)
        with new_server("v2") as server:
            rates["influxdb-client batching"] = [lines / _batching(server, part)]
    ratios = [mine / ceiling for mine, ceiling in zip(rates["loader"], rates["replay"], strict=True)]
    return {
        "trades": trades,
        "rates": {name: statistics.median(values) for name, values in rates.items()},
        "ratios_to_replay": ratios,
        "ratio_to_replay": statistics.median(ratios),
        "verify_rows_a_second": {name: statistics.median(values) for name, values in verified.items()},
        "peak_memory": measure_peak_memory(),
    }


def _load(data: Path, target: Target) -> float:
    """Load the dataset as a user does; return the seconds."""
    return load(LoadSettings(data, target, via="write", connections=CONNECTIONS)).seconds


def _verify(data: Path, target: Target, rates: dict[str, list[float]]) -> None:
    """Verify the load in both ways and note the rates."""
    for name, measured in rates.items():
        report = verify(VerifySettings(data, target, values=name.endswith("--values")))
        assert report.difference_count == 0
        measured.append(report.rows / report.seconds)


def _target(server: RunningServer) -> Target:
    return Target(server.url, server.new_bucket(), server.org, server.token)


def ready_bodies(data: Path) -> Iterator[bytes]:
    """Yield the bodies that a load of the dataset would send; one of somebody's own files was loaded before."""
    manifest = read_manifest(data)
    for partition in manifest.partitions:
        schema = manifest.schema_of(partition.path)
        for payload in payloads(data, schema, partition, partition.whole, 20_000, lambda: 4_000_000, KnownRows()):
            yield payload.body


def replay(target: Target, bodies: list[bytes], dialect: Dialect | None = None) -> float:
    """Send ready-made bodies over as many connections as the loader has, by default to 2.x; return the seconds."""
    dialect = dialect or InfluxDB2()
    work: Queue[bytes] = Queue()
    for body in bodies:
        work.put(body)

    def send() -> None:
        with Connection(target, 60.0) as connection:
            while True:
                try:
                    body = work.get_nowait()
                except Empty:
                    return
                assert connection.send(dialect.build_write(target, body, gzipped=False)).status == 204

    started = time.monotonic()
    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


def _batching(server: RunningServer, bodies: list[bytes]) -> float:
    """Write lines through influxdb-client's own batching WriteApi; return the seconds."""
    bucket = server.new_bucket()
    lines = [line for body in bodies for line in body.decode().splitlines()]
    started = time.monotonic()
    with (
        InfluxDBClient(server.url, server.token, org=server.org, timeout=60_000) as client,
        client.write_api(WriteOptions(batch_size=20_000)) as api,
    ):
        api.write(bucket, record=lines)
    return time.monotonic() - started


def sluicebox(target: Target, data: Path, options: Mapping[str, Any]) -> float:
    """Write a dataset's frames through sluicebox; ``options`` say what columns are. Return the seconds."""
    os.environ["SLUICEBOX_TOKEN"] = target.token
    connection = {"url": target.url, "version": 2, "database": target.bucket, "org": target.org}
    started = time.monotonic()
    with import_module("sluicebox").InfluxClient(connection=connection) as client:
        for path in sorted(data.rglob("*.parquet")):
            for part in pl.read_parquet(path, hive_partitioning=False).iter_slices(20_000):
                client.write(part, **options)
    return time.monotonic() - started


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    rates = result["rates"]
    ratios = {name: rate / rates["replay"] for name, rate in rates.items()} | {"loader": result["ratio_to_replay"]}
    lines = ["| write path, InfluxDB 2.9.1 | K points/s | of replay |", "|---|---|---|"]
    lines += [f"| {name} | {rate / 1e3:,.0f} | {ratios[name]:.2f} |" for name, rate in rates.items()]
    lines += [f"| {name} | {rate / 1e3:,.0f} | |" for name, rate in result["verify_rows_a_second"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000)))
