"""InfluxQL requests, and replies as literal bytes."""

from __future__ import annotations

import json
import math
from urllib.parse import parse_qs

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.errors import ConfigError, Retryable, ServerError
from loader.servers import influxql
from loader.servers.base import AggregateQuery, PointsQuery, Reply, Target, UnwritableNumber

DAY = 86_400_000_000_000
START = 1_704_153_600_000_000_000
TARGET = Target("http://localhost", "trades", token="secret")
AMOUNT = Field("amount", FieldType.INTEGER)
POINTS = PointsQuery(trades_schema(), ("O'R\\", ""), START, START + 1)


def aggregate(function: str, field: Field = AMOUNT) -> AggregateQuery:
    """Return a query over one day."""
    return AggregateQuery(trades_schema(), (field,), function, START, START + DAY)


def test_aggregate_request() -> None:
    """The request groups by UTC day and the schema's tags, and asks for nanoseconds."""
    request = influxql.build_aggregate(TARGET, aggregate("sum"))
    assert (request.method, request.path, request.params) == (
        "POST",
        "/query",
        (("db", "trades"), ("epoch", "ns"), ("chunked", "true")),
    )
    assert parse_qs(request.body.decode())["q"] == [
        f'SELECT SUM("amount"::field) FROM "trades" WHERE time >= {START} AND time < {START + DAY}'
        ' GROUP BY time(1d), "symbol", "side" FILL(none)'
    ]


def test_points_request() -> None:
    """Tag values travel apart from the query; times are integers."""
    form = parse_qs(influxql.build_points(TARGET, POINTS).body.decode())
    assert json.loads(form["params"][0]) == {"tag0": "O'R\\", "tag1": ""}
    assert form["q"][0] == (
        'SELECT "price"::field, "amount"::field FROM "trades"'
        f" WHERE time >= {START} AND time < {START + 1}"
        ' AND "symbol"::tag = $tag0 AND "side"::tag = $tag1'
    )


def test_aggregate_reply() -> None:
    """Integers beyond 2**53 and nanoseconds are exact."""
    body = (
        b'{"results":[{"statement_id":0,"series":[{"name":"trades","tags":{"symbol":"AAPL","side":""},'
        b'"columns":["time","sum"],"values":[[1704153600000000000,9223372036854775807]]}]}]}'
    )
    frame = influxql.parse_aggregate(aggregate("sum"), Reply(200, body=body))
    assert frame.rows() == [("AAPL", "", 0, START, 2**63 - 1)]


def test_no_rows() -> None:
    """A result without series is a frame without rows, of the right types."""
    reply = Reply(200, body=b'{"results":[{"statement_id":0}]}')
    frame = influxql.parse_aggregate(aggregate("count", Field("price", FieldType.FLOAT)), reply)
    assert frame.schema == {"t0": pl.String, "t1": pl.String, "field": pl.Int32, "day": pl.Int64, "value": pl.Int64}
    assert influxql.parse_points(POINTS, reply).schema == {
        "time": pl.Int64,
        "f0": pl.Float64,
        "f1": pl.Int64,
    }


def test_points_reply() -> None:
    """All types are read, a whole float as a float with its sign; a field that a point lacks is null."""
    schema = PointSchema("m", (), tuple(Field(kind.value, kind) for kind in FieldType), "t")
    body = (
        b'{"results":[{"series":[{"name":"m","columns":["time","float","integer","unsigned","boolean","string"],'
        b'"values":[[2,null,null,18446744073709551615,false,"1"],[1,-0,-1,null,true,null]]}]}]}'
    )
    frame = influxql.parse_points(PointsQuery(schema, (), 0, DAY), Reply(200, body=body))
    assert frame.rows() == [(1, 0.0, -1, None, True, None), (2, None, None, 2**64 - 1, False, b"1")]
    assert math.copysign(1, frame["f0"][0]) == -1


def test_an_answer_in_pieces() -> None:
    """Lines of an answer belong together, also where one continues the series of the line before."""
    body = (
        b'{"results":[{"series":[{"values":[[1,0.5,null]],"partial":true}],"partial":true}]}\n'
        b'{"results":[{"series":[{"values":[[2,1,7]]}]}]}\n'
    )
    assert influxql.parse_points(POINTS, Reply(200, body=body)).rows() == [(1, 0.5, None), (2, 1.0, 7)]


def test_an_infinite_sum_in_a_later_piece() -> None:
    """The server cannot write an infinite sum, whichever series has it."""
    body = b'{"results":[{"partial":true}]}\n{"error":"json: unsupported value: +Inf"}\n'
    with pytest.raises(UnwritableNumber):
        influxql.parse_aggregate(aggregate("sum"), Reply(200, body=body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"results":[{"error":"timeout reached"}]}', "timeout reached"),
        (b'{"results":[{"partial":true,"series":[{"values":[]}]}]}', "cut"),
        (b'{"results":[{"series":[{"values":[],"partial":true}]}]}', "cut"),
        (b'{"results":[{"series":[{"values":[[1,1,1]]}],"partial":true}]}\n', "cut"),
        (b"", "cut"),
        (b'{"results":[{"series":[{"values":[]}],"partial":true}]}\n{"results":[{"error":"killed"}]}\n', "killed"),
        (b'{"results":[{"partial":true}]}\n{"error":"timeout"}\n', "gave up a query: timeout"),
        (b"<html>", "not JSON: <html>"),
    ],
)
def test_errors(body: bytes, words: str) -> None:
    """An error within a reply, an answer cut short, and what is not an answer are errors, never points."""
    with pytest.raises(ServerError, match=words):
        influxql.parse_points(POINTS, Reply(200, body=body))


def test_busy() -> None:
    """A reply of another status is an error with the server's words."""
    with pytest.raises(Retryable, match="timeout"):
        influxql.parse_points(POINTS, Reply(503, body=b'{"error":"timeout"}'))


@pytest.mark.parametrize("name", ["a\rb", "a\0"])
def test_names_without_a_spelling(name: str) -> None:
    """A name that InfluxQL cannot spell is an error that says so, before the server is asked."""
    schema = PointSchema(name, (), (AMOUNT,), "t")
    with pytest.raises(ConfigError, match="cannot be compared"):
        influxql.build_points(TARGET, PointsQuery(schema, (), START, START + 1))


def test_aggregates_of_several_fields() -> None:
    """One query asks for many fields; what a series lacks is no row; a series without tags has none."""
    schema = PointSchema("m", (), (Field("a", FieldType.FLOAT), Field("b", FieldType.STRING)), "t")
    query = AggregateQuery(schema, schema.fields, "count", START, START + DAY)
    (text,) = parse_qs(influxql.build_aggregate(TARGET, query).body.decode())["q"]
    assert text.startswith('SELECT COUNT("a"::field), COUNT("b"::field) FROM "m"')
    body = (
        b'{"results":[{"series":[{"name":"m","columns":["time","count","count_1"],"values":[[%d,null,3]]}]}]}' % START
    )
    assert influxql.parse_aggregate(query, Reply(200, body=body)).rows() == [(1, START, 3)]
