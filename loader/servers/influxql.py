"""InfluxQL queries of verification: text for requests, JSON from replies.

Times travel as integer nanoseconds, integers as integers, floats in the shortest form that reads back to
the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import polars as pl

from loader.dataset.schema import FieldType, PointSchema
from loader.errors import ServerError
from loader.servers.base import AggregateQuery, PointsQuery, Reply, ReplyKind, Request, Target
from loader.servers.database import database_of
from loader.servers.frames import aggregate_frame, points_frame
from loader.servers.replies import message_of, raise_for, shown


def build_aggregate(target: Target, query: AggregateQuery) -> Request:
    """Return the request for ``query``."""
    groups = "".join(f", {_name(tag)}" for tag in query.schema.tags)
    return _request(
        target,
        f"SELECT {query.function.upper()}({_name(query.field.column)}) FROM {_name(query.schema.measurement)}"
        f" WHERE time >= {query.start} AND time < {query.stop}"
        f" GROUP BY time(1d){groups} FILL(none)",
    )


def parse_aggregate(query: AggregateQuery, reply: Reply) -> pl.DataFrame:
    """Read what ``Dialect.parse_aggregate`` promises; raises ServerError."""
    kind = FieldType.INTEGER if query.function == "count" else query.field.type
    rows = (
        (*(series["tags"][tag] for tag in query.schema.tags), int(time), _value(kind, value))
        for series in _series(reply)
        for time, value in series["values"]
    )
    return aggregate_frame(query, rows)


def build_fields(target: Target, schema: PointSchema, start: int, stop: int) -> Request:
    """Return the request for the measurement's field keys; InfluxQL knows them without times only."""
    return _request(target, f"SHOW FIELD KEYS FROM {_name(schema.measurement)}")


def parse_fields(reply: Reply) -> list[str]:
    """Read what ``Dialect.parse_fields`` promises; raises ServerError."""
    return [name for series in _series(reply) for name, _ in series["values"]]


def parse_types(reply: Reply) -> dict[str, set[str]]:
    """Read the types of each field key from the answer to ``build_fields``; raises ServerError."""
    types: dict[str, set[str]] = {}
    for series in _series(reply):
        for name, kind in series["values"]:
            types.setdefault(name, set()).add(kind)
    return types


def build_points(target: Target, query: PointsQuery) -> Request:
    """Return the request for ``query``."""
    fields = ", ".join(f"{_name(field.column)}::field" for field in query.schema.fields)
    tags = zip(query.schema.tags, query.series, strict=True)
    where = "".join(f" AND {_name(tag)}::tag = {_string(value)}" for tag, value in tags)
    return _request(
        target,
        f"SELECT {fields} FROM {_name(query.schema.measurement)}"
        f" WHERE time >= {query.start} AND time < {query.stop}{where}",
    )


def parse_points(query: PointsQuery, reply: Reply) -> pl.DataFrame:
    """Read what ``Dialect.parse_points`` promises; raises ServerError."""
    fields = query.schema.fields
    values: dict[str, dict[int, object]] = {field.column: {} for field in fields}
    for series in _series(reply):
        for time, *row in series["values"]:
            for field, value in zip(fields, row, strict=True):
                if value is not None:
                    values[field.column][int(time)] = _value(field.type, value)
    return points_frame(query, values)


def _value(kind: FieldType, value: Any) -> Any:
    """Return ``value`` in the type of its field: a whole float is printed like an integer."""
    read = {FieldType.FLOAT: float, FieldType.INTEGER: int, FieldType.UNSIGNED: int}.get(kind)
    return read(value) if read else value


def _name(text: str) -> str:
    """Return ``text`` as an identifier."""
    return '"' + _escaped(text).replace('"', '\\"') + '"'


def _string(text: str) -> str:
    """Return ``text`` as a string literal."""
    return "'" + _escaped(text).replace("'", "\\'") + "'"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _request(target: Target, text: str) -> Request:
    return Request(
        method="POST",
        path="/query",
        params=(*database_of(target.bucket).params, ("epoch", "ns")),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode({"q": text}).encode(),
        reply=ReplyKind.ANSWER,
    )


def _series(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the series of the only statement; raises ServerError for an error in it, or an answer cut short."""
    if reply.status != 200:
        raise_for(reply, "query")
    try:
        # integers stay text until their type is known: as an integer, -0 would lose its sign
        (result,) = json.loads(reply.body.decode(errors="replace"), parse_int=str)["results"]
    except ValueError:
        raise ServerError(f"query: the reply is not JSON: {message_of(reply)}", status=200) from None
    if "error" in result:
        words = shown(reply, str(result["error"]))
        raise ServerError(f"the server gave up a query: {words}", status=reply.status)
    for series in result.get("series", ()):
        if series.get("partial") or result.get("partial"):
            raise ServerError(
                "the server cut the answer of a query short",
                hint="raise max-row-limit in the [http] section of its configuration",
                status=reply.status,
            )
        yield series
