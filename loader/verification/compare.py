"""Differences between what the dataset says and what the server says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.servers.base import PointsQuery
from loader.servers.frames import instant
from loader.verification.expected import aggregates, column
from loader.verification.plan import DAY
from loader.verification.settings import Difference

FOUND = ", found"
Cell = Mapping[str, Any]


def compare_cells(
    schema: PointSchema, expected: pl.DataFrame, found: pl.DataFrame, tolerance: float
) -> tuple[int, list[Cell]]:
    """Return how many (series, day) there are, and those that differ, by day and series.

    Each has the tags, ``day``, and every aggregate of ``expected`` as expected and, with FOUND added to its name, as
    found.
    ``tolerance`` is relative, for sums of floats only.
    """
    keys = [*schema.tags, "day"]
    both = expected.join(found, on=keys, how="full", coalesce=True, suffix=FOUND)
    differs = []
    for field, function in aggregates(schema):
        if column(field, function) not in expected.columns:
            continue
        left, right = pl.col(column(field, function)), pl.col(column(field, function) + FOUND)
        if function == "sum" and field.type is FieldType.FLOAT:
            bound = tolerance * pl.max_horizontal(left.abs(), right.abs())
            differs.append(((left - right).abs() > bound).fill_null(value=False))
        elif function in {"count", "sum"}:
            differs.append(left.fill_null(0) != right.fill_null(0))
        else:
            differs.append(left.ne_missing(right))
    return both.height, list(both.filter(pl.any_horizontal(differs)).sort("day", *schema.tags).iter_rows(named=True))


def cell_differences(schema: PointSchema, cell: Cell) -> list[Difference]:
    """Return what the aggregates of ``cell`` say, for when its points are not looked at."""
    expected, found = cell_sizes(schema, cell)
    if not found:
        return [_difference(schema, cell, "missing", "", f"expected {_points(expected)}, found none")]
    if not expected:
        return [_difference(schema, cell, "surplus", "", f"expected no points, found {found:,}")]
    differences = []
    for field in schema.fields:
        wanted, there = _pair(cell, field, "count")
        if wanted != there:
            kind = "missing" if there < wanted else "surplus"
            detail = f"expected {wanted:,} values, found {there:,}"
            differences.append(_difference(schema, cell, kind, field.column, detail))
            continue
        pairs = {
            function: _pair(cell, field, function)
            for other, function in aggregates(schema)
            if other == field and column(field, function) in cell
        }
        words = [f"{name} {pair[0]}, found {pair[1]}" for name, pair in pairs.items() if pair[0] != pair[1]]
        if words:
            detail = f"expected {'; '.join(words)}"
            differences.append(_difference(schema, cell, "different", field.column, detail))
    return differences


def compare_points(query: PointsQuery, expected: pl.DataFrame, found: pl.DataFrame) -> list[Difference]:
    """Compare points (``time``, fields) bit for bit; each kind of difference is counted, with an example."""
    schema = query.schema
    cell = {**dict(zip(schema.tags, query.series, strict=True)), "day": query.start // DAY * DAY}
    there = pl.lit(value=True)
    both = (
        expected.with_columns(there.alias("in dataset"))
        .join(found.with_columns(there.alias("on server")), on="time", how="full", coalesce=True, suffix=FOUND)
        .sort("time")
    )
    differences = []
    missing = both.filter(pl.col("on server").is_null())
    if missing.height:
        number = f"{missing.height:,} of {_points(expected.height)}"
        detail = f"{number} missing{_example(schema, missing, '')}"
        differences.append(_difference(schema, cell, "missing", "", detail))
    surplus = both.filter(pl.col("in dataset").is_null())
    if surplus.height:
        detail = f"{_points(surplus.height)} that the dataset does not have{_example(schema, surplus, FOUND)}"
        differences.append(_difference(schema, cell, "surplus", "", detail))
    common = both.drop_nulls(["in dataset", "on server"])
    for field in schema.fields:
        differences += _field_differences(schema, cell, field, common)
    return differences


def cell_query(schema: PointSchema, cell: Cell) -> PointsQuery:
    """Return the query for all points of ``cell``."""
    return PointsQuery(schema, tuple(cell[tag] for tag in schema.tags), cell["day"], cell["day"] + DAY)


def cell_sizes(schema: PointSchema, cell: Cell) -> tuple[int, int]:
    """Return how many points of ``cell`` the dataset and the server have."""
    expected, found = zip(*(_pair(cell, field, "count") for field in schema.fields), strict=True)
    return max(expected), max(found)


def _field_differences(schema: PointSchema, cell: Cell, field: Field, common: pl.DataFrame) -> list[Difference]:
    left, right = pl.col(field.column), pl.col(field.column + FOUND)
    if field.type is FieldType.FLOAT:
        same = left.reinterpret(dtype=pl.Int64).eq_missing(right.reinterpret(dtype=pl.Int64))
    else:
        same = left.eq_missing(right)
    kinds = {
        "missing": left.is_not_null() & right.is_null(),
        "surplus": left.is_null() & right.is_not_null(),
        "different": left.is_not_null() & right.is_not_null() & ~same,
    }
    differences = []
    for kind, expression in kinds.items():
        rows = common.filter(expression)
        if rows.height:
            first = rows.row(0, named=True)
            expected, found = (_shown(first[name]) for name in (field.column, field.column + FOUND))
            detail = f"{_values(rows.height)}, such as at {_time(first)}: expected {expected}, found {found}"
            differences.append(_difference(schema, cell, kind, field.column, detail))
    return differences


def _pair(cell: Cell, field: Field, function: str) -> tuple[Any, Any]:
    name = column(field, function)
    return cell[name] or 0, cell[name + FOUND] or 0


def _difference(schema: PointSchema, cell: Cell, kind: str, field: str, detail: str) -> Difference:
    series = ",".join(f"{tag}={cell[tag]}" for tag in schema.tags)
    return Difference(kind=kind, day=instant(cell["day"])[:10], series=series, field=field, detail=detail)


def _example(schema: PointSchema, rows: pl.DataFrame, suffix: str) -> str:
    first = rows.row(0, named=True)
    values = ", ".join(f"{field.column}={_shown(first[field.column + suffix])}" for field in schema.fields)
    return f", such as {values} at {_time(first)}"


def _time(row: Cell) -> str:
    return f"{instant(row['time'])} ({row['time']})"


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)


def _points(number: int) -> str:
    return f"{number:,} point{'s' if number != 1 else ''}"


def _values(number: int) -> str:
    return f"{number:,} value{'s' if number != 1 else ''}"
