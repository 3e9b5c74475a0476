"""What InfluxDB 3 tells of its tables: their columns, their files, and how many there may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeGuard

import numpy as np

from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.errors import ConfigError, Retryable, ServerError
from loader.servers.base import Dialect, Send, Target
from loader.servers.replies import reading
from loader.servers.sql import build_query, literal, read_rows
from loader.servers.v3 import InfluxDB3

MOST_COLUMNS = 500
"""Most columns of a table, tags, fields and time together."""
MOST_TABLES = 2_000
"""Most tables of all databases of a server."""
_TAG = "tag"
_TIME = "time"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "Dictionary(Int32, Utf8)": _TAG,
        "Float64": "float",
        "Int64": "integer",
        "UInt64": "unsigned",
        "Boolean": "boolean",
        "Utf8": "string",
        "Timestamp(ns)": _TIME,
    }
)


@dataclass(frozen=True)
class Files:
    """How many Parquet files the tables of a database have, and how many rows these have."""

    number: int
    rows: int


def has_tables(dialect: Dialect) -> TypeGuard[InfluxDB3]:
    """Tell whether servers of ``dialect`` hold measurements as tables, and answer SQL about them."""
    return isinstance(dialect, InfluxDB3)


def find_columns(send: Send, target: Target, measurement: str) -> dict[str, str]:
    """Return the columns of a measurement with their types: that of a field, "tag" or "time"; none without a table."""
    text = (
        "SELECT column_name, data_type FROM information_schema.columns"
        f" WHERE table_schema = 'iox' AND table_name = {literal(measurement)}"
    )
    reply = send(build_query(target, text))
    with reading(reply, "look for columns"):
        return {str(row["column_name"]): _TYPES.get(row["data_type"], row["data_type"]) for row in read_rows(reply)}


def find_extents(send: Send, target: Target, measurement: str) -> Integers:
    """Return first and last time (nanoseconds) of the points of each Parquet file of a measurement, as two columns.

    Memory is 16 bytes a file, and some 60 for each in the answer. What the server still holds in memory is in no file.
    """
    text = f"SELECT min_time, max_time FROM system.parquet_files WHERE table_name = {literal(measurement)}"
    reply = send(build_query(target, text))
    with reading(reply, "look for files"):
        found = [(int(row["min_time"]), int(row["max_time"])) for row in read_rows(reply)]
    return np.array(found, np.int64).reshape(-1, 2)


def count_files(send: Send, target: Target) -> Files:
    """Return what files the database has; their number changes while the server moves points from memory to files."""
    reply = send(build_query(target, "SELECT count(*) AS n, sum(row_count) AS r FROM system.parquet_files"))
    with reading(reply, "count files"):
        (row,) = read_rows(reply)
        return Files(int(row["n"]), int(row.get("r") or 0))


def check_room(send: Send, target: Target, schemas: Sequence[PointSchema]) -> None:
    """Raise ConfigError when the measurements ``schemas`` do not fit beside what the server has; raises ServerError.

    By the reference, not seen: which tables of other databases count. Where the server does not list these, it is not
    asked further: it refuses lines that do not fit, which are then rejected rows.
    """
    missing = []
    for schema in schemas:
        held = find_columns(send, target, schema.measurement)
        missing += [] if held else [schema.measurement]
        _check_columns(schema, held)
    if missing and (tables := _count_tables(send, target)) and tables + len(missing) > MOST_TABLES:
        raise ConfigError(
            f"{len(missing):,} measurements are new, and the server has {tables:,} tables of {MOST_TABLES:,} at most",
            hint="remove tables or databases that nobody needs, or use another server",
        )


def _check_columns(schema: PointSchema, held: Mapping[str, str]) -> None:
    """Raise ConfigError when the columns of ``schema`` do not fit beside those that the table has."""
    columns = {*schema.tags, *(field.column for field in schema.fields), _TIME} | held.keys()
    if len(columns) > MOST_COLUMNS:
        there = f", of which the server has {len(held):,}" if held else ""
        raise ConfigError(
            f"measurement {schema.measurement!r} would have {len(columns):,} columns{there}; InfluxDB 3 Core takes"
            f" {MOST_COLUMNS:,} at most, time included",
            hint="leave fields out (--field names those to load), or put them into several measurements",
        )
    wrong = [tag for tag in schema.tags if held.get(tag, _TAG) != _TAG]
    if wrong:
        raise ConfigError(
            f"{wrong[0]!r} is a tag in the dataset, and a field of type {held[wrong[0]]} in table"
            f" {schema.measurement!r}: all lines with it would be refused",
            hint="load into another database (--bucket) or measurement, or rename the column",
        )


def _count_tables(send: Send, target: Target) -> int:
    """Return how many tables all databases have, 0 where the server does not tell."""
    text = "SELECT count(*) AS n FROM system.tables WHERE deleted = false"
    try:
        reply = send(build_query(target, text, database="_internal"))
        with reading(reply, "count tables"):
            return sum(int(row["n"]) for row in read_rows(reply))
    except Retryable:
        raise
    except ServerError:
        return 0
