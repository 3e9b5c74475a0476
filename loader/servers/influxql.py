"""InfluxQL queries of verification: text for requests, JSON from replies.

Times are integer nanoseconds, integers are integers, and floats have the shortest form that reads back to the same
bits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import polars as pl

from loader.dataset.schema import FieldType, PointSchema
from loader.errors import ConfigError, ServerError
from loader.servers.base import AggregateQuery, PointsQuery, Reply, ReplyKind, Request, Target, UnwritableNumber
from loader.servers.database import database_of
from loader.servers.frames import aggregate_frame, day_of, points_frame, refuse_first_day
from loader.servers.replies import message_of, raise_for, reading, shown

_UNWRITABLE = b'{"error":"json: unsupported value: '
"""The beginning of a line in place of a number that JSON cannot hold: an infinite sum of floats, or NaN."""


def build_aggregate(target: Target, query: AggregateQuery) -> Request:
    """Return the request for ``query``.

    Raises ConfigError for a name that InfluxQL cannot write, and as ``refuse_first_day`` does.
    """
    refuse_first_day(query)
    groups = "".join(f", {identifier(tag)}" for tag in query.schema.tags)
    values = ", ".join(f"{query.function.upper()}({identifier(field.column)}::field)" for field in query.fields)
    return build_statement(
        target,
        f"SELECT {values} FROM {identifier(query.schema.measurement)}"
        f" WHERE time >= {query.start} AND time < {query.stop}"
        f" GROUP BY time(1d){groups} FILL(none)",
    )


def parse_aggregate(query: AggregateQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_aggregate``; raises ServerError, UnwritableNumber."""
    if query.function == "sum" and _UNWRITABLE in reply.body:
        raise UnwritableNumber
    kind = FieldType.INTEGER if query.function == "count" else query.fields[0].type
    rows = (
        (*_tags(query, series), field, day_of(int(time)), read_value(kind, value))
        for series in read_series(reply)
        for time, *values in series["values"]
        for field, value in enumerate(values)
        if value is not None
    )
    return aggregate_frame(query, rows)


def _tags(query: AggregateQuery, series: dict[str, Any]) -> Iterator[str]:
    return (series.get("tags", {}).get(tag, "") for tag in query.schema.tags)


def build_fields(target: Target, schema: PointSchema, start: int, stop: int) -> Request:
    """Return the request for the measurement's field keys; InfluxQL gives them for all times only."""
    return build_statement(target, f"SHOW FIELD KEYS FROM {identifier(schema.measurement)}")


def parse_fields(reply: Reply) -> list[str]:
    """Read the answer, see ``Dialect.parse_fields``; raises ServerError."""
    return [name for series in read_series(reply) for name, _ in series["values"]]


def parse_types(reply: Reply) -> dict[str, set[str]]:
    """Read the types of each field key from the answer to ``build_fields``; raises ServerError."""
    types: dict[str, set[str]] = {}
    with reading(reply, "look for the types of fields"):
        for series in read_series(reply):
            for name, kind in series["values"]:
                types.setdefault(name, set()).add(kind)
    return types


def build_points(target: Target, query: PointsQuery) -> Request:
    """Return the request for ``query``; raises ConfigError for a name that InfluxQL cannot write."""
    fields = ", ".join(f"{identifier(field.column)}::field" for field in query.schema.fields)
    where = "".join(f" AND {identifier(tag)}::tag = $tag{number}" for number, tag in enumerate(query.schema.tags))
    return build_statement(
        target,
        f"SELECT {fields} FROM {identifier(query.schema.measurement)}"
        f" WHERE time >= {query.start} AND time < {query.stop}{where}",
        {f"tag{number}": value for number, value in enumerate(query.series)},
    )


def parse_points(query: PointsQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_points``; raises ServerError."""
    fields = query.schema.fields
    values: dict[int, dict[int, object]] = {position: {} for position in range(len(fields))}
    for series in read_series(reply):
        for time, *row in series["values"]:
            for position, (field, value) in enumerate(zip(fields, row, strict=True)):
                if value is not None:
                    values[position][int(time)] = read_value(field.type, value)
    return points_frame(query, values)


def read_value(kind: FieldType, value: Any) -> Any:
    """Return ``value`` in the type of its field: a whole float is printed like an integer."""
    if kind is FieldType.STRING:
        return str(value).encode("utf-8", "surrogatepass")
    read = {FieldType.FLOAT: float, FieldType.INTEGER: int, FieldType.UNSIGNED: int}.get(kind)
    return read(value) if read else value


def identifier(text: str) -> str:
    """Return ``text`` as an identifier; raises ConfigError where none can be."""
    if re.search(r"[\r\0]", text):
        raise ConfigError(
            f"the name {text!r} cannot be compared: InfluxQL has no spelling for a carriage return or NUL in names",
            hint="rename the column or measurement, to letters and digits for example",
        )
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'


def build_statement(target: Target, text: str, values: Mapping[str, str] | None = None) -> Request:
    """Return the request for a statement; tag values are parameters, so that any value is possible.

    The answer comes in pieces, which ``max-row-limit`` of a server does not bound: an answer in one piece ends there,
    and does not say so when the first series ends there, too.
    """
    form = {"q": text, **({"params": json.dumps(values)} if values else {})}
    return Request(
        method="POST",
        path="/query",
        params=(*database_of(target.bucket).params, ("epoch", "ns"), ("chunked", "true")),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
        reply=ReplyKind.ANSWER,
    )


def read_series(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the series of the only statement; a long one comes in several parts, with the same tags.

    Raises ServerError for an error in the answer, and for one that was cut short.
    """
    if reply.status != 200:
        raise_for(reply, "query")
    more = True
    for piece in filter(None, map(bytes.strip, reply.body.split(b"\n"))):
        result = _read_piece(reply, piece)
        yield from result.get("series", ())
        more = any(part.get("partial") for part in (result, *result.get("series", ())[-1:]))
    if more:
        raise ServerError(
            "the server cut the answer of a query short",
            hint="if a proxy is between, raise max-row-limit in the [http] section of the server's configuration",
            status=reply.status,
        )


def _read_piece(reply: Reply, piece: bytes) -> dict[str, Any]:
    """Return the result in a line of the answer."""
    try:
        # integers stay text until their type is known: as an integer, -0 would lose its sign
        content = json.loads(piece.decode(errors="replace"), parse_int=str)
    except ValueError:
        raise ServerError(f"query: the reply is not JSON: {message_of(reply)}", status=200) from None
    (result,) = [content] if "error" in content else content["results"]
    if "error" in result:
        words = shown(reply, str(result["error"]))
        raise ServerError(f"the server gave up a query: {words}", status=reply.status)
    found: dict[str, Any] = result
    return found
