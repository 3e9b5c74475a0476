"""Guesses which columns of Parquet may be tags, fields and time, with the reasons; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from loader.dataset.conversion import can_be_tag, default_type
from loader.dataset.instant import NANOSECONDS
from loader.dataset.mapping import INDEX, ColumnMapping, FieldMapping
from loader.dataset.policy import Policy
from loader.dataset.schema import is_text
from loader.quantities import counted

PATH = "path"
"""The type of a key of the paths."""
LEFT_OUT = "left out"
_ROWS_A_VALUE = 10
"""A tag has at most one distinct value in so many rows: each new value makes a new series."""
_FEW = "few is a tenth or less"
_CODES = re.compile(r"(id|code|type|kind|zone|side)s?$", re.IGNORECASE)
_NO_CODES = frozenset({"bid", "paid", "valid"})
_TIMES = re.compile(r"(?i:time|stamp|date|epoch|(?:^|_)(?:ts|at))(?:_(?:s|ms|us|ns))?$|At$")
_PLAIN_TIMES = frozenset({"time", "timestamp", "ts", "datetime", "_time"})
_CALENDAR = frozenset({"date", "dt", "year", "month", "week", "day", "hour", "minute"})
_PLAUSIBLE = 946_684_800, 4_102_444_800
"""Seconds: the years 2000 to 2100."""
_RESERVED = frozenset({"time", "_field", "_measurement"})
_NO_FORM = re.compile(r"^$|[\\\n]|^[\t\0]")
"""Matches names that cannot be those of a tag or field, and a few more: the guess is careful."""
_NO_ZONE = "; it has no zone: is it UTC?"


@dataclass(frozen=True)
class Column:
    """A column, or a key of the paths (``type`` "path").

    ``nulls`` is None where the files do not say; ``distinct`` counts the distinct values of the sample, null included,
    None where they cannot be counted. ``role`` is "time", "tag", "field" with the type that it becomes, or "left out".
    """

    name: str
    type: str
    nulls: int | None
    distinct: int | None
    role: str
    reason: str


@dataclass(frozen=True)
class Seen:
    """What is known of a column; ``values`` is its sample, if any. ``everywhere`` is true when each file has it."""

    field: pa.Field
    nulls: int | None
    values: pa.ChunkedArray | None
    everywhere: bool = True
    repeated: bool = False

    @property
    def naive(self) -> bool:
        """Tell whether these are timestamps without a zone."""
        return bool(pt.is_timestamp(self.field.type) and self.field.type.tz is None)

    @property
    def empty(self) -> bool:
        """Tell whether the sample has no value."""
        return self.values is None or self.values.null_count == len(self.values)

    @property
    def distinct(self) -> int | None:
        """How many distinct values the sample has, null included; None where they cannot be counted."""
        if self.values is None or default_type(self.field.type) is None:
            return None
        return len(self.values.unique())


def guess_columns(seen: Sequence[Seen], rows: int) -> tuple[Column, ...]:
    """Return the role that each column may have; ``rows`` is the number of rows of the sample."""
    time = _find_time(seen)
    columns = []
    for each in seen:
        distinct = each.distinct
        if each is time:
            role, reason = "time", _time_reason(each)
        else:
            role, reason = _part(each, distinct, rows)
            if role.startswith("field") and each.naive and not (time and time.naive):
                reason += _NO_ZONE
        columns.append(Column(each.field.name, _type_name(each.field.type), each.nulls, distinct, role, reason))
    return tuple(columns)


def guess_keys(paths: Sequence[dict[str, str | None]], rows: Sequence[int], columns: Iterable[str]) -> Iterator[Column]:
    """Yield the keys that all ``paths`` have and that are no columns; ``rows`` is the number of rows of each file."""
    for key in paths[0]:
        if key in {*columns} or not all(key in path for path in paths):
            continue
        nulls = sum(number for path, number in zip(paths, rows, strict=True) if path[key] is None)
        role, reason = "tag", "it is a key of the paths"
        if problem := _name_problem(key):
            role, reason = LEFT_OUT, problem
        elif key.lower() in _CALENDAR:
            role, reason = LEFT_OUT, "it is a key of the paths that repeats the time"
        yield Column(key, PATH, nulls, len({path[key] for path in paths}), role, reason)


def guess_mapping(measurement: str, columns: Sequence[Column], seen: Sequence[Seen]) -> ColumnMapping | None:
    """Return the mapping that the roles of ``columns`` make, None where there is no time or no field."""
    known = {each.field.name: each for each in seen}
    times = [column.name for column in columns if column.role == "time"]
    fields = [column.name for column in columns if column.role.startswith("field")]
    if not times or not fields:
        return None
    return ColumnMapping(
        re.sub(r"\W+", "_", measurement).strip("_") or "points",
        times[0],
        tuple(column.name for column in columns if column.role == "tag"),
        tuple(FieldMapping(name, name) for name in fields),
        _unit_of(known[times[0]]),
        policy=Policy("UTC" if any(known[name].naive for name in (times[0], *fields)) else ""),
    )


def _type_name(kind: pa.DataType) -> str:
    return f"{kind.value_type} (dictionary)" if pt.is_dictionary(kind) else str(kind)


def _find_time(seen: Sequence[Seen]) -> Seen | None:
    """Return the column that is most likely the time of the points."""
    able = [each for each in seen if each.everywhere and not each.repeated and not each.empty]
    stamps = [each for each in able if pt.is_timestamp(each.field.type)]
    candidates = [
        *(each for each in stamps if each.field.name.lower() in _PLAIN_TIMES),
        *stamps,
        *(each for each in able if _unit_of(each)),
        *(each for each in able if pt.is_date(each.field.type)),
    ]
    return candidates[0] if candidates else None


def _unit_of(seen: Seen) -> str:
    """Return the unit that puts integers with the name of a time in this century, "" for other columns."""
    if seen.field.type != pa.int64() or seen.empty or not _TIMES.search(seen.field.name):
        return ""
    low, high = pc.min_max(seen.values).as_py().values()
    for unit, size in NANOSECONDS.items():
        first, stop = (second * NANOSECONDS["s"] // size for second in _PLAUSIBLE)
        if first <= low <= high < stop:
            return unit
    return ""


def _time_reason(seen: Seen) -> str:
    zone = _NO_ZONE if seen.naive else ""
    if unit := _unit_of(seen):
        return f"its name is that of a time, and its values are times of this century in {unit}"
    if pt.is_date(seen.field.type):
        return "it is the first column of dates, and none has times"
    if seen.field.name.lower() in _PLAIN_TIMES:
        return f"it has timestamps, and the name of a time{zone}"
    return f"it is the first column of timestamps{zone}"


def _part(seen: Seen, distinct: int | None, rows: int) -> tuple[str, str]:
    name, kind = seen.field.name, seen.field.type
    field = default_type(kind)
    if field is None or seen.repeated or INDEX.fullmatch(name) or _name_problem(name):
        return LEFT_OUT, _why_left_out(seen)
    if distinct is None or seen.empty:
        return f"field {field}", "the sample has no value of it"
    plain = kind.value_type if pt.is_dictionary(kind) else kind
    coded = pt.is_integer(kind) and _CODES.search(name) and name.lower() not in _NO_CODES
    if can_be_tag(kind) and not pt.is_boolean(plain) and (is_text(kind) or pt.is_dictionary(kind) or coded):
        found = f"{distinct:,} in {counted(rows, 'row')}; {_FEW}"
        if distinct == 1 and not is_text(plain):
            return f"field {field}", "it is a number that is the same in all rows: no series differ by it"
        if distinct * _ROWS_A_VALUE <= rows or distinct == 1:
            return "tag", f"it has few values ({found})"
        return f"field {field}", f"it has many values ({found}), each of which would be a series"
    return f"field {field}", "it is what is measured"


def _why_left_out(seen: Seen) -> str:
    kind = seen.field.type
    if seen.repeated:
        return "there is more than one column of this name"
    if INDEX.fullmatch(seen.field.name):
        return "it is the index of pandas"
    if pt.is_null(kind):
        return "it has no value"
    if pt.is_nested(kind):
        return "it is nested: take it apart first"
    return _name_problem(seen.field.name) or f"{kind} has no form in a field"


def _name_problem(name: str) -> str:
    if name in _RESERVED:
        return "points keep this name for themselves: give it another"
    if "=" in name or _NO_FORM.search(name):
        return "its name cannot be that of a tag or field: rename it"
    return ""
