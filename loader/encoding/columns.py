"""The columns of a record batch as values that InfluxDB can hold; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema, column_problem
from loader.encoding.escaping import formless
from loader.errors import EncodeError

TIME_MIN, TIME_MAX = -(2**63) + 2, 2**63 - 2
"""The first and last nanosecond that InfluxDB stores."""

_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
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


def read_columns(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> Columns:
    """Return times and fields of ``batch``, which begins at row ``address.start`` of ``address.partition``.

    Nothing is copied that has the right type. Raises EncodeError for a column that does not fit the schema, a
    value that InfluxDB cannot hold, and a row without any field.
    """
    if problem := column_problem(schema, batch.schema):
        raise EncodeError(f"{address.partition}: {problem}", hint="give each column a field type that fits it")
    values = tuple(_values(batch.column(field.column), field, address) for field in schema.fields)
    times = read_times(batch, schema, address)
    if all(column.null_count() for column in values):
        _refuse_empty_rows(values, schema, address)
    return Columns(times, values)


def _values(column: pa.Array, field: Field, address: Chunk) -> pl.Series:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values = pl.Series(column).cast(DTYPES[field.type])
    if field.type is FieldType.FLOAT:
        finite = pc.is_finite(values.to_arrow())
        if not pc.all(finite, min_count=0).as_py():
            row = finite.index(False).as_py()
            raise formless(address, row, field.column, values[row], "make such values null, or leave their rows out")
    return values


def read_times(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> pl.Series:
    """Return the times of ``batch`` in nanoseconds (Int64, no nulls); raises EncodeError for one that has no form."""
    column, name = batch.column(schema.time), schema.time
    unit = _NANOSECONDS[column.type.unit] if pa.types.is_timestamp(column.type) else 1
    times = pl.Series(column.cast(pa.int64()))
    bounds = -(-TIME_MIN // unit), TIME_MAX // unit
    # An expression of Polars costs as much as the look at all these rows: it is left for when there is an error.
    if times.null_count() or (len(times) and not _within(times, *bounds)):
        row = int((~times.is_between(*bounds).fill_null(False)).arg_max() or 0)
        raise formless(address, row, name, times[row], "every point needs a time between 1677-09-21 and 2262-04-11")
    return times * unit if unit > 1 else times


def _within(times: pl.Series, first: int, last: int) -> bool:
    low, high = times.min(), times.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return first <= low <= high <= last


def _refuse_empty_rows(values: tuple[pl.Series, ...], schema: PointSchema, address: Chunk) -> None:
    empty = pl.select(pl.all_horizontal(pl.lit(column).is_null() for column in values)).to_series()
    if empty.any():
        fields = ", ".join(field.column for field in schema.fields)
        raise formless(address, int(empty.arg_max() or 0), fields, None, "leave rows without any field out")
