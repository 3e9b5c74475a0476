"""Finds differences between the dataset and the server, and describes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from loader.dataset.instant import instant
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.servers.base import PointsQuery
from loader.servers.frames import day_of
from loader.verification.aggregates.frames import Aggregates, functions_of, key_columns
from loader.verification.settings import Difference
from loader.verification.texts import cut, named, shown
from loader.verification.windows import day_stop

FOUND = ", found"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """A (series, UTC day) that differs: the number of points on each side, and the aggregates of fields that differ.

    ``fields`` are pairs of a field's number and its aggregates by function: the expected ones, and those found, with
    FOUND added to the function.
    """

    series: tuple[str, ...]
    day: int
    expected: int
    found: int
    fields: tuple[tuple[int, Row], ...]


def compare_cells(
    schema: PointSchema, expected: Aggregates, found: Aggregates, tolerance: float
) -> tuple[int, list[Cell]]:
    """Return the number of (series, day), and those that differ, sorted by day and series.

    ``tolerance`` is relative, for sums of floats only.
    """
    keys = key_columns(schema)
    sizes, differing = [], []
    for kind, wanted in expected.items():
        functions = [function for function in functions_of(kind) if function in wanted.columns]
        both = wanted.join(found[kind], on=[*keys, "field"], how="full", coalesce=True, suffix=FOUND)
        differs = pl.any_horizontal(_differs(kind, function, tolerance) for function in functions)
        sizes.append(both.select(*keys, "count", "count" + FOUND))
        differing.append(both.filter(differs))
    counts = pl.concat(sizes).group_by(keys).agg(pl.col("count", "count" + FOUND).max().fill_null(0))
    rows: dict[tuple[Any, ...], list[tuple[int, Row]]] = defaultdict(list)
    for frame in differing:
        for row in frame.sort("field").iter_rows(named=True):
            rows[tuple(row[key] for key in keys)].append((row["field"], row))
    places = pl.DataFrame(list(rows), schema=dict(counts.select(keys).schema), orient="row")
    chosen = counts.join(places, on=keys, how="semi").sort("day", *keys[:-1])
    cells = [
        Cell(tuple(key[:-1]), key[-1], wanted, there, tuple(sorted(rows[tuple(key)], key=lambda pair: pair[0])))
        for *key, wanted, there in chosen.iter_rows()
    ]
    return counts.height, cells


def cell_differences(schema: PointSchema, cell: Cell) -> list[Difference]:
    """Return the differences that the aggregates of ``cell`` show, for when its points are not fetched."""
    tell = _difference_maker(schema, cell.series, cell.day)
    if not cell.found:
        return [tell("missing", "", f"expected {_points(cell.expected)}, found none")]
    if not cell.expected:
        return [tell("surplus", "", f"expected no points, found {cell.found:,}")]
    differences = []
    for number, row in cell.fields:
        field = schema.fields[number]
        wanted, there = row["count"] or 0, row["count" + FOUND] or 0
        if wanted != there:
            kind = "missing" if there < wanted else "surplus"
            differences.append(tell(kind, field.column, f"expected {wanted:,} values, found {there:,}"))
            continue
        pairs = [(name, row[name], row[name + FOUND]) for name in functions_of(field.type) if name in row]
        words = [f"{name} {left}, found {right}" for name, left, right in pairs if left != right]
        differences.append(tell("different", field.column, f"expected {'; '.join(words)}"))
    return differences


def compare_points(query: PointsQuery, expected: pl.DataFrame, found: pl.DataFrame) -> list[Difference]:
    """Compare points (``time``, ``f0``, …) bit for bit; each kind of difference is counted, with an example."""
    schema = query.schema
    if _same(expected, found):
        return []
    tell = _difference_maker(schema, query.series, day_of(query.start))
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
        differences.append(tell("missing", "", f"{number} missing{_example(schema, missing, '')}"))
    surplus = both.filter(pl.col("in dataset").is_null())
    if surplus.height:
        detail = f"{_points(surplus.height)} that the dataset does not have{_example(schema, surplus, FOUND)}"
        differences.append(tell("surplus", "", detail))
    common = both.drop_nulls(["in dataset", "on server"])
    for position, field in enumerate(schema.fields):
        differences += _field_differences(field, f"f{position}", common, tell)
    return differences


def cell_query(schema: PointSchema, cell: Cell) -> PointsQuery:
    """Return the query for all points of ``cell``."""
    return PointsQuery(schema, cell.series, cell.day, day_stop(cell.day))


def series_text(schema: PointSchema, series: Sequence[str]) -> str:
    """Return the name of a series by the tags of ``schema``, as differences show it."""
    return named(list(zip(schema.tags, series, strict=True)))


def _same(expected: pl.DataFrame, found: pl.DataFrame) -> bool:
    """Tell whether all bits are equal."""
    if expected.height != found.height:
        return False
    return all(_bits(left).equals(_bits(right)) for left, right in zip(expected, found, strict=True))


def _bits(values: pl.Series) -> pl.Series:
    return values.reinterpret(dtype=pl.Int64) if values.dtype == pl.Float64 else values


def _differs(kind: FieldType, function: str, tolerance: float) -> pl.Expr:
    left, right = pl.col(function), pl.col(function + FOUND)
    if function == "sum" and kind is FieldType.FLOAT:
        bound = tolerance * pl.max_horizontal(left.abs(), right.abs())
        # An infinite sum makes the bound infinite, so it needs a test of its own.
        one_sided = left.is_finite() != right.is_finite()
        return ((left - right).abs() > bound).or_(one_sided).fill_null(value=False)
    if function in {"count", "sum"}:
        return left.fill_null(0) != right.fill_null(0)
    return left.ne_missing(right)


def _field_differences(
    field: Field, column: str, common: pl.DataFrame, tell: Callable[[str, str, str], Difference]
) -> list[Difference]:
    left, right = pl.col(column), pl.col(column + FOUND)
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
            expected, found = (shown(first[name]) for name in (column, column + FOUND))
            detail = f"{_values(rows.height)}, such as at {_time(first)}: expected {expected}, found {found}"
            differences.append(tell(kind, field.column, detail))
    return differences


def _difference_maker(schema: PointSchema, series: Sequence[str], day: int) -> Callable[[str, str, str], Difference]:
    """Return a function that makes a difference from a kind, a field and a detail."""
    name, date = series_text(schema, series), instant(day)[:10]
    return lambda kind, field, detail: Difference(kind, date, name, cut(field), detail)


_EXAMPLE_FIELDS = 10
"""Fields of a point that are shown."""


def _example(schema: PointSchema, rows: pl.DataFrame, suffix: str) -> str:
    first = rows.row(0, named=True)
    values = [f"{cut(field.column)}={shown(first[f'f{number}{suffix}'])}" for number, field in enumerate(schema.fields)]
    more = ", …" if len(values) > _EXAMPLE_FIELDS else ""
    return f", such as {', '.join(values[:_EXAMPLE_FIELDS])}{more} at {_time(first)}"


def _time(row: Row) -> str:
    return f"{instant(row['time'])} ({row['time']})"


def _points(number: int) -> str:
    return f"{number:,} point{'s' if number != 1 else ''}"


def _values(number: int) -> str:
    return f"{number:,} value{'s' if number != 1 else ''}"
