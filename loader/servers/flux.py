"""Flux queries of verification: text for requests, CSV from replies.

The storage engine computes an aggregate by itself (pushdown, some hundred times faster) as long as
``range |> filter |> aggregateWindow`` name nothing but times, measurement, field and tags: whatever shapes
the answer comes after that. Floats arrive in the shortest form that reads back to the same bits;
the CSV turns a line feed in a string into CR LF and drops a carriage return.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping

import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ServerError
from loader.servers.base import AggregateQuery, PointsQuery, Reply, ReplyKind, Request, Target
from loader.servers.frames import aggregate_frame, instant, nanoseconds, points_frame
from loader.servers.replies import raise_for, reading, shown

READ: Mapping[FieldType, Callable[[str], object]] = {
    FieldType.FLOAT: float,
    FieldType.INTEGER: int,
    FieldType.UNSIGNED: int,
    FieldType.BOOLEAN: "true".__eq__,
    FieldType.STRING: lambda text: text.replace("\r\n", "\n"),
}


def build_aggregate(target: Target, query: AggregateQuery) -> Request:
    """Return the request for ``query``, in a form that the storage engine computes by itself."""
    where = f"r._measurement == {_string(query.schema.measurement)} and r._field == {_string(query.field.column)}"
    columns = ", ".join(map(_string, (*query.schema.tags, "_time", "_value")))
    return _request(
        target,
        f"{_source(target, query.start, query.stop)}"
        f" |> filter(fn: (r) => {where})"
        f' |> aggregateWindow(every: 1d, fn: {query.function}, createEmpty: false, timeSrc: "_start")'
        f" |> keep(columns: [{columns}]) |> group()",
    )


def parse_aggregate(query: AggregateQuery, reply: Reply) -> pl.DataFrame:
    """Read what ``Dialect.parse_aggregate`` promises; raises ServerError."""
    read = int if query.function == "count" else READ[query.field.type]
    tags = query.schema.tags
    rows = (
        (*(row.get(tag, "") for tag in tags), nanoseconds(row["_time"]), read(row["_value"])) for row in _rows(reply)
    )
    return aggregate_frame(query, rows)


def build_count(target: Target, schema: PointSchema, field: Field, start: int, stop: int) -> Request:
    """Return the request for the number of points with ``field`` and ``start`` <= time < ``stop`` (nanoseconds)."""
    where = f"r._measurement == {_string(schema.measurement)} and r._field == {_string(field.column)}"
    # Ungrouped: a count of each series before 1970 is an answer without end, of InfluxDB 2.9 at least.
    return _request(
        target,
        f"{_source(target, start, stop)} |> filter(fn: (r) => {where})"
        ' |> group() |> count() |> keep(columns: ["_value"])',
    )


def parse_count(reply: Reply) -> int:
    """Read the reply to ``build_count``; raises ServerError."""
    with reading(reply, "count points"):
        return sum(int(row["_value"]) for row in _rows(reply))


def build_fields(target: Target, schema: PointSchema, start: int, stop: int) -> Request:
    """Return the request for the field keys of the measurement, which the index answers."""
    return _request(
        target,
        'import "influxdata/influxdb/schema" '
        f"schema.measurementFieldKeys(bucket: {_string(target.bucket)}, measurement: {_string(schema.measurement)},"
        f" start: {instant(start)}, stop: {instant(stop)})",
    )


def parse_fields(reply: Reply) -> list[str]:
    """Read what ``Dialect.parse_fields`` promises; raises ServerError."""
    return [row["_value"] for row in _rows(reply)]


def build_points(target: Target, query: PointsQuery) -> Request:
    """Return the request for ``query``; fields stay in tables of their own, since their types differ."""
    fields = " or ".join(f"r._field == {_string(field.column)}" for field in query.schema.fields)
    conditions = [f"r._measurement == {_string(query.schema.measurement)}"]
    for tag, value in zip(query.schema.tags, query.series, strict=True):
        key = f"r[{_string(tag)}]"
        conditions.append(f"{key} == {_string(value)}" if value else f"not exists {key}")
    return _request(
        target,
        f"{_source(target, query.start, query.stop)}"
        f" |> filter(fn: (r) => {' and '.join(conditions)} and ({fields}))"
        f' |> keep(columns: ["_field", "_time", "_value"])',
    )


def parse_points(query: PointsQuery, reply: Reply) -> pl.DataFrame:
    """Read what ``Dialect.parse_points`` promises; raises ServerError."""
    read = {field.column: READ[field.type] for field in query.schema.fields}
    values: dict[str, dict[int, object]] = {column: {} for column in read}
    for row in _rows(reply):
        column = row["_field"]
        values[column][nanoseconds(row["_time"])] = read[column](row["_value"])
    return points_frame(query, values)


def _string(text: str) -> str:
    """Return a Flux string literal of ``text``."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'


def _source(target: Target, start: int, stop: int) -> str:
    return f"from(bucket: {_string(target.bucket)}) |> range(start: {instant(start)}, stop: {instant(stop)})"


def _request(target: Target, text: str) -> Request:
    dialect = {"annotations": [], "header": True}
    return Request(
        method="POST",
        path="/api/v2/query",
        params=(("org", target.org),),
        headers={"Content-Type": "application/json", "Accept": "application/csv"},
        body=json.dumps({"query": text, "type": "flux", "dialect": dialect}).encode(),
        reply=ReplyKind.ANSWER,
    )


def _rows(reply: Reply) -> Iterator[dict[str, str]]:
    """Yield the rows of all tables, each under its header; an error may follow rows: raises ServerError."""
    if reply.status != 200:
        raise_for(reply, "query")
    header: list[str] = []
    for cells in csv.reader(io.StringIO(reply.body.decode(errors="replace"), newline="")):
        if not cells:
            header = []
        elif not header:
            header = cells
            if not {"table", "error"} & {*header}:
                raise ValueError("this is no table of Flux")
        else:
            row = dict(zip(header, cells, strict=True))
            if "error" in row and "_value" not in row:
                raise ServerError(f"the server gave up a query: {shown(reply, row['error'])}", status=reply.status)
            yield row
