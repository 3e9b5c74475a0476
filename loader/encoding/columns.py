"""The columns of a record batch in the types of InfluxDB; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
import pyarrow as pa

from loader.dataset.instant import NANOSECONDS, TIME_MAX, TIME_MIN
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.arrays import Integers, Mask

DTYPES: Mapping[FieldType, type[pl.DataType]] = MappingProxyType(
    {
        FieldType.FLOAT: pl.Float64,
        FieldType.INTEGER: pl.Int64,
        FieldType.UNSIGNED: pl.UInt64,
        FieldType.BOOLEAN: pl.Boolean,
        FieldType.STRING: pl.String,
    }
)
"""The Polars type that holds every value of a field type."""


@dataclass(frozen=True)
class Columns:
    """Times in nanoseconds (Int64, no nulls), and the values of each field in its own type, or null."""

    times: pl.Series
    values: tuple[pl.Series, ...]


def read_columns(batch: pa.RecordBatch, schema: PointSchema) -> Columns:
    """Return times and fields of ``batch``, all rows of which are points.

    Columns that have the right type are not copied.
    """
    return Columns(
        read_times(batch, schema), tuple(_values(batch.column(field.column), field) for field in schema.fields)
    )


def read_times(batch: pa.RecordBatch, schema: PointSchema) -> pl.Series:
    """Return the times of ``batch``, all rows of which are points, in nanoseconds (Int64, no nulls)."""
    column = batch.column(schema.time)
    unit = time_unit(column.type, schema)
    times = pl.Series(column.cast(pa.int64()))
    return times * unit if unit > 1 else times


def read_valid_times(
    batch: pa.RecordBatch, schema: PointSchema, steps: Integers | None = None
) -> tuple[Integers, Mask]:
    """Return the times of ``batch`` in nanoseconds, and which of them InfluxDB can store; the others have any value.

    ``steps`` are the nanoseconds by which rows are moved.
    """
    column = batch.column(schema.time)
    unit = time_unit(column.type, schema)
    times: Integers = column.cast(pa.int64()).fill_null(TIME_MIN - 1).to_numpy()
    valid = (times >= -(-TIME_MIN // unit)) & (times <= TIME_MAX // unit)
    if unit > 1:
        times = times * unit
    return times if steps is None else times + steps, valid


def time_unit(kind: pa.DataType, schema: PointSchema) -> int:
    """Return the nanoseconds in a unit of a time column of type ``kind``."""
    return NANOSECONDS[kind.unit if pa.types.is_timestamp(kind) else schema.time_unit]


def _values(column: pa.Array, field: Field) -> pl.Series:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pl.Series(column).cast(DTYPES[field.type])
