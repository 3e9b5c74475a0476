"""What the dataset says: counts, sums, minima and maxima per series and UTC day, and picked rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Partition
from loader.dataset.reader import read_batches
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import DTYPES
from loader.verification.plan import DAY

BATCH_ROWS = 1_000_000
NUMBERS = frozenset({FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED})


@dataclass(frozen=True)
class Expected:
    """What a partition says.

    ``cells`` has the tags, ``day`` and one column an aggregate; ``picked`` the columns of the schema, time as
    Int64 nanoseconds; ``duplicates`` counts rows that a later one of the same identity replaces.
    """

    cells: pl.DataFrame
    picked: pl.DataFrame
    duplicates: int


def aggregates(schema: PointSchema) -> list[tuple[Field, str]]:
    """Return which function of which field is compared: booleans and strings are only counted."""
    functions = {True: ("count", "sum", "min", "max"), False: ("count",)}
    return [(field, function) for field in schema.fields for function in functions[field.type in NUMBERS]]


def counts(schema: PointSchema) -> list[tuple[Field, str]]:
    """Return the aggregates that only count."""
    return [(field, "count") for field in schema.fields]


def column(field: Field, function: str) -> str:
    """Return the name of an aggregate's column."""
    return f"{function} of {field.column}"


def summarise(root: Path, schema: PointSchema, partition: Partition, picks: Sequence[int]) -> Expected:
    """Aggregate ``partition`` and pick its rows numbered ``picks`` (ascending).

    Memory is bounded by one batch of BATCH_ROWS rows, as long as the rows are in series order, each series'
    times ascending; otherwise by the partition, since identities must be counted. Integer sums wrap at 64
    bits, as the server's do. Raises StageError.
    """
    identity = [*schema.tags, schema.time]
    parts, picked = [], []
    last: list[pl.DataFrame] = []
    row, runs, ordered = 0, 1, True
    for frame in _frames(root, schema, partition):
        parts.append(_aggregate(schema, partition, frame))
        picked.append(frame[[pick - row for pick in picks if row <= pick < row + frame.height]])
        changes, ascending = _order(schema, pl.concat([*last, frame.select(identity)]))
        last = [frame.select(identity).tail(1)]
        row, runs, ordered = row + frame.height, runs + changes, ordered and ascending
    cells = merge(schema, parts)
    chosen = pl.concat(picked)
    if ordered and runs == cells.select(schema.tags).unique().height:
        return Expected(cells, chosen, 0)
    kept = pl.concat(_frames(root, schema, partition)).unique(identity, keep="last", maintain_order=True)
    chosen = kept.join(chosen, on=identity, how="semi", nulls_equal=True)
    return Expected(merge(schema, [_aggregate(schema, partition, kept)]), chosen, row - kept.height)


def merge(schema: PointSchema, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge the cells of ``parts``, of which several may hold the same series and day."""
    merged = []
    for field, function in aggregates(schema):
        value = pl.col(column(field, function))
        merged.append({"min": value.min(), "max": value.max()}.get(function, value.sum()))
    return pl.concat(parts).group_by(*schema.tags, "day").agg(merged)


def series_rows(
    root: Path, schema: PointSchema, partitions: Sequence[Partition], series: Sequence[str], day: int
) -> pl.DataFrame:
    """Return the points (``time``, fields) of one series and day; of equal identities, the last row.

    Memory is bounded by these points and one batch.
    """
    same = [pl.col(tag).cast(pl.String).fill_null("") == value for tag, value in zip(schema.tags, series, strict=True)]
    wanted = pl.all_horizontal(*same, pl.col(schema.time).is_between(day, day + DAY - 1))
    rows = [
        frame.filter(wanted)
        for partition in partitions
        if partition.time_min < day + DAY and partition.time_max >= day
        for frame in _frames(root, schema, partition)
    ]
    return points(schema, pl.concat(rows)) if rows else points(schema, _nothing(schema))


def points(schema: PointSchema, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` as points: ``time`` and the fields, by time; of equal times, the last row."""
    fields = [field.column for field in schema.fields]
    return (
        rows.select(pl.col(schema.time).alias("time"), *fields)
        .unique("time", keep="last", maintain_order=True)
        .sort("time")
    )


def _nothing(schema: PointSchema) -> pl.DataFrame:
    fields = {field.column: DTYPES[field.type] for field in schema.fields}
    return pl.DataFrame(schema={schema.time: pl.Int64, **fields})


def _frames(root: Path, schema: PointSchema, partition: Partition) -> Iterator[pl.DataFrame]:
    """Yield the partition's rows with fields in the types of answers and time as Int64 nanoseconds."""
    casts = [pl.col(field.column).cast(DTYPES[field.type]) for field in schema.fields]
    time = pl.col(schema.time).cast(pl.Datetime("ns", "UTC")).cast(pl.Int64)
    for batch in read_batches(root, schema, Chunk(partition.path, 0, partition.rows), BATCH_ROWS):
        yield pl.DataFrame(batch).with_columns(*casts, time)


def _aggregate(schema: PointSchema, partition: Partition, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the cells of ``frame``; days are only computed where the partition has several."""
    day = partition.time_min // DAY
    time = pl.col(schema.time)
    days = pl.lit(day * DAY) if partition.time_max // DAY == day else time // DAY * DAY
    columns = []
    for field, function in aggregates(schema):
        value = pl.col(field.column)
        expression = {"count": value.count().cast(pl.Int64), "sum": value.sum(), "min": value.min()}
        columns.append(expression.get(function, value.max()).alias(column(field, function)))
    texts = [pl.col(tag).cast(pl.String).fill_null("") for tag in schema.tags]
    return frame.group_by(*schema.tags, days.alias("day")).agg(columns).with_columns(texts)


def _order(schema: PointSchema, frame: pl.DataFrame) -> tuple[int, bool]:
    """Return how often the series changes from row to row, and whether times ascend strictly in between."""
    same = pl.all_horizontal(pl.col(tag).eq_missing(pl.col(tag).shift(1)) for tag in schema.tags)
    later = pl.col(schema.time) > pl.col(schema.time).shift(1)
    changes, ascending = frame.select((~same).slice(1).sum(), (later | ~same).slice(1).all().alias("later")).row(0)
    return changes, ascending
