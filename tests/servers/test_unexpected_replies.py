"""Replies of a form that nobody expects are errors of ours, for every reader of replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import LoaderError, ServerError
from loader.servers import flux, influxql
from loader.servers.backup import parse_shards
from loader.servers.base import AggregateQuery, Bucket, PointsQuery, Reply, Request, Target
from loader.servers.probe import identify, identify_by_ping
from loader.servers.replies import message_of
from loader.servers.restore import is_operator, parse_bucket
from loader.servers.v1 import EarlyInfluxDB1, InfluxDB1
from loader.servers.v2 import InfluxDB2

TARGET = Target("http://127.0.0.1:8086", "trades", "loader", "token")
KINDS = (FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED, FieldType.BOOLEAN, FieldType.STRING)
SCHEMA = PointSchema("m", ("t",), tuple(Field(f"f{kind}", kind) for kind in KINDS), "time")
POINTS = PointsQuery(SCHEMA, ("a",), 0, 9)
AGGREGATES = [
    AggregateQuery(SCHEMA, (field,), name, 0, 9) for field in SCHEMA.fields for name in ("count", "sum", "min")
]
DIALECTS = (InfluxDB1(), EarlyInfluxDB1(), InfluxDB2())

Reader = Callable[[Reply], Any]


def readers() -> dict[str, Reader]:
    """Return everything that reads a reply with status 200 or 201, by name; each request gets the same reply."""
    found: dict[str, Reader] = {
        "identify": lambda reply: identify(TARGET.url, reply),
        "identify early": lambda reply: identify_by_ping(TARGET.url, reply),
        "count": flux.parse_count,
        "counts": lambda reply: flux.parse_counts(reply, 2),
        "types": influxql.parse_types,
        "operator": lambda reply: is_operator(lambda request: reply),
        "restored bucket": lambda reply: parse_bucket(TARGET, Reply(201, body=reply.body)),
        "shards": lambda reply: parse_shards(reply, Bucket("trades", "1")),
        "organization": lambda reply: InfluxDB2().find_organization(lambda request: reply, TARGET),
        "organizations": lambda reply: InfluxDB2().find_bucket(lambda request: reply, Target(TARGET.url, "b")),
        "message": message_of,
    }
    for dialect in DIALECTS:
        name = type(dialect).__name__
        found[f"{name} bucket"] = lambda reply, it=dialect: it.find_bucket(lambda request: reply, TARGET)
        found[f"{name} create"] = lambda reply, it=dialect: it.create_bucket(_creating(reply), TARGET, 0)
        found[f"{name} buckets"] = lambda reply, it=dialect: it.list_buckets(lambda request: reply, TARGET, "")
        found[f"{name} fields"] = dialect.parse_fields
        found[f"{name} points"] = lambda reply, it=dialect: it.parse_points(POINTS, reply)
        for query in AGGREGATES:
            found[f"{name} {query.function} {query.fields[0].column}"] = lambda reply, it=dialect, query=query: (
                it.parse_aggregate(query, reply)
            )
    return found


def _creating(reply: Reply) -> Callable[[Request], Reply]:
    organizations = Reply(200, body=b'{"orgs": [{"id": "1", "name": "loader"}]}')

    def send(request: Request) -> Reply:
        if request.path == "/api/v2/orgs":
            return organizations
        return Reply(201, body=reply.body) if request.path == "/api/v2/buckets" else reply

    return send


READERS = readers()
KEYS = (
    *("orgs", "buckets", "id", "name", "retentionRules", "everySeconds", "orgID", "message", "error", "status"),
    *("results", "series", "values", "tags", "t", "columns", "partial", "version", "time"),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["loader", "trades", "influxdb", "pass", "2.9", "1.8", "\ud800", "\x1b[31m"]),
    st.text(max_size=5),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=20,
)
# Near misses: replies as they should be, with anything at one place.
ALMOST = st.builds(
    lambda form, value: json.loads(json.dumps(form).replace('"?"', json.dumps(value))),
    st.sampled_from(
        [
            {"orgs": "?"},
            {"orgs": [{"id": "?", "name": "loader"}]},
            {"buckets": "?"},
            {"buckets": [{"name": "trades", "id": "1", "retentionRules": "?"}]},
            {"buckets": [{"name": "trades", "id": "1", "retentionRules": [{"everySeconds": "?"}]}]},
            {"name": "trades", "id": "1", "retentionRules": [{"shardGroupDurationSeconds": "?"}]},
            {"results": "?"},
            {"results": ["?"]},
            {"results": [{"error": "?"}]},
            {"results": [{"series": "?"}]},
            {"results": [{"series": [{"values": "?"}]}]},
            {"results": [{"series": [{"values": [["trades"], "?"]}]}]},
            {"results": [{"series": [{"values": [["trades", "?", "?", 1, True]]}]}]},
            {"results": [{"series": [{"tags": "?", "values": [[1, 2]]}]}]},
            {"results": [{"series": [{"tags": {"t": "?"}, "values": [["?", "?"]]}]}]},
            {"results": [{"series": [{"values": [["?", "?", "?", "?", "?", "?"]]}]}]},
            {"name": "influxdb", "status": "?", "version": "?"},
        ]
    ),
    JSON,
)


@settings(max_examples=150, deadline=None)
@given(JSON | ALMOST)
def test_json_of_any_form(content: Any) -> None:
    """Whatever the JSON holds, it is read or becomes an error of ours, for all readers."""
    reply = Reply(200, body=json.dumps(content).encode())
    for read in READERS.values():
        with suppress(LoaderError):
            read(reply)


CELLS = st.one_of(
    st.sampled_from(["", "1", "-1", "1.5", "true", "x", "2024-01-01T00:00:00Z", '"', "9" * 30, "1e999", "NaN", "\x00"]),
    st.sampled_from([field.column for field in SCHEMA.fields]),
    st.text(max_size=4),
)
NAMES = st.sampled_from(["_time", "_value", "_field", "t", "error", "reference", "result", "table"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.lists(NAMES, max_size=5), st.lists(st.lists(CELLS, max_size=5), max_size=3)), max_size=3))
def test_csv_of_any_form(tables: list[tuple[list[str], list[list[str]]]]) -> None:
    """Ragged rows, missing columns and impossible values of annotated CSV are errors of ours."""
    text = "\r\n\r\n".join("\r\n".join(",".join(cells) for cells in [names, *rows]) for names, rows in tables)
    reply = Reply(200, body=text.encode("utf-8", "surrogatepass"))
    for name, read in READERS.items():
        if name == "count" or name.startswith("InfluxDB2 "):
            with suppress(LoaderError):
                read(reply)


DEEP = b'{"name":"influxdb","results":' + b"[" * 200_000


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "body", [b"{}", b"null", b"[]", b"3", b'""', b"", b"\xff\xfe", DEEP, b"[" * 50_000 + b"]" * 50_000, b"9" * 10_000]
)
def test_the_plainest_unexpected_replies(name: str, body: bytes) -> None:
    """No reply at all, other JSON, text that is not UTF-8, and JSON nested without end."""
    with suppress(LoaderError):
        READERS[name](Reply(200, body=body))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("InfluxDB2 bucket", b"{}"),
        (
            "InfluxDB2 bucket",
            b'{"buckets": [{"name": "trades", "id": "1", "retentionRules": [{"everySeconds": 1e300}]}]}',
        ),
        ("organizations", b"[]"),
        ("organization", b'{"orgs": [{}]}'),
        ("InfluxDB1 bucket", b'{"results": []}'),
        ("InfluxDB1 bucket", b'{"results": [{"series": [{"values": [["trades"]]}]}]}'),
        ("restored bucket", b"{}"),
        ("count", b",result,table,_value\r\n,,0\r\n"),
        ("InfluxDB2 fields", b",result,table\r\n,,0\r\n"),
        ("InfluxDB2 points", b",_field,_time,_value\r\n,other,1970-01-01T00:00:00Z,1\r\n"),
        ("InfluxDB1 points", b'{"results": [{"series": [{"values": [[1, 2]]}]}]}'),
        ("EarlyInfluxDB1 fields", b'{"results": [{"series": [{}]}]}'),
    ],
)
def test_the_error_says_what_was_asked_and_quotes_the_reply(name: str, body: bytes) -> None:
    """The form is named as the fault, with words of the reply and where to look."""
    with pytest.raises(ServerError, match="the reply has an unexpected form: ") as caught:
        READERS[name](Reply(200, body=body))
    assert "--host" in caught.value.hint
