"""Line protocol the slow and obvious way: one row, one character at a time. The oracle of the fast encoder."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loader.dataset.schema import FieldType, PointSchema


@dataclass(frozen=True)
class Point:
    """What a server understands of a line; floats as the eight bytes of the double, so that -0.0 is not 0.0."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, tuple[str, Any]]
    time: int


def by_series(points: Iterable[Point]) -> list[Point]:
    """Return ``points`` by their tags, those of a series in their order: an encoder may bring them together."""
    return sorted(points, key=lambda point: sorted(point.tags.items()))


def escaped(text: str, characters: str) -> str:
    """Put a backslash before each of ``characters``."""
    return "".join("\\" + character if character in characters else character for character in text)


def encode_row(row: Mapping[str, Any], schema: PointSchema) -> str:
    """Return the line of ``row``, whose time is integer nanoseconds; raises ValueError for what has no form."""
    line = escaped(schema.measurement, ", ")
    for tag in schema.tags:
        value = row[tag]
        if value is not None and value != "":
            if "\n" in value or value.endswith("\\"):
                raise ValueError(tag)
            line += "," + escaped(tag, ",= ") + "=" + escaped(value, ",= ")
    fields = []
    for field in schema.fields:
        value = row[field.column]
        if value is not None:
            fields.append(escaped(field.column, ",= ") + "=" + field_text(value, field.type))
    if not fields or row[schema.time] is None:
        raise ValueError(schema.time)
    return line + " " + ",".join(fields) + " " + str(row[schema.time]) + "\n"


def field_text(value: Any, kind: FieldType) -> str:
    """Return a field value; floats as Python spells them, which is not always how Polars does."""
    if kind is FieldType.FLOAT:
        if not math.isfinite(value):
            raise ValueError(value)
        return repr(value)
    if kind is FieldType.INTEGER:
        return f"{value}i"
    if kind is FieldType.UNSIGNED:
        return f"{value}u"
    if kind is FieldType.BOOLEAN:
        return "true" if value else "false"
    return '"' + escaped(value, '"\\') + '"'


def encode_rows(rows: Sequence[Mapping[str, Any]], schema: PointSchema) -> str:
    """Return the lines of ``rows``."""
    return "".join(encode_row(row, schema) for row in rows)


def decode(text: str) -> list[Point]:
    """Read lines as InfluxDB 1.8 and 2.9 do."""
    points = []
    position = 0
    while position < len(text):
        point, position = _decode_line(text, position)
        points.append(point)
    return points


def _decode_line(text: str, position: int) -> tuple[Point, int]:
    """Read the line at ``position``; return it and where the next one begins."""
    measurement, position = _until(text, position, ", ")
    tags = {}
    while text[position] == ",":
        key, position = _until(text, position + 1, "=")
        tags[key], position = _until(text, position + 1, ", ")
    fields = {}
    while not fields or text[position] == ",":
        key, position = _until(text, position + 1, "=")
        fields[key], position = _decode_field(text, position + 1)
    end = text.index("\n", position)
    return Point(measurement, tags, fields, int(text[position + 1 : end])), end + 1


def _until(text: str, position: int, stops: str) -> tuple[str, int]:
    """Read to the first of ``stops`` that has no backslash before it; drop those before comma, equals and space."""
    found = ""
    while text[position] not in stops or found.endswith("\\"):
        if text[position] in ",= " and found.endswith("\\"):
            found = found[:-1]
        found += text[position]
        position += 1
    return found, position


def _decode_field(text: str, position: int) -> tuple[tuple[str, Any], int]:
    """Read a field value; return its type with the value, and where it ends."""
    if text[position] == '"':
        found = ""
        position += 1
        while text[position] != '"':
            position += text[position] == "\\"
            found += text[position]
            position += 1
        return ("string", found), position + 1
    end = min(text.index(" ", position), text.find(",", position) % len(text))
    value = text[position:end]
    if value in ("true", "false"):
        return ("boolean", value == "true"), end
    if value.endswith("i"):
        return ("integer", int(value[:-1])), end
    if value.endswith("u"):
        return ("unsigned", int(value[:-1])), end
    return ("float", struct.pack("<d", float(value))), end
