"""Data frames for the answers of every dialect, and their days.

Columns are named by position in the schema (``t0``, ``f0``, …), so that no names of tags and fields can collide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import polars as pl

from loader.dataset.instant import DAY
from loader.dataset.schema import FieldType
from loader.errors import ConfigError
from loader.servers.base import AggregateQuery, CandleQuery, PointsQuery

SECOND = 1_000_000_000
FIRST, LAST = -(2**63) + 2, 2**63 - 3
"""The first and last nanosecond that InfluxDB stores and finds: no query range reaches those beyond."""
ANSWER_TYPES: Mapping[FieldType, type[pl.DataType]] = MappingProxyType(
    {
        FieldType.FLOAT: pl.Float64,
        FieldType.INTEGER: pl.Int64,
        FieldType.UNSIGNED: pl.UInt64,
        FieldType.BOOLEAN: pl.Boolean,
        FieldType.STRING: pl.Binary,
    }
)
"""The Polars type of a field's values in answers; strings are bytes, because a server stores any bytes."""


def day_of(time: int) -> int:
    """Return where the UTC day of ``time`` begins; the first day begins with the first time that is stored."""
    return max(time // DAY * DAY, FIRST)


def refuse_first_day(query: AggregateQuery | CandleQuery) -> None:
    """Raise ConfigError for windows on the first storable day: 2.9 counts forever there, 1.8 misplaces them."""
    if query.start < FIRST + DAY:
        raise _beyond_windows("1677-09-21")


def refuse_last_day(query: AggregateQuery | CandleQuery) -> None:
    """Raise ConfigError for windows on the last storable day, where 2.9 counts forever."""
    if query.stop > day_of(LAST):
        raise _beyond_windows("2262-04-11")


def _beyond_windows(day: str) -> ConfigError:
    return ConfigError(
        f"points of {day} cannot be compared by queries: the server's windows of time do not reach that day",
        hint="on InfluxDB 2.x, compare the stored values: --values",
    )


def tag_columns(number: int) -> list[str]:
    """Return the names of the columns of ``number`` tags."""
    return [f"t{position}" for position in range(number)]


def field_columns(number: int) -> list[str]:
    """Return the names of the columns of ``number`` fields."""
    return [f"f{position}" for position in range(number)]


def aggregate_frame(query: AggregateQuery, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """Return ``rows`` (tags, field, day, value) in the form of ``Dialect.parse_aggregate``.

    Series that differ in a tag outside the schema give several rows for one (tags, field, day): they are merged.
    """
    dtype = pl.Int64 if query.function == "count" else ANSWER_TYPES[query.fields[0].type]
    tags = tag_columns(len(query.schema.tags))
    schema: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(tags, pl.String),
        "field": pl.Int32,
        "day": pl.Int64,
        "value": dtype,
    }
    return merge_aggregates(query, [pl.DataFrame(rows, schema=schema, orient="row")])


def merge_aggregates(query: AggregateQuery, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge answers to ``query``, of which several may hold the same (tags, field, day)."""
    value = pl.col("value")
    merged = {"min": value.min(), "max": value.max()}.get(query.function, value.sum())
    return pl.concat(parts).group_by(*tag_columns(len(query.schema.tags)), "field", "day").agg(merged)


def points_frame(query: PointsQuery, values: Mapping[int, Mapping[int, object]]) -> pl.DataFrame:
    """Return ``values`` (by position of the field, then time) in the form of ``Dialect.parse_points``."""
    times = sorted(set[int]().union(*values.values()))
    columns = {"time": pl.Series(times, dtype=pl.Int64)}
    for position, field in enumerate(query.schema.fields):
        found = values.get(position, {})
        columns[f"f{position}"] = pl.Series([found.get(time) for time in times], dtype=ANSWER_TYPES[field.type])
    return pl.DataFrame(columns)
