"""Trips of taxis, 19 mixed columns with nulls and times without a zone: Parquet to line protocol, beside others.

``python -m benchmarks.own_data`` prints a table. Each encoder reads the file and ends with line protocol in memory,
which it drops. CPU time of all threads is counted, and the best of some repeats is taken, for the machine may be busy.
The loader adopts the file first, and looks for duplicates, which is in its time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

# Threads would blur CPU time; a value that is set already is kept.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from influxdb_client import WritePrecision
from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
from influxdb_client.client.write_api import PointSettings

from benchmarks import encoding
from loader.dataset.mapping import ColumnMapping
from loader.dataset.policy import Policy
from loader.loading import LoadSettings, load
from loader.servers.base import Target

ROWS = 3_000_000
TAGS = ("VendorID", "store_and_fwd_flag", "payment_type")
TIME = "tpep_pickup_datetime"
BODY_ROWS = 20_000
_MONTH = 31 * 86_400_000_000
_FIRST = 1_704_067_200_000_000


def write_trips(path: Path, rows: int) -> None:
    """Write ``rows`` trips in the order of their times, as the taxi commission publishes them."""
    generator = np.random.default_rng(1)

    def money() -> Any:
        return (generator.random(rows) * 50).round(2)

    def sparse(values: Any) -> pa.Array:
        return pa.array(values, mask=generator.random(rows) < 0.05)

    begins = _FIRST + np.sort(generator.choice(_MONTH, rows, replace=False, shuffle=False))
    ends = begins + generator.integers(60, 3_600, rows) * 1_000_000
    columns = {
        "VendorID": pa.array(generator.integers(1, 3, rows), pa.int32()),
        TIME: pa.array(begins, pa.timestamp("us")),
        "tpep_dropoff_datetime": pa.array(ends, pa.timestamp("us")),
        "passenger_count": sparse(generator.integers(1, 6, rows)),
        "trip_distance": (generator.random(rows) * 10).round(2),
        "RatecodeID": sparse(generator.integers(1, 6, rows)),
        "store_and_fwd_flag": pa.array(np.where(generator.random(rows) < 0.01, "Y", "N")).cast(pa.large_string()),
        "PULocationID": pa.array(generator.integers(1, 265, rows), pa.int32()),
        "DOLocationID": pa.array(generator.integers(1, 265, rows), pa.int32()),
        "payment_type": generator.integers(0, 5, rows),
        "fare_amount": money(),
        "extra": generator.choice([0, 1, 2.5], rows),
        "mta_tax": generator.choice([0, 0.5], rows),
        "tip_amount": money(),
        "tolls_amount": generator.choice([0, 6.94], rows),
        "improvement_surcharge": generator.choice([0.3, 1.0], rows),
        "total_amount": money(),
        "congestion_surcharge": sparse(generator.choice([0, 2.5], rows)),
        "Airport_fee": sparse(generator.choice([0, 1.75], rows)),
    }
    pq.write_table(pa.table(columns), path)


def ours(path: Path) -> int:
    """Do all of a load but the sending; return the size of the line protocol."""
    mapping = ColumnMapping("trips", TIME, TAGS, policy=Policy("UTC"))
    settings = LoadSettings(path, Target("http://localhost:8086", "b"), mapping=mapping, dry_run=True)
    return load(settings).payload_size


def sluicebox(path: Path) -> int:
    """Encode by sluicebox's own serializer of Polars frames; no server is asked."""
    os.environ.setdefault("SLUICEBOX_TOKEN", "none")
    frames, package = import_module("sluicebox.frames"), import_module("sluicebox")
    client = package.InfluxClient(connection={"url": "http://127.0.0.1:1", "version": 2, "database": "b", "org": "o"})
    size = 0
    # It takes no times as fields, and none without a zone.
    zoned = pl.col(TIME).dt.replace_time_zone("UTC")
    trips = pl.read_parquet(path).with_columns(zoned, pl.col("tpep_dropoff_datetime").to_physical())
    for frame in trips.iter_slices(BODY_ROWS):
        chunks = frames.to_line_chunks(
            frame,
            serializer=client._serializer,
            database="b",
            precision="ns",
            measurement="trips",
            tag_columns=list(TAGS),
            field_columns=None,
            time_column=TIME,
            chunk_size=BODY_ROWS,
        )
        size += sum(chunk.nbytes for chunk in chunks)
    client.close()
    return size


def client_frame(path: Path) -> int:
    """Encode by influxdb-client's DataFrame serializer."""
    frame = pq.read_table(path).to_pandas().set_index(TIME)
    lines = data_frame_to_list_of_points(
        frame,
        PointSettings(),
        WritePrecision.NS,
        data_frame_measurement_name="trips",
        data_frame_tag_columns=list(TAGS),
    )
    return sum(map(len, lines))


ENCODERS: tuple[tuple[str, Callable[[Path], int], int], ...] = (
    ("loader", ours, 1),
    ("sluicebox", sluicebox, 10),
    ("influxdb-client DataFrame", client_frame, 30),
)
"""Name, encoder, and of how many of the rows it gets one."""


def run(rows: int = ROWS, repeats: int = 3) -> dict[str, Any]:
    """Return rows per CPU-second and bytes a line of each encoder; None for one that is not installed."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, encode, fraction in ENCODERS:
            path = Path(folder) / f"trips-{fraction}.parquet"
            write_trips(path, rows // fraction)
            try:
                encode(path)
            except ModuleNotFoundError as error:
                results[name] = encoding.missing(error)
                continue
            results[name] = encoding.measure(partial(encode, path), rows // fraction, repeats)
    return {"benchmark": "own data", "rows": rows, "encoders": results}


def table(result: dict[str, Any]) -> str:
    """Return the result as text."""
    return encoding.table(result, "19 columns of trips", digits=3)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)))
