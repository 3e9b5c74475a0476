"""From the Arrow types of anybody's columns to the few that become points; pure, with no input or output.

============================  ==============================================  ==================================
Arrow type                    as a field (first: when nothing is said)        as a tag
============================  ==============================================  ==================================
float16, float32, float64     float                                           refused: they have no one text
int8 … int64, uint8 … uint32  integer, float, unsigned, string                decimal digits
uint64                        unsigned, integer, float, string                decimal digits
bool                          boolean, string                                 ``true``, ``false``
string, any form of it        string                                          its text
decimal                       float, string                                   its digits, as many as its scale
date32, date64                string (``2024-01-31``)                         ``2024-01-31``
timestamp                     integer: nanoseconds since 1970                 refused
duration, time32, time64      integer: nanoseconds                            refused
null                          any: no value                                   no tag
============================  ==============================================  ==================================

A dictionary counts as its values. What loses anything is refused with its row: an integer beyond the type that it
becomes, or beyond 2^53 as a float, a decimal that is no double's shortest text. Times are timestamps of any unit,
dates, or integers of which the unit is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from loader.dataset.chunk import Chunk
from loader.dataset.hive import path_keys
from loader.dataset.schema import FieldType, PointSchema, is_text
from loader.errors import EncodeError

_EXACT = 1 << 53
"""All integers up to this are doubles."""
_SAFE_DIGITS = 15
"""As many decimal digits always survive a double."""
_BOUNDS: Mapping[FieldType, tuple[int, int]] = MappingProxyType(
    {
        FieldType.INTEGER: (-(2**63), 2**63 - 1),
        FieldType.UNSIGNED: (0, 2**64 - 1),
        FieldType.FLOAT: (-_EXACT, _EXACT),
    }
)
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32())
_ALWAYS_WITHIN: Mapping[FieldType, tuple[pa.DataType, ...]] = MappingProxyType(
    {
        FieldType.INTEGER: (pa.int8(), pa.int16(), pa.int32(), pa.int64(), *_UNSIGNED),
        FieldType.UNSIGNED: (*_UNSIGNED, pa.uint64()),
    }
)
_NESTED = "nested types have no form in a point: take it apart first, by Polars for example (unnest, explode)"


class _Unfit(Exception):
    """Row ``row`` has a value that the wanted type cannot hold."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


@dataclass(frozen=True)
class _Kind:
    """Arrow types that are treated alike: what they become as fields, the first when nothing is said."""

    fields: Mapping[FieldType, Callable[[pa.Array], pa.Array]]
    tag: Callable[[pa.Array], pa.Array] | None


def default_type(kind: pa.DataType) -> FieldType | None:
    """Return the type of a field of Arrow type ``kind`` when nothing else is said, None where there is none."""
    found = _kind_of(_plain(kind))
    return next(iter(found.fields), None) if found and not pt.is_null(kind) else None


def conversion_problem(schema: PointSchema, columns: pa.Schema, path: str) -> str:
    """Return what keeps the columns of the file at ``path`` from being points, in one sentence, "" when nothing does.

    Columns that are missing may be keys of the path, of tags.
    """
    if not schema.fields:
        return "the schema has no field, and a point needs one"
    types = {field.column: field.type for field in schema.fields}
    keys = path_keys(path)
    for name in schema.columns:
        source = schema.source(name)
        times = columns.names.count(source)
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
    found = _kind_of(_plain(kind))
    if field is None:
        return "" if found and found.tag else "it cannot be a tag, which is text: an integer, boolean, date or decimal"
    if found and (pt.is_null(kind) or field in found.fields):
        return ""
    able = ", ".join(found.fields) if found else "nothing"
    return f"it cannot be a field of type {field}; it can be {able}"


def _time_problem(kind: pa.DataType, unit: str) -> str:
    if unit:
        return "" if kind == pa.int64() else "it should be int64, since the schema says a unit"
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return ""
    if is_text(kind):
        return "a time is a timestamp: parse it first, by Polars for example (str.to_datetime)"
    return "it should be a timestamp; of integers, the schema says the unit"


def convert_batch(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> pa.RecordBatch:
    """Return ``batch``, which begins at ``address``, with the columns of ``schema``, each in a type that points have.

    Columns that have it already are not copied. Raises EncodeError, with the row, for values that do not fit.
    """
    types = {field.column: field.type for field in schema.fields}
    keys = path_keys(address.partition)
    columns = []
    for name in schema.columns:
        source = schema.source(name)
        position = batch.schema.get_field_index(source)
        if position < 0:
            kind = _EMPTY[types[name]] if name in types else pa.string()
            absent = pa.nulls(len(batch), kind) if name in schema.sparse else _constant(keys[source], len(batch))
            columns.append(absent)
            continue
        column = batch.column(position)
        try:
            columns.append(_converted(schema, name, types.get(name), column))
        except _Unfit as error:
            value = column[error.row].as_py()
            raise EncodeError(
                f"{address.partition}, row {address.start + error.row}, column {source!r}: {value} {error}",
                hint="give the field another type, such as string, or leave the column out",
            ) from None
    return pa.RecordBatch.from_arrays(columns, names=list(schema.columns))


def _constant(text: str | None, rows: int) -> pa.Array:
    indices = pa.array(np.zeros(rows, np.int32), mask=np.full(rows, text is None))
    return pa.DictionaryArray.from_arrays(indices, pa.array([text or ""], pa.string()))


def _converted(schema: PointSchema, name: str, field: FieldType | None, column: pa.Array) -> pa.Array:
    if name == schema.time:
        return _time(column)
    if field is None and pt.is_dictionary(column.type) and not is_text(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _tag(column.dictionary))
    if is_text(column.type) and field in {None, FieldType.STRING}:
        return column
    plain = column.dictionary_decode() if pt.is_dictionary(column.type) else column
    if field is None:
        return _tag(plain)
    if pt.is_null(plain.type):
        return plain.cast(_EMPTY[field])
    kind = _kind_of(plain.type)
    assert kind
    return kind.fields[field](plain)


def _tag(column: pa.Array) -> pa.Array:
    kind = _kind_of(column.type)
    assert kind
    assert kind.tag
    return kind.tag(column)


def _time(column: pa.Array) -> pa.Array:
    if pt.is_date32(column.type):
        return column.cast(pa.timestamp("s"))
    return column.cast(pa.timestamp("ms")) if pt.is_date64(column.type) else column


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pt.is_dictionary(kind) else kind


def _same(column: pa.Array) -> pa.Array:
    return column


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _digits(column: pa.Array) -> pa.Array:
    """Return decimals as text; Arrow writes small ones with an exponent."""
    texts = _text(column)
    short = pc.fill_null(pc.match_substring(texts, "E"), False)
    if not pc.any(short).as_py():
        return texts
    plain = [None if value is None else format(value, "f") for value in column.filter(short).to_pylist()]
    return pc.replace_with_mask(texts, short, pa.array(plain, pa.string()))


def _day(column: pa.Array) -> pa.Array:
    return _text(column.cast(pa.date32()))


def _whole(kind: FieldType, target: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """Return what makes integers within the bounds of ``kind`` of any integers."""

    def convert(column: pa.Array) -> pa.Array:
        if column.type in _ALWAYS_WITHIN.get(kind, ()):
            return column
        least, most = _BOUNDS[kind]
        low, high = pc.min_max(column).as_py().values()
        if low is not None and not least <= low <= high <= most:
            values = column.to_pylist()
            row = next(row for row, value in enumerate(values) if value is not None and not least <= value <= most)
            raise _Unfit(row, f"is beyond what {kind} holds exactly")
        return column.cast(target)

    return convert


def _decimal_float(column: pa.Array) -> pa.Array:
    """Return doubles whose shortest text is the decimal; raises _Unfit for a decimal that has none."""
    texts = column.cast(pa.string())
    digits = pc.utf8_ltrim(pc.replace_substring(pc.utf8_ltrim(texts, characters="-"), ".", ""), characters="0")
    long = pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_rtrim(digits, characters="0")), _SAFE_DIGITS), False)
    doubles = texts.cast(pa.float64())
    for row in np.flatnonzero(long.to_numpy(zero_copy_only=False)).tolist():
        if Decimal(repr(doubles[row].as_py())) != column[row].as_py():
            raise _Unfit(row, "is no double")
    return doubles


def _nanoseconds(target: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    def convert(column: pa.Array) -> pa.Array:
        try:
            return column.cast(target).cast(pa.int64())
        except pa.ArrowInvalid:
            for row in range(len(column)):
                try:
                    column.slice(row, 1).cast(target)
                except pa.ArrowInvalid:
                    raise _Unfit(row, "is beyond 64 bits of nanoseconds") from None
            raise

    return convert


def _timestamps(column: pa.Array) -> pa.Array:
    return _nanoseconds(pa.timestamp("ns", column.type.tz))(column)


_INTEGER = {
    FieldType.INTEGER: _whole(FieldType.INTEGER, pa.int64()),
    FieldType.FLOAT: _whole(FieldType.FLOAT, pa.float64()),
    FieldType.UNSIGNED: _whole(FieldType.UNSIGNED, pa.uint64()),
    FieldType.STRING: _text,
}
_EMPTY = MappingProxyType(
    {
        FieldType.FLOAT: pa.float64(),
        FieldType.INTEGER: pa.int64(),
        FieldType.UNSIGNED: pa.uint64(),
        FieldType.BOOLEAN: pa.bool_(),
        FieldType.STRING: pa.string(),
    }
)
_KINDS: tuple[tuple[Callable[[pa.DataType], bool], _Kind], ...] = (
    (is_text, _Kind({FieldType.STRING: _same}, _same)),
    (pt.is_float16, _Kind({FieldType.FLOAT: lambda column: column.cast(pa.float32())}, None)),
    (pt.is_floating, _Kind({FieldType.FLOAT: _same}, None)),
    (pt.is_uint64, _Kind({FieldType.UNSIGNED: _same, **_INTEGER}, _text)),
    (pt.is_integer, _Kind(_INTEGER, _text)),
    (pt.is_boolean, _Kind({FieldType.BOOLEAN: _same, FieldType.STRING: _text}, _text)),
    (pt.is_decimal, _Kind({FieldType.FLOAT: _decimal_float, FieldType.STRING: _digits}, _digits)),
    (pt.is_date, _Kind({FieldType.STRING: _day}, _day)),
    (pt.is_timestamp, _Kind({FieldType.INTEGER: _timestamps}, None)),
    (pt.is_duration, _Kind({FieldType.INTEGER: _nanoseconds(pa.duration("ns"))}, None)),
    (pt.is_time, _Kind({FieldType.INTEGER: _nanoseconds(pa.time64("ns"))}, None)),
    (pt.is_null, _Kind({}, _text)),
)


def _kind_of(kind: pa.DataType) -> _Kind | None:
    return next((found for fits, found in _KINDS if fits(kind)), None)
