"""Which column plays which part of a point.

InfluxDB identifies a point by measurement, tag set and timestamp. A second point with the same identity
silently replaces the first: a retry is therefore safe, and two trades of one series with one timestamp
silently become one. Whoever makes rows guarantees that identities are unique; verification counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


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
    """How a row becomes a point. Tag columns are tag keys; timestamps are integer nanoseconds, UTC."""

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]
    time: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns: tags, fields, time."""
        return (*self.tags, *(field.column for field in self.fields), self.time)

    def to_json(self) -> dict[str, Any]:
        """Return a form for ``json.dump``; ``from_json`` is the inverse."""
        return {
            "measurement": self.measurement,
            "tags": list(self.tags),
            "fields": {field.column: field.type.value for field in self.fields},
            "time": self.time,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            measurement=str(data["measurement"]),
            tags=tuple(data["tags"]),
            fields=tuple(Field(column, FieldType(kind)) for column, kind in data["fields"].items()),
            time=str(data["time"]),
        )


def trades_schema() -> PointSchema:
    """Return the schema of staged trades: tags symbol and side, fields price and amount."""
    return PointSchema(
        measurement="trades",
        tags=("symbol", "side"),
        fields=(Field("price", FieldType.FLOAT), Field("amount", FieldType.INTEGER)),
        time="timestamp",
    )
