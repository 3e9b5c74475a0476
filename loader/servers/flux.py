"""Flux queries of verification: text for requests, CSV from replies.

The storage engine computes an aggregate itself (pushdown, some hundred times faster) as long as
``range |> filter |> aggregateWindow`` use only times, measurement, field and tags: everything that shapes the
answer comes after that. Floats arrive in the shortest form that reads back to the same bits.

The CSV turns a line feed into CR LF and drops a carriage return. Strings with a carriage return are therefore
requested as JSON. So are tags, once a cell in quotes shows that one may have lost characters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl

from loader.dataset.instant import instant, nanoseconds
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.servers.base import (
    AggregateQuery,
    AmbiguousText,
    CountQuery,
    PointsQuery,
    Reply,
    Request,
    Target,
)
from loader.servers.flux_csv import read_rows
from loader.servers.flux_text import any_field, request, source, string, tree
from loader.servers.frames import (
    aggregate_frame,
    day_of,
    points_frame,
    refuse_first_day,
    refuse_last_day,
    tag_columns,
)
from loader.servers.replies import reading
from loader.servers.reserved import refuse_reserved

NAMED_FIELDS = 200
"""Most fields that a query of points names; a measurement with more is queried for all fields."""
_CODED = "coded"
READ: Mapping[FieldType, Callable[[str], object]] = {
    FieldType.FLOAT: float,
    FieldType.INTEGER: int,
    FieldType.UNSIGNED: int,
    FieldType.BOOLEAN: "true".__eq__,
    FieldType.STRING: lambda text: text.replace("\r\n", "\n").encode("utf-8", "surrogateescape"),
}


def build_aggregate(target: Target, query: AggregateQuery) -> Request:
    """Return the request for ``query``, in a form that the storage engine computes itself.

    Raises ConfigError for a tag whose name Flux reserves, and for the first and last day that are stored.
    """
    tags = query.schema.tags
    refuse_reserved(tags)
    refuse_first_day(query)
    refuse_last_day(query)
    columns = ", ".join(map(string, (*tags, "_field", "_time", "_value")))
    where = f"r._measurement == {string(query.schema.measurement)} and {any_field(query.fields)}"
    text = (
        f"{source(target, query.start, query.stop)}"
        f" |> filter(fn: (r) => {where})"
        f' |> aggregateWindow(every: 1d, fn: {query.function}, createEmpty: false, timeSrc: "_start")'
        f" |> keep(columns: [{columns}]) |> group()"
    )
    if _is_encoded(query):
        keys = [f"r[{string(tag)}]" for tag in tags]
        coded = [f't{i}: if exists {key} then string(v: json.encode(v: {key})) else ""' for i, key in enumerate(keys)]
        values = ", ".join([*coded, "_field: string(v: json.encode(v: r._field))", "_time: r._time, _value: r._value"])
        text = f'import "json" {text} |> map(fn: (r) => ({{{values}}}))'
    return request(target, text)


def parse_aggregate(query: AggregateQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_aggregate``; raises ServerError, AmbiguousText."""
    read = int if query.function == "count" else READ[query.fields[0].type]
    encoded = _is_encoded(query)
    tags = tag_columns(len(query.schema.tags)) if encoded else query.schema.tags
    positions = {field.column: position for position, field in enumerate(query.fields)}

    def rows() -> Iterator[tuple[object, ...]]:
        for row in read_rows(reply):
            if row.quoted and not encoded:
                raise AmbiguousText
            *series, field = (row.get(name) for name in (*tags, "_field"))
            if encoded:
                *series, field = (json.loads(text) if text else "" for text in (*series, field))
            yield *series, positions[field], day_of(nanoseconds(row["_time"])), read(row["_value"])

    return aggregate_frame(query, rows())


def build_count(target: Target, schema: PointSchema, field: Field, start: int, stop: int) -> Request:
    """Return the request for the number of points with ``field`` and ``start`` <= time < ``stop`` (nanoseconds)."""
    return request(target, _count(target, CountQuery(schema, field, start, stop)))


def build_counts(target: Target, queries: Sequence[CountQuery]) -> Request:
    """Return the request for the answers to ``queries``: planning one of several takes a third of the time of each."""
    texts = (f'{_count(target, query)} |> yield(name: "{number}")' for number, query in enumerate(queries))
    return request(target, "\n".join(texts))


def parse_counts(reply: Reply, number: int) -> list[int]:
    """Read the ``number`` answers to ``build_counts``, 0 where nothing is said of one; raises ServerError."""
    found: Counter[str] = Counter()
    with reading(reply, "count points"):
        for row in read_rows(reply):
            found[row.result] += int(row["_value"])
    return [found[str(position)] for position in range(number)]


def _count(target: Target, query: CountQuery) -> str:
    field = query.field.column
    where = f"r._measurement == {string(query.schema.measurement)} and r._field == {string(field)}"
    # Ungrouped: InfluxDB 2.9, at least, never ends the answer to a count by series before 1970.
    return (
        f"{source(target, query.start, query.stop)} |> filter(fn: (r) => {where})"
        ' |> group() |> count() |> keep(columns: ["_value"])'
    )


def build_totals(target: Target, schema: PointSchema, fields: Sequence[Field], start: int, stop: int) -> Request:
    """Return the request for the number of values of each of ``fields``, with ``start`` <= time < ``stop``.

    The storage engine adds up the series itself, so that the answer has a row a field, however many series there are.
    """
    where = f"r._measurement == {string(schema.measurement)} and {any_field(fields)}"
    return request(
        target,
        f'import "json" {source(target, start, stop)} |> filter(fn: (r) => {where})'
        ' |> group(columns: ["_field"]) |> count() |> keep(columns: ["_field", "_value"])'
        " |> map(fn: (r) => ({_field: string(v: json.encode(v: r._field)), _value: r._value}))",
    )


def parse_totals(fields: Sequence[Field], reply: Reply) -> list[int]:
    """Read the number of values of each of ``fields`` from the reply to ``build_totals``; raises ServerError."""
    with reading(reply, "count values"):
        found = {json.loads(row["_field"]): int(row["_value"]) for row in read_rows(reply)}
    return [found.get(field.column, 0) for field in fields]


def build_cardinality(target: Target, schema: PointSchema, start: int, stop: int) -> Request:
    """Return the request for the number of series of the measurement, in shards with ``start`` <= time < ``stop``.

    The server answers from its index; ``parse_count`` reads the reply.
    """
    return request(
        target,
        f'import "influxdata/influxdb" influxdb.cardinality(bucket: {string(target.bucket)}, start: {instant(start)},'
        f" stop: {instant(stop)}, predicate: (r) => r._measurement == {string(schema.measurement)})",
    )


def build_other_types(target: Target, schema: PointSchema, field: Field, start: int, stop: int) -> Request:
    """Return the request for the number of values of ``field`` that have another type; the server reads them all."""
    where = f"r._measurement == {string(schema.measurement)} and r._field == {string(field.column)}"
    return request(
        target,
        f'import "types" {source(target, start, stop)} |> filter(fn: (r) => {where})'
        f' |> filter(fn: (r) => not types.isType(v: r._value, type: "{_TYPES[field.type]}"))'
        ' |> count() |> group() |> sum() |> keep(columns: ["_value"])',
    )


def parse_count(reply: Reply) -> int:
    """Read the reply to ``build_count``; raises ServerError."""
    with reading(reply, "count points"):
        return sum(int(row["_value"]) for row in read_rows(reply))


def build_fields(target: Target, schema: PointSchema, start: int, stop: int) -> Request:
    """Return the request for the field keys of the measurement, which the server answers from its index, as JSON."""
    return request(
        target,
        'import "influxdata/influxdb/schema" import "json" '
        f"schema.measurementFieldKeys(bucket: {string(target.bucket)}, measurement: {string(schema.measurement)},"
        f" start: {instant(start)}, stop: {instant(stop)})"
        " |> map(fn: (r) => ({_value: string(v: json.encode(v: r._value))}))",
    )


def parse_fields(reply: Reply) -> list[str]:
    """Read field keys, see ``Dialect.parse_fields``, or measurements; raises ServerError."""
    return [json.loads(row["_value"]) for row in read_rows(reply)]


def build_others(target: Target, measurements: Sequence[str], start: int, stop: int) -> Request:
    """Return the request for other measurements with points with ``start`` <= time < ``stop``.

    Only the shards of that time are read, unlike for ``schema.measurements``. The answer is JSON.
    """
    known = tree([f"r._measurement != {string(name)}" for name in measurements], "and")
    return request(
        target,
        f'import "json" {source(target, start, stop)} |> filter(fn: (r) => {known}) |> first()'
        ' |> keep(columns: ["_measurement"]) |> group() |> distinct(column: "_measurement")'
        " |> map(fn: (r) => ({_value: string(v: json.encode(v: r._value))}))",
    )


def build_points(target: Target, query: PointsQuery) -> Request:
    """Return the request for ``query``; each field stays in its own table, since types differ.

    Raises ConfigError for a tag whose name Flux reserves.
    """
    schema = query.schema
    refuse_reserved(schema.tags)
    conditions = [f"r._measurement == {string(schema.measurement)}"]
    for tag, value in zip(schema.tags, query.series, strict=True):
        key = f"r[{string(tag)}]"
        conditions.append(f"{key} == {string(value)}" if value else f"not exists {key}")
    if len(schema.fields) <= NAMED_FIELDS:
        conditions.append(any_field(schema.fields))
    rows = (
        f"{source(target, query.start, query.stop)}"
        f" |> filter(fn: (r) => {tree(conditions, 'and')})"
        f' |> keep(columns: ["_field", "_time", "_value"])'
    )
    if _is_odd(field.column for field in schema.fields):
        rows += " |> map(fn: (r) => ({r with _field: string(v: json.encode(v: r._field))}))"
    elif not any(field.type is FieldType.STRING for field in schema.fields):
        return request(target, rows)
    text = 'types.isType(v: r._value, type: "string")'
    coded = "{r with _value: string(v: json.encode(v: r._value))}"
    return request(
        target,
        f'import "types" import "json" rows = {rows}'
        f' rows |> filter(fn: (r) => not {text}) |> yield(name: "others")'
        f" texts = rows |> filter(fn: (r) => {text})"
        ' texts |> filter(fn: (r) => r._value !~ /\\r/) |> yield(name: "texts")'
        f" texts |> filter(fn: (r) => r._value =~ /\\r/) |> map(fn: (r) => ({coded}))"
        f' |> yield(name: "{_CODED}")',
    )


def parse_points(query: PointsQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_points``; raises ServerError."""
    fields = query.schema.fields
    odd = _is_odd(field.column for field in fields)
    positions = {field.column: position for position, field in enumerate(fields)}
    values: dict[int, dict[int, object]] = {position: {} for position in range(len(fields))}
    for row in read_rows(reply):
        position = positions.get(json.loads(row["_field"]) if odd else row["_field"])
        if position is not None:
            text = row["_value"]
            value = json.loads(text).encode() if row.result == _CODED else READ[fields[position].type](text)
            values[position][nanoseconds(row["_time"])] = value
    return points_frame(query, values)


def _is_odd(names: Iterable[str]) -> bool:
    """Tell whether the CSV would change one of ``names``."""
    return any("\r" in name or "\n" in name for name in names)


def _is_encoded(query: AggregateQuery) -> bool:
    return query.encoded or _is_odd((*query.schema.tags, *(field.column for field in query.fields)))


_TYPES = {
    FieldType.FLOAT: "float",
    FieldType.INTEGER: "int",
    FieldType.UNSIGNED: "uint",
    FieldType.BOOLEAN: "bool",
    FieldType.STRING: "string",
}
"""The names of field types in Flux."""
