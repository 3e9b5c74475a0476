"""The schema of points: which columns are tags, fields and time.

InfluxDB identifies a point by measurement, tag set and timestamp. A second point with the same identity
silently replaces values of the first. So a retry is safe, but two trades of one series with one timestamp
silently become one. Staged trades have unique identities; in other datasets a load finds rows that share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

import pyarrow as pa

from loader.dataset.policy import STRICT, Policy


class FieldType(StrEnum):
    """The field types of InfluxDB."""

    FLOAT = "float"
    INTEGER = "integer"
    UNSIGNED = "unsigned"
    BOOLEAN = "boolean"
    STRING = "string"


@dataclass(frozen=True)
class Field:
    """A field: its Parquet column, which is also its key, and its InfluxDB type."""

    column: str
    type: FieldType


@dataclass(frozen=True)
class PointSchema:
    """How a row becomes a point. Names of tag columns are tag keys; points have times in nanoseconds, UTC.

    ``sources`` gives the name in files of each column that has another name there. ``sparse`` are tags and fields that
    some files lack: rows of these files have no such value.

    ``time_unit`` is "s", "ms", "us" or "ns" for a time column of integers (since 1970), "" for one of timestamps,
    which have their own unit.
    """

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]
    time: str
    time_unit: str = ""
    sources: tuple[tuple[str, str], ...] = ()
    sparse: tuple[str, ...] = ()
    policy: Policy = STRICT

    def source(self, column: str) -> str:
        """Return what ``column`` is called in files."""
        return self._sources.get(column, column)

    @cached_property
    def _sources(self) -> Mapping[str, str]:
        return dict(self.sources)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns: tags, fields, time."""
        return (*self.tags, *(field.column for field in self.fields), self.time)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of text: tags and string fields."""
        return (*self.tags, *(field.column for field in self.fields if field.type is FieldType.STRING))

    def to_json(self) -> dict[str, Any]:
        """Return a form for ``json.dump``; ``from_json`` is the inverse."""
        more: dict[str, Any] = {"time_unit": self.time_unit} if self.time_unit else {}
        more |= {"sources": dict(self.sources)} if self.sources else {}
        more |= {"sparse": list(self.sparse)} if self.sparse else {}
        more |= {"policy": self.policy.to_json()} if self.policy != STRICT else {}
        return {
            "measurement": self.measurement,
            "tags": list(self.tags),
            "fields": {field.column: field.type.value for field in self.fields},
            "time": self.time,
            **more,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            measurement=str(data["measurement"]),
            tags=tuple(data["tags"]),
            fields=tuple(Field(column, FieldType(kind)) for column, kind in data["fields"].items()),
            time=str(data["time"]),
            time_unit=str(data.get("time_unit", "")),
            sources=tuple(data.get("sources", {}).items()),
            sparse=tuple(data.get("sparse", [])),
            policy=Policy.from_json(data.get("policy", {})),
        )


def trades_schema() -> PointSchema:
    """Return the schema of staged trades: tags symbol and side, fields price and amount."""
    return PointSchema(
        measurement="trades",
        tags=("symbol", "side"),
        fields=(Field("price", FieldType.FLOAT), Field("amount", FieldType.INTEGER)),
        time="timestamp",
    )


def column_problem(schema: PointSchema, columns: pa.Schema) -> str:
    """Return in one sentence what keeps ``columns`` from being points of ``schema``, "" when nothing does."""
    if not schema.fields:
        return "the schema has no field, and a point needs one"
    wanted: dict[str, tuple[str, Callable[[pa.DataType], bool]]] = {
        **dict.fromkeys(schema.tags, ("a string", is_text)),
        **{field.column: _FIELD_COLUMNS[field.type] for field in schema.fields},
        schema.time: _TIME_COLUMNS[bool(schema.time_unit)],
    }
    found = Counter(columns.names)
    kinds = dict(zip(columns.names, columns.types, strict=True))
    for name, (description, fits) in wanted.items():
        if found[name] != 1:
            words = "there more than once" if found[name] else "missing"
            return f"column {name!r} is {words}; columns are {', '.join(found)}"
        if not fits(kinds[name]):
            return f"column {name!r} is {kinds[name]}; it should be {description}"
    return ""


def is_text(kind: pa.DataType) -> bool:
    """Tell whether ``kind`` is text, plain or dictionary."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def _is_float(kind: pa.DataType) -> bool:
    """Tell whether ``kind`` is a float whose values are all doubles, with a shortest decimal form."""
    return bool(pa.types.is_float32(kind) or pa.types.is_float64(kind))


def _is_integer(kind: pa.DataType) -> bool:
    """Tell whether every value of ``kind`` is an int64."""
    return bool(pa.types.is_integer(kind) and kind != pa.uint64())


_FIELD_COLUMNS: dict[FieldType, tuple[str, Callable[[pa.DataType], bool]]] = {
    FieldType.FLOAT: ("float32 or float64", _is_float),
    FieldType.INTEGER: ("an integer within int64", _is_integer),
    FieldType.UNSIGNED: ("an unsigned integer", lambda kind: bool(pa.types.is_unsigned_integer(kind))),
    FieldType.BOOLEAN: ("a boolean", lambda kind: bool(pa.types.is_boolean(kind))),
    FieldType.STRING: ("a string", is_text),
}
_TIME_COLUMNS: dict[bool, tuple[str, Callable[[pa.DataType], bool]]] = {
    False: ("a timestamp; of integers, the schema says the unit", lambda kind: bool(pa.types.is_timestamp(kind))),
    True: ("int64, since the schema says a unit", lambda kind: bool(kind == pa.int64())),
}
