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
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import polars as pl
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import WriteOptions

from loader.dataset.chunk import Chunk
from loader.dataset.reader import open_dataset
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
from tools.influxd import RunningServer, find_binary, start

CONNECTIONS = 3


def run(trades: int = 3_000_000, rounds: int = 10, others: int = 3) -> dict[str, Any]:
    """Load ``trades`` trades of three sessions ``rounds`` times by both ways, ``others`` times by all else."""
    binary = find_binary("v2")
    if binary is None:
        raise SystemExit("no influxd 2.9.1 here; build it: tools/build-influxd 2.9.1")
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
                with _new_server(binary) as server:
                    target = _target(server)
                    rates[name].append(trades / (replay(target, bodies) if name == "replay" else _load(data, target)))
                    if name == "loader" and number < others:
                        _verify(data, target, verified)
        for _ in range(others if find_spec("sluicebox") else 0):
            with _new_server(binary) as server:
                rates.setdefault("sluicebox", []).append(trades / _sluicebox(_target(server), data))
        part = bodies[: max(1, len(bodies) // 10)]
        lines = sum(body.count(b"\n") for body in part)
        with _new_server(binary) as server:
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


@contextmanager
def _new_server(binary: Path) -> Iterator[RunningServer]:
    """Run a server that has nothing yet: one that still compacts what came before would be slower."""
    with tempfile.TemporaryDirectory() as folder:
        server = start(binary, Path(folder))
        try:
            yield server
        finally:
            server.stop()


def _load(data: Path, target: Target) -> float:
    """Load the dataset as a user does; return the seconds."""
    return load(LoadSettings(data, target, connections=CONNECTIONS)).seconds


def _verify(data: Path, target: Target, rates: dict[str, list[float]]) -> None:
    """Verify the load in both ways and note the rates."""
    for name, measured in rates.items():
        report = verify(VerifySettings(data, target, values=name.endswith("--values")))
        assert report.difference_count == 0
        measured.append(report.rows / report.seconds)


def _target(server: RunningServer) -> Target:
    return Target(server.url, server.new_bucket(), server.org, server.token)


def ready_bodies(data: Path) -> Iterator[bytes]:
    """Yield the bodies that a load of the dataset would send."""
    manifest = open_dataset(data)
    for partition in manifest.partitions:
        chunk = Chunk(partition.path, 0, partition.rows)
        for payload in payloads(data, manifest.schema, partition, chunk, 20_000, lambda: 4_000_000, KnownRows()):
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


def _sluicebox(target: Target, data: Path) -> float:
    """Write the staged frames through sluicebox; return the seconds."""
    os.environ["SLUICEBOX_TOKEN"] = target.token
    connection = {"url": target.url, "version": 2, "database": target.bucket, "org": target.org}
    started = time.monotonic()
    with import_module("sluicebox").InfluxClient(connection=connection) as client:
        for path in sorted(data.rglob("*.parquet")):
            for part in pl.read_parquet(path, hive_partitioning=False).iter_slices(20_000):
                client.write(part, measurement="trades", tag_columns=["symbol", "side"], time_column="timestamp")
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
