"""Converts columns of any Arrow type to the few types that become points; pure, with no input or output.

============================  ==============================================  ==================================
Arrow type                    as a field (first: when nothing is said)        as a tag
============================  ==============================================  ==================================
float16, float32, float64     float                                           refused: they have no one text
int8 … int64, uint8 … uint32  integer, float, unsigned, string                decimal digits
uint64                        unsigned, integer, float, string                decimal digits
bool                          boolean, string                                 ``true``, ``false``
string, any form of it        string                                          its text
decimal, up to 38 digits      float, string                                   its digits, as many as its scale
date32, date64                string (``2024-01-31``)                         ``2024-01-31``
timestamp                     integer: nanoseconds since 1970                 refused
duration, time32, time64      integer: nanoseconds                            refused
null                          any: no value                                   no tag
============================  ==============================================  ==================================

A dictionary counts as its values. A value that would lose anything is refused, with its row: an integer beyond the
type that it becomes, or beyond 2^53 as a float; a decimal that is not the shortest text of a double. Times are
timestamps of any unit, dates, or integers whose unit the mapping says.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from loader.dataset.arrow_types import FIELD_TYPES, Unfit, kind_of, localise
from loader.dataset.chunk import Chunk
from loader.dataset.hive import path_keys
from loader.dataset.policy import NonFinite
from loader.dataset.schema import FieldType, PointSchema, is_text
from loader.errors import EncodeError

_NESTED = "nested types have no form in a point: take it apart first, by Polars for example (unnest, explode)"

_TWICE = "convert times to UTC first, or stage them: loader stage --from infers them by their order (--ambiguous infer)"
_FIELD_TWICE = "convert it to UTC first, or leave it out: name the fields (--field)"

_TIME_UNFIT = "mend the value, leave the row out, or convert times to UTC first"


def default_type(kind: pa.DataType) -> FieldType | None:
    """Return the default type of a field of Arrow type ``kind``, None where it has none."""
    found = kind_of(_plain(kind))
    return next(iter(found.fields), None) if found and not pt.is_null(kind) else None


def can_be_tag(kind: pa.DataType) -> bool:
    """Tell whether values of Arrow type ``kind`` can be the text of a tag."""
    found = kind_of(_plain(kind))
    return bool(found and found.tag)


def conversion_problem(schema: PointSchema, columns: pa.Schema, path: str) -> str:
    """Return what keeps the columns of the file at ``path`` from being points, in one sentence, "" when nothing does.

    A column of a tag may be missing where the path has a key of its name, any sparse column may be missing.
    """
    if not schema.fields:
        return "the schema has no field, and a point needs one"
    types = {field.column: field.type for field in schema.fields}
    keys = path_keys(path)
    counts = Counter(columns.names)
    for name in schema.columns:
        source = schema.source(name)
        times = counts[source]
        if not times and ((source in keys and name in schema.tags) or name in schema.sparse):
            continue
        if times != 1:
            words = "there more than once" if times else "missing"
            return f"column {source!r} is {words}; columns are {', '.join(columns.names)}"
        kind = columns.field(source).type
        if problem := _column_problem(schema, name, types.get(name), kind):
            return f"column {source!r} is {kind}; {problem}"
    return ""


def _column_problem(schema: PointSchema, name: str, field: FieldType | None, kind: pa.DataType) -> str:
    if name == schema.time:
        return _time_problem(kind, schema.time_unit)
    if pt.is_nested(kind):
        return _NESTED
    found = kind_of(_plain(kind))
    if field is None:
        return "" if can_be_tag(kind) else "it cannot be a tag, which is text: an integer, boolean, date or decimal"
    if found and (pt.is_null(kind) or field in found.fields):
        return ""
    able = ", ".join(found.fields) if found else "nothing"
    return f"it cannot be a field of type {field}; it can be {able}"


def _time_problem(kind: pa.DataType, unit: str) -> str:
    if unit and pt.is_timestamp(kind):
        return "it has a unit of its own: leave out the time unit (--time-unit)"
    if unit and pt.is_floating(kind):
        return "it should be int64, since floats lose digits: make integers of it first, of milliseconds for example"
    if unit:
        return "" if kind == pa.int64() else "it should be int64, since the schema says a unit"
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return ""
    if is_text(kind):
        return (
            "a time is a timestamp, in CSV such as 2024-01-31 12:00:00.5 or with Z or +01:00: parse other texts first,"
            " by Polars for example (str.to_datetime)"
        )
    return "it should be a timestamp; of integers, the schema says the unit"


def convert_batch(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> pa.RecordBatch:
    """Return ``batch``, which begins at ``address``, with the columns of ``schema``, each in a type that points have.

    Columns that already have such a type are not copied. If the policy infers which instant a local time means, times
    are the earliest, and who reads them decides. Raises EncodeError, with the row, for values that do not fit.
    """
    types = {field.column: field.type for field in schema.fields}
    keys = path_keys(address.partition)
    columns = []
    for name in schema.columns:
        source = schema.source(name)
        position = batch.schema.get_field_index(source)
        if position < 0:
            kind = FIELD_TYPES[types[name]] if name in types else pa.string()
            keyed = source in keys and name in schema.tags
            columns.append(_constant(keys[source], len(batch)) if keyed else pa.nulls(len(batch), kind))
            continue
        column = batch.column(position)
        try:
            columns.append(_converted(schema, name, types.get(name), column))
        except Unfit as error:
            value = _shown(column[error.row])
            usual = (
                _TIME_UNFIT if name == schema.time else "give the field another type, such as string, or leave it out"
            )
            raise EncodeError(
                f"{address.partition}, row {address.start + error.row:,}, column {source!r}: {value} {error}",
                hint=error.hint or usual,
            ) from None
    return pa.RecordBatch.from_arrays(columns, names=list(schema.columns))


def _shown(value: pa.Scalar) -> str:
    try:
        return str(value.as_py())
    except (OverflowError, ValueError):  # beyond what Python's own times hold
        return f"{value.cast(pa.int64())} ({value.type})"


def _constant(text: str | None, rows: int) -> pa.Array:
    indices = pa.array(np.zeros(rows, np.int32), mask=np.full(rows, text is None))
    return pa.DictionaryArray.from_arrays(indices, pa.array([text or ""], pa.string()))


def _converted(schema: PointSchema, name: str, field: FieldType | None, column: pa.Array) -> pa.Array:
    if name == schema.time:
        return _time(localise(column, schema.policy.for_times, _TWICE))
    if is_text(column.type) and field in {None, FieldType.STRING}:
        return column
    plain = column.dictionary_decode() if pt.is_dictionary(column.type) else column
    kind = kind_of(plain.type)
    assert kind
    if field is None:
        assert kind.tag
        return kind.tag(plain)
    if pt.is_null(plain.type):
        return plain.cast(FIELD_TYPES[field])
    values = kind.fields[field](localise(plain, schema.policy, _FIELD_TWICE))
    if field is FieldType.FLOAT and schema.policy.non_finite == NonFinite.SKIP:
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
    return values


def _time(column: pa.Array) -> pa.Array:
    if pt.is_date32(column.type):
        return column.cast(pa.timestamp("s"))
    return column.cast(pa.timestamp("ms")) if pt.is_date64(column.type) else column


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pt.is_dictionary(kind) else kind
