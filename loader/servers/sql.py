"""SQL queries of verification, which InfluxDB 3 answers: text for requests, JSON lines and Parquet from replies.

Integers, timestamps and floats are exact in both forms. Names are quoted, since others fold to lower case. JSON lines
leave out what is null, and say null for an infinite float. Only a condition on ``time`` bounds the files that a query
reads; it takes no integers, but ``to_timestamp_nanos``.

Not seen of 3.10.1, but by its reference and that of DataFusion 51, which it is made of: ``date_bin`` within a CAST,
``time IN (...)``, and tags with another name in Parquet.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import Refused, ServerError
from loader.servers.base import (
    AggregateQuery,
    PointsQuery,
    Reply,
    ReplyKind,
    Request,
    Target,
    TooManyFiles,
    WindowQuery,
)
from loader.servers.frames import (
    ANSWER_TYPES,
    aggregate_frame,
    field_columns,
    refuse_first_day,
    refuse_last_day,
    tag_columns,
)
from loader.servers.replies import message_of, raise_for

_FILE_LIMIT = re.compile(r"exceed(ing the)? file limit")
_NOTHING = re.compile(r"table '.*' not found|database not found")
_LASTING = re.compile(r"^(Schema error|Error during planning|Execution error|SQL error|Arrow error)")
"""The beginning of errors with status 500 that the same query would have again."""
_POISON = "all columns in a record batch must have the same length"
_SUMS = {FieldType.INTEGER: "CAST({} AS DECIMAL(38, 0))", FieldType.UNSIGNED: "CAST({} AS DECIMAL(38, 0))"}
"""How integers are added up exactly: a plain sum wraps."""
_WRAP = 1 << 64


def authorisation(target: Target) -> dict[str, str]:
    """Return the header with the token, none without a token; the server takes the scheme in this spelling only."""
    return {"Authorization": f"Bearer {target.token}"} if target.token else {}


def build_query(target: Target, text: str, form: str = "jsonl", database: str = "") -> Request:
    """Return the request for the SQL ``text``, answered as ``form``: "jsonl" or "parquet"."""
    question = {"db": database or target.bucket, "q": text, "format": form}
    return Request(
        "POST",
        "/api/v3/query_sql",
        headers={"Content-Type": "application/json", **authorisation(target)},
        body=json.dumps(question).encode(),
        reply=ReplyKind.ANSWER,
    )


def identifier(name: str) -> str:
    """Return ``name`` quoted, as the name of a table or column."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as a value."""
    return "'" + text.replace("'", "''") + "'"


def build_aggregate(target: Target, query: AggregateQuery) -> Request:
    """Return the request for ``query``; columns that the server does not have are left out.

    Raises ConfigError for the first and last day that are stored, where ``date_bin`` fails.
    """
    refuse_first_day(query)
    refuse_last_day(query)
    day = "date_bin(INTERVAL '1 day', time)"
    tags = [(identifier(tag), f"t{number}") for number, tag in enumerate(query.schema.tags) if _has(query, tag)]
    values = [
        f"{query.function}({_operand(query, field)}) AS v{number}"
        for number, field in enumerate(query.fields)
        if _has(query, field.column)
    ]
    columns = [*(f"{tag} AS {alias}" for tag, alias in tags), f"CAST({day} AS BIGINT) AS day", *values]
    groups = [*(tag for tag, _ in tags), day]
    return build_query(
        target,
        f"SELECT {', '.join(columns)} FROM {identifier(query.schema.measurement)}"
        f" WHERE {_within(query)} GROUP BY {', '.join(groups)}",
    )


def _operand(query: AggregateQuery, field: Field) -> str:
    form = _SUMS.get(field.type, "{}") if query.function == "sum" else "{}"
    return form.format(identifier(field.column))


def parse_aggregate(query: AggregateQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_aggregate``; raises ServerError, TooManyFiles.

    Exact sums of integers are wrapped at 64 bits, as those that the dataset computes.
    """
    kind = FieldType.INTEGER if query.function == "count" else query.fields[0].type
    tags = tag_columns(len(query.schema.tags))

    def rows() -> Iterator[tuple[object, ...]]:
        for row in read_rows(reply):
            series = [row.get(tag) or "" for tag in tags]
            for number in range(len(query.fields)):
                value = row.get(f"v{number}")
                if value is not None and not (query.function == "count" and not value):
                    yield *series, number, row["day"], _number(kind, value)

    return aggregate_frame(query, rows())


def _number(kind: FieldType, value: Any) -> float | int:
    if kind is FieldType.FLOAT:
        return float(value)
    number = int(value)
    if kind is FieldType.UNSIGNED:
        return number % _WRAP
    return (number + _WRAP // 2) % _WRAP - _WRAP // 2


def build_points(target: Target, query: PointsQuery) -> Request:
    """Return the request for ``query``, answered as Parquet, in no order."""
    where = [_within(query), *_series(query)]
    return build_query(target, f"{_select(query, [])} WHERE {' AND '.join(where)}", "parquet")


def _series(query: PointsQuery) -> Iterator[str]:
    for tag, value in zip(query.schema.tags, query.series, strict=True):
        if _has(query, tag):
            name = identifier(tag)
            yield f"{name} = {literal(value)}" if value else f"({name} IS NULL OR {name} = '')"
        elif value:
            yield "FALSE"


def build_window(target: Target, query: WindowQuery) -> Request:
    """Return the request for ``query``, answered as Parquet, in no order."""
    tags = [f"{identifier(tag)} AS t{number}" for number, tag in enumerate(query.schema.tags) if _has(query, tag)]
    times = ", ".join(f"to_timestamp_nanos({time})" for time in query.times if query.start <= time < query.stop)
    only = f" AND time IN ({times or 'NULL'})" if query.times else ""
    return build_query(target, f"{_select(query, tags)} WHERE {_within(query)}{only}", "parquet")


def _select(query: PointsQuery | WindowQuery, columns: list[str]) -> str:
    fields = [
        f"{identifier(field.column)} AS f{number}"
        for number, field in enumerate(query.schema.fields)
        if _has(query, field.column)
    ]
    return f"SELECT {', '.join(['time', *columns, *fields])} FROM {identifier(query.schema.measurement)}"


def parse_points(query: PointsQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_points``; raises ServerError, TooManyFiles."""
    return _read_points(query.schema, [], reply).sort("time")


def parse_window(query: WindowQuery, reply: Reply) -> pl.DataFrame:
    """Read (``time``, tags ``t0``, …, fields ``f0``, …) in no order, as ``parse_points`` does for one series.

    A tag that a point lacks is empty. Raises ServerError, TooManyFiles.
    """
    tags = tag_columns(len(query.schema.tags))
    return _read_points(query.schema, tags, reply)


def _read_points(schema: PointSchema, tags: list[str], reply: Reply) -> pl.DataFrame:
    """Return the points that have one of the fields of ``schema``; columns that were not asked for are null."""
    found = pl.read_parquet(io.BytesIO(body)) if (body := _answer(reply)) else pl.DataFrame()
    fields = field_columns(len(schema.fields))
    wanted: dict[str, Any] = {
        "time": pl.Int64,
        **dict.fromkeys(tags, pl.String),
        **{name: ANSWER_TYPES[field.type] for name, field in zip(fields, schema.fields, strict=True)},
    }
    columns = [
        (pl.col(name).cast(kind) if name in found.columns else pl.lit(None, kind)).alias(name)
        for name, kind in wanted.items()
    ]
    points = found.select(columns) if found.width else pl.DataFrame(schema=wanted)
    points = points.filter(pl.any_horizontal(pl.col(fields).is_not_null()))
    return points.with_columns(pl.col(tags).fill_null("")) if tags else points


def read_rows(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the rows of an answer in JSON lines, none for a table that does not exist; raises as ``_answer`` does."""
    for line in _answer(reply).splitlines():
        yield dict(json.loads(line))


def _answer(reply: Reply) -> bytes:
    """Return the body of an answer, empty without such a table or database; raises ServerError, TooManyFiles."""
    if reply.status == 200:
        return reply.body
    words = message_of(reply)
    if _FILE_LIMIT.search(words):
        raise TooManyFiles
    if reply.status in {400, 404} and _NOTHING.search(words):
        return b""
    if _POISON in words:
        raise ServerError(
            f"query: the server answered {reply.status}: {words}",
            status=reply.status,
            hint="somebody wrote a line with one tag key twice: remove that table, and restart the server, before its"
            " next snapshot fails",
        )
    if reply.status == 500 and _LASTING.search(words):
        raise Refused(f"query: the server answered {reply.status}: {words}", status=reply.status)
    return raise_for(reply, "query")


def _within(query: AggregateQuery | PointsQuery | WindowQuery) -> str:
    return f"time >= to_timestamp_nanos({query.start}) AND time < to_timestamp_nanos({query.stop})"


def _has(query: AggregateQuery | PointsQuery | WindowQuery, column: str) -> bool:
    return query.columns is None or column in query.columns
