"""Converts columns of any Arrow type to the few types that points have; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from loader.dataset.instant import DAY, NANOSECONDS
from loader.dataset.policy import Ambiguous, Nonexistent, Policy
from loader.dataset.schema import FieldType, is_text

_EXACT = 1 << 53
"""All integers up to this are exact as doubles."""
_SAFE_DIGITS = 15
"""So many decimal digits always survive conversion to a double."""
_BOUNDS: Mapping[FieldType, tuple[int, int]] = MappingProxyType(
    {
        FieldType.INTEGER: (-(2**63), 2**63 - 1),
        FieldType.UNSIGNED: (0, 2**64 - 1),
        FieldType.FLOAT: (-_EXACT, _EXACT),
    }
)
_CLOCKS_UNKNOWN = 2_145_916_800, (1 << 63) // 1_000_000_000
"""Seconds: from 2038, where Arrow's knowledge of clock changes ends, to the last time that InfluxDB has."""
_FIRST_DAYS = -(1 << 63) + 2 * DAY
_MOST_DIGITS = 38
"""Polars, which verification reads with, does not know longer decimals."""
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32())
_ALWAYS_WITHIN: Mapping[FieldType, tuple[pa.DataType, ...]] = MappingProxyType(
    {
        FieldType.INTEGER: (pa.int8(), pa.int16(), pa.int32(), pa.int64(), *_UNSIGNED),
        FieldType.UNSIGNED: (*_UNSIGNED, pa.uint64()),
    }
)


CHOICES = (
    "--ambiguous earliest takes all such times for the first pass (in most zones summer time), latest for the second:"
    " if both are there, rows collide, or get a wrong time"
)
"""What the two choices do that do not look at rows."""
_NO_TIME = "leave such values out (--nonexistent skip), or mend them"


class Unfit(Exception):
    """Row ``row`` has a value that the wanted type cannot hold; ``hint`` says what to do, if not the usual."""

    def __init__(self, row: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.row = row
        self.hint = hint


@dataclass(frozen=True)
class Kind:
    """Arrow types that are treated alike: the field types that they can become, the default one first."""

    fields: Mapping[FieldType, Callable[[pa.Array], pa.Array]]
    tag: Callable[[pa.Array], pa.Array] | None


def localise(column: pa.Array, policy: Policy, remedy: str) -> pa.Array:
    """Return local times as instants; raises Unfit for a time that clocks skip or repeat when they change.

    The policy may choose an instant for a repeated time, and null for a skipped one; nothing is inferred here.
    ``remedy`` says what to do about a repeated one instead. From 2038 on nobody knows when clocks change, and libraries
    disagree: such times are refused, too.
    """
    if not policy.local or not pt.is_timestamp(column.type) or column.type.tz is not None:
        return column
    second = 1_000_000_000 // NANOSECONDS[column.type.unit]
    start, stop = (bound * second for bound in _CLOCKS_UNKNOWN)
    whole = column.cast(pa.int64())
    if column.type.unit == "ns":  # 64 bits may not hold the instants of the first and last days
        unknown = pc.or_(pc.greater_equal(whole, start), pc.less(whole, _FIRST_DAYS))
    else:
        unknown = pc.and_(pc.greater_equal(whole, start), pc.less(whole, stop))
    if pc.any(unknown).as_py():
        row = pc.index(unknown, True).as_py()
        raise Unfit(row, f"is after 2037 or before 1678, and when clocks change in {policy.local} is not known")
    skip = policy.nonexistent == Nonexistent.SKIP
    choice = {
        "ambiguous": "raise" if policy.ambiguous in {Ambiguous.REFUSE, Ambiguous.INFER} else policy.ambiguous,
        "nonexistent": "earliest" if skip else "raise",
    }
    try:
        found = pc.assume_timezone(column, policy.local, **choice)
        # Arrow turns a time that clocks skip into another one.
        return pc.if_else(pc.equal(pc.local_timestamp(found), column), found, None) if skip else found
    except pa.ArrowInvalid:
        row = _first_unfit(column, lambda part: pc.assume_timezone(part, policy.local, **choice))
        try:
            pc.assume_timezone(column.slice(row, 1), policy.local, ambiguous="earliest", nonexistent="raise")
        except pa.ArrowInvalid:
            raise Unfit(row, f"is no time in {policy.local}: clocks go forward then", hint=_NO_TIME) from None
        raise Unfit(row, f"is twice in {policy.local}: clocks go back then", hint=f"{remedy}; {CHOICES}") from None


def _first_unfit(column: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> int:
    """Return the first row that ``convert`` fails for; there must be one."""
    start, stop = 0, len(column)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            convert(column.slice(start, middle - start))
            start = middle
        except pa.ArrowInvalid:
            stop = middle
    return start


_NAMES: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    ("text", is_text),
    ("integer", pt.is_integer),
    ("float", pt.is_floating),
    ("date", pt.is_date),
    ("duration", pt.is_duration),
    ("time", pt.is_time),
    ("timestamp", pt.is_timestamp),
)


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
    """Return a function that converts any integers to ``target``; it raises Unfit beyond the bounds of ``kind``."""

    def convert(column: pa.Array) -> pa.Array:
        if column.type in _ALWAYS_WITHIN.get(kind, ()):
            return column
        least, most = _BOUNDS[kind]
        low, high = pc.min_max(column).as_py().values()
        if low is not None and not least <= low <= high <= most:
            values = column.to_pylist()
            row = next(row for row, value in enumerate(values) if value is not None and not least <= value <= most)
            raise Unfit(row, f"is beyond what {kind} holds exactly")
        return column.cast(target)

    return convert


def _decimal_float(column: pa.Array) -> pa.Array:
    """Return doubles whose shortest text is the decimal; raises Unfit for a decimal that has none."""
    texts = column.cast(pa.string())
    digits = pc.utf8_ltrim(pc.replace_substring(pc.utf8_ltrim(texts, characters="-"), ".", ""), characters="0")
    long = pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_rtrim(digits, characters="0")), _SAFE_DIGITS), False)
    doubles = texts.cast(pa.float64())
    for row in np.flatnonzero(long.to_numpy(zero_copy_only=False)).tolist():
        if Decimal(repr(doubles[row].as_py())) != column[row].as_py():
            raise Unfit(row, "is no double")
    return doubles


def _is_usual_decimal(kind: pa.DataType) -> bool:
    return bool(pt.is_decimal(kind) and kind.precision <= _MOST_DIGITS)


def _nanoseconds(target: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    def convert(column: pa.Array) -> pa.Array:
        try:
            return column.cast(target).cast(pa.int64())
        except pa.ArrowInvalid:
            row = _first_unfit(column, lambda part: part.cast(target))
            raise Unfit(row, "is beyond 64 bits of nanoseconds") from None

    return convert


def _timestamps(column: pa.Array) -> pa.Array:
    return _nanoseconds(pa.timestamp("ns", column.type.tz))(column)


_INTEGER = {
    FieldType.INTEGER: _whole(FieldType.INTEGER, pa.int64()),
    FieldType.FLOAT: _whole(FieldType.FLOAT, pa.float64()),
    FieldType.UNSIGNED: _whole(FieldType.UNSIGNED, pa.uint64()),
    FieldType.STRING: _text,
}
FIELD_TYPES = MappingProxyType(
    {
        FieldType.FLOAT: pa.float64(),
        FieldType.INTEGER: pa.int64(),
        FieldType.UNSIGNED: pa.uint64(),
        FieldType.BOOLEAN: pa.bool_(),
        FieldType.STRING: pa.string(),
    }
)
"""The Arrow type that holds every value of a field type."""
_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
    (is_text, Kind({FieldType.STRING: _same}, _same)),
    (pt.is_float16, Kind({FieldType.FLOAT: lambda column: column.cast(pa.float32())}, None)),
    (pt.is_floating, Kind({FieldType.FLOAT: _same}, None)),
    (pt.is_uint64, Kind({FieldType.UNSIGNED: _same, **_INTEGER}, _text)),
    (pt.is_integer, Kind(_INTEGER, _text)),
    (pt.is_boolean, Kind({FieldType.BOOLEAN: _same, FieldType.STRING: _text}, _text)),
    (_is_usual_decimal, Kind({FieldType.FLOAT: _decimal_float, FieldType.STRING: _digits}, _digits)),
    (pt.is_date, Kind({FieldType.STRING: _day}, _day)),
    (pt.is_timestamp, Kind({FieldType.INTEGER: _timestamps}, None)),
    (pt.is_duration, Kind({FieldType.INTEGER: _nanoseconds(pa.duration("ns"))}, None)),
    (pt.is_time, Kind({FieldType.INTEGER: _nanoseconds(pa.time64("ns"))}, None)),
    (pt.is_null, Kind({}, _text)),
)


def kind_name(kind: pa.DataType) -> str:
    """Return a name for all types that may be one column with ``kind`` in several files: "integer", "text", ..."""
    plain = kind.value_type if pt.is_dictionary(kind) else kind
    return next((name for name, fits in _NAMES if fits(plain)), str(plain))


def kind_of(kind: pa.DataType) -> Kind | None:
    """Return how columns of ``kind``, which is no dictionary, are treated; None when points cannot hold them."""
    return next((found for fits, found in _KINDS if fits(kind)), None)
