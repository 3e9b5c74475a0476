"""Counts, sums, minima and maxima by series, UTC day and field: the form in which dataset and server are compared.

A frame of aggregates has the tags ``t0``, ``t1``, …, ``day`` (Int64 nanoseconds), ``field`` (Int32, its number in the
schema) and one column a function. There is one frame a field type, since values of two types share no column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import polars as pl

from loader.dataset.schema import FieldType, PointSchema
from loader.servers.frames import ANSWER_TYPES, tag_columns

FUNCTIONS = ("count", "sum", "min", "max")
NUMBERS = frozenset({FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED})
Aggregates: TypeAlias = Mapping[FieldType, pl.DataFrame]


def functions_of(kind: FieldType) -> tuple[str, ...]:
    """Return which functions are compared for fields of type ``kind``: booleans and strings are only counted."""
    return FUNCTIONS if kind in NUMBERS else FUNCTIONS[:1]


def key_columns(schema: PointSchema) -> list[str]:
    """Return the columns that tell (series, day) apart."""
    return [*tag_columns(len(schema.tags)), "day"]


def fields_by_type(schema: PointSchema) -> Mapping[FieldType, list[int]]:
    """Return the numbers of the fields of each type."""
    numbers: dict[FieldType, list[int]] = defaultdict(list)
    for number, field in enumerate(schema.fields):
        numbers[field.type].append(number)
    return numbers


def by_field(schema: PointSchema, wide: pl.DataFrame) -> Aggregates:
    """Turn ``wide``, with one row for each (series, day) and columns such as ``sum0`` for field 0, into aggregates."""
    keys = key_columns(schema)
    found = {}
    for kind, numbers in fields_by_type(schema).items():
        parts: list[pl.DataFrame] = []
        for function in functions_of(kind):
            columns = [f"{function}{number}" for number in numbers]
            part = wide.unpivot(columns, index=keys, variable_name="field", value_name=function)
            parts.append(part if not parts else part.select(function))
        numbered = pl.concat(parts, how="horizontal")
        found[kind] = numbered.with_columns(pl.col("field").str.slice(len("count")).cast(pl.Int32))
    return found


def join_answers(schema: PointSchema, answers: Iterable[tuple[str, pl.DataFrame]]) -> Aggregates:
    """Join the ``answers`` of a server, each for one function, into aggregates; what it lacks is null."""
    keys = [*key_columns(schema), "field"]
    by_function: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for function, frame in answers:
        by_function[function].append(frame)
    found = {}
    for kind, numbers in fields_by_type(schema).items():
        whole: pl.DataFrame | None = None
        for function in functions_of(kind):
            dtype = pl.Int64 if function == "count" else ANSWER_TYPES[kind]
            parts = [
                part.filter(pl.col("field").is_in(numbers)).select(*keys, pl.col("value").alias(function))
                for part in by_function[function]
                if part["value"].dtype == dtype
            ]
            if parts:
                side = pl.concat(parts)
                whole = side if whole is None else whole.join(side, on=keys, how="full", coalesce=True)
        assert whole is not None
        found[kind] = whole
    return found


def none_of(expected: Aggregates) -> Aggregates:
    """Return aggregates of no points, in the form of ``expected``."""
    return {kind: frame.clear() for kind, frame in expected.items()}


def sum_parts(schema: PointSchema, parts: Sequence[Aggregates]) -> Aggregates:
    """Add up ``parts``, which have only counts; several of them may have the same (series, day)."""
    keys = [*key_columns(schema), "field"]
    return {
        kind: pl.concat([part[kind] for part in parts]).group_by(keys).agg(pl.col("count").sum()) for kind in parts[0]
    }
