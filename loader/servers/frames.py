"""The frames that answers of every dialect become, and the times in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from loader.encoding.columns import DTYPES
from loader.servers.base import AggregateQuery, PointsQuery

SECOND = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(time: int) -> str:
    """Return ``time`` (nanoseconds) as RFC 3339 with nine digits."""
    seconds, rest = divmod(time, SECOND)
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def nanoseconds(text: str) -> int:
    """Read an RFC 3339 time in UTC with up to nine digits after the second, or none."""
    whole, _, digits = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(f"{whole}+00:00") - EPOCH) // timedelta(seconds=1)
    return seconds * SECOND + int(digits.ljust(9, "0"))


def aggregate_frame(query: AggregateQuery, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """Return ``rows`` (tags, day, value) as ``Dialect.parse_aggregate`` promises.

    Series that differ in a tag outside the schema give several rows for one (tags, day): they are merged.
    """
    dtype = pl.Int64 if query.function == "count" else DTYPES[query.field.type]
    tags = query.schema.tags
    schema: dict[str, type[pl.DataType]] = {**dict.fromkeys(tags, pl.String), "day": pl.Int64, "value": dtype}
    value = pl.col("value")
    merged = {"min": value.min(), "max": value.max()}.get(query.function, value.sum())
    return pl.DataFrame(rows, schema=schema, orient="row").group_by(*tags, "day").agg(merged)


def points_frame(query: PointsQuery, values: Mapping[str, Mapping[int, object]]) -> pl.DataFrame:
    """Return ``values`` (per field, then time) as ``Dialect.parse_points`` promises."""
    times = sorted(set[int]().union(*values.values()))
    columns = {"time": pl.Series(times, dtype=pl.Int64)}
    for field in query.schema.fields:
        found = values[field.column]
        columns[field.column] = pl.Series([found.get(time) for time in times], dtype=DTYPES[field.type])
    return pl.DataFrame(columns)
