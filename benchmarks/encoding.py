"""Rows encoded per CPU-second: this loader beside influxdb-client and questdb, same trades, same run.

``python benchmarks/encoding.py`` prints a table. Each encoder gets the form of the trades that suits it, made
beforehand, and ends with line protocol in memory. CPU time of all threads is counted, and the best of some
repeats is taken, for the machine may be busy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

# Threads would blur CPU time; a value that is set already is kept.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import pyarrow as pa
from influxdb_client import Point, WritePrecision
from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
from influxdb_client.client.write_api import PointSettings

from loader.dataset.chunk import Chunk
from loader.dataset.reader import GROUP_ROWS
from loader.dataset.schema import trades_schema
from loader.encoding.line_protocol.encode import LineEncoder
from loader.encoding.selection import select_points

ROWS = 200_000
SYMBOLS = 70
FIRST_TIME = 1_704_205_800_000_000_000
SESSION = 23_400_000_000_000

Encoder = Callable[[], list[bytes]]
"""Encodes the trades it was made for into bodies."""


def trades(rows: int) -> pa.RecordBatch:
    """Return ``rows`` trades in series order, as they are staged: walking prices, heavy-tailed amounts."""
    generator = np.random.default_rng(1)
    series = np.sort(generator.integers(0, SYMBOLS * 2, rows))
    prices = np.round(100 + np.cumsum(generator.normal(0, 0.02, rows)), 2)
    shares = 1 + (generator.pareto(1.2, rows) * 50).astype(np.int64)
    amounts = np.where(generator.random(rows) < 0.4, shares // 100 * 100 + 100, shares)
    times = FIRST_TIME + np.sort(generator.choice(SESSION, rows, replace=False, shuffle=False))
    symbols = pa.array([f"SYM{number}" for number in range(SYMBOLS)])
    return pa.record_batch(
        {
            "symbol": pa.DictionaryArray.from_arrays(pa.array(series // 2, pa.int32()), symbols),
            "side": pa.DictionaryArray.from_arrays(pa.array(series % 2, pa.int32()), pa.array(["buy", "sell"])),
            "price": prices,
            "amount": amounts,
            "timestamp": pa.array(times, pa.timestamp("ns", "UTC")),
        }
    )


def ours(batch: pa.RecordBatch) -> Encoder:
    """Encode in batches as large as a staged row group, in bodies of 20,000 lines, as a load does."""
    schema = trades_schema()
    encoder = LineEncoder(schema)

    def call() -> list[bytes]:
        bodies = []
        for start in range(0, len(batch), GROUP_ROWS):
            rows = batch.slice(start, GROUP_ROWS)
            points = select_points(rows, schema, Chunk("trades", start, start + len(rows)))
            bodies += [lines.data for lines in encoder.encode(points, 20_000, lambda: 4_000_000)]
        return bodies

    return call


def client_points(batch: pa.RecordBatch) -> Encoder:
    """Encode by influxdb-client's ``Point``, one a row."""
    columns = [batch.column(name).cast(pa.int64()) if name == "timestamp" else batch.column(name) for name in NAMES]
    values = [column.to_pylist() for column in columns]

    def call() -> list[bytes]:
        lines = [
            Point("trades")
            .tag("symbol", symbol)
            .tag("side", side)
            .field("price", price)
            .field("amount", amount)
            .time(when)
            .to_line_protocol()
            for symbol, side, price, amount, when in zip(*values, strict=True)
        ]
        return ["\n".join(lines).encode()]

    return call


def client_frame(batch: pa.RecordBatch) -> Encoder:
    """Encode by influxdb-client's DataFrame serializer."""
    frame = batch.to_pandas().set_index("timestamp")

    def call() -> list[bytes]:
        lines = data_frame_to_list_of_points(
            frame,
            PointSettings(),
            WritePrecision.NS,
            data_frame_measurement_name="trades",
            data_frame_tag_columns=["symbol", "side"],
        )
        return ["\n".join(lines).encode()]

    return call


def questdb_native(batch: pa.RecordBatch) -> Encoder:
    """Encode by questdb's native encoder."""
    client = import_module("questdb._client")  # questdb.ingress, the public name, warns that it is deprecated
    frame = batch.to_pandas()

    def call() -> list[bytes]:
        buffer = client.Buffer(protocol_version=1)  # 2 writes binary doubles
        buffer.dataframe(frame, table_name="trades", symbols=["symbol", "side"], at="timestamp")
        return [bytes(buffer)]

    return call


NAMES = ("symbol", "side", "price", "amount", "timestamp")
ENCODERS: tuple[tuple[str, Callable[[pa.RecordBatch], Encoder], int], ...] = (
    ("loader", ours, 1),
    ("questdb native", questdb_native, 1),
    ("influxdb-client DataFrame", client_frame, 4),
    ("influxdb-client Point", client_points, 10),
)


def run(rows: int = ROWS, repeats: int = 5) -> dict[str, Any]:
    """Return rows per CPU-second and bytes a line of each encoder; None for one that is not installed."""
    results: dict[str, Any] = {}
    for name, prepare, fraction in ENCODERS:
        batch = trades(rows // fraction)
        try:
            call = prepare(batch)
        except ModuleNotFoundError as error:
            results[name] = missing(error)
            continue
        results[name] = measure(partial(_size, call), len(batch), repeats)
    return {"benchmark": "encoding", "rows": rows, "encoders": results}


def _size(encode: Encoder) -> int:
    return sum(map(len, encode()))


def measure(encode: Callable[[], int], rows: int, repeats: int) -> dict[str, Any]:
    """Return rows per CPU-second, the best of ``repeats``, and bytes a line; ``encode`` returns the size."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        size = encode()
        seconds.append(time.process_time() - start)
    return {"rows_per_cpu_second": rows / min(seconds), "bytes_a_line": size / rows}


def missing(error: ModuleNotFoundError) -> dict[str, Any]:
    """Return the figures of an encoder that is not installed."""
    return {"rows_per_cpu_second": None, "bytes_a_line": None, "missing": error.name}


def table(result: dict[str, Any], heading: str = "encoder", digits: int = 2) -> str:
    """Return the result as text."""
    lines = [f"{heading:28}{'M rows per CPU-second':>24}{'bytes a line':>16}{'ratio':>10}"]
    first = result["encoders"]["loader"]["rows_per_cpu_second"]
    for name, figures in result["encoders"].items():
        rate = figures["rows_per_cpu_second"]
        if rate is None:
            lines.append(f"{name:28}{'not installed: ' + figures['missing']:>24}")
        else:
            lines.append(f"{name:28}{rate / 1e6:24.{digits}f}{figures['bytes_a_line']:16.1f}{rate / first:10.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
