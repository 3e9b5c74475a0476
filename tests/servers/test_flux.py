"""Flux requests, and replies as literal bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.errors import ConfigError, Refused, ServerError
from loader.servers import flux
from loader.servers.base import AggregateQuery, AmbiguousText, CountQuery, PointsQuery, Reply, Target

DAY = 86_400_000_000_000
START = 1_704_153_600_000_000_000
TARGET = Target("http://localhost", 'tr"ades', org="o", token="secret")
PRICE = Field("price", FieldType.FLOAT)
POINTS = PointsQuery(trades_schema(), ("AAPL", ""), START, START + 1)


def aggregate(function: str, field: Field = PRICE) -> AggregateQuery:
    """Return a query over one day."""
    return AggregateQuery(trades_schema(), (field,), function, START, START + DAY)


def test_aggregate_request() -> None:
    """The request names nothing before the aggregate that would keep the storage engine from computing it."""
    request = flux.build_aggregate(TARGET, aggregate("sum"))
    body = json.loads(request.body)
    assert (request.method, request.path, request.params) == ("POST", "/api/v2/query", (("org", "o"),))
    assert body["query"] == (
        'from(bucket: "tr\\"ades")'
        " |> range(start: 2024-01-02T00:00:00.000000000Z, stop: 2024-01-03T00:00:00.000000000Z)"
        ' |> filter(fn: (r) => r._measurement == "trades" and r._field == "price")'
        ' |> aggregateWindow(every: 1d, fn: sum, createEmpty: false, timeSrc: "_start")'
        ' |> keep(columns: ["symbol", "side", "_field", "_time", "_value"]) |> group()'
    )
    assert "secret" not in repr(request)


def test_points_request() -> None:
    """Times keep their nanoseconds; an empty tag value asks for points without the tag."""
    query = json.loads(flux.build_points(TARGET, POINTS).body)["query"]
    assert "stop: 2024-01-02T00:00:00.000000001Z" in query
    assert 'r["symbol"] == "AAPL") and (not exists r["side"]' in query
    assert '(r._field == "price" or r._field == "amount")' in query


@pytest.mark.parametrize(
    ("function", "value", "dtype"),
    [("sum", 4.0, pl.Float64), ("min", 1.5, pl.Float64), ("max", 2.5, pl.Float64), ("count", 4, pl.Int64)],
)
def test_aggregate_reply(function: str, value: float, dtype: type[pl.DataType]) -> None:
    """Series that differ in a tag outside of the schema are merged; a tag that is not there is empty."""
    low, high = (b"1", b"3") if function == "count" else (b"1.5", b"2.5")
    body = b",result,table,_time,_value,_field,symbol\r\n" + b"".join(
        b",_result,0,2024-01-02T00:00:00Z," + number + b",price,AAPL\r\n" for number in (low, high)
    )
    frame = flux.parse_aggregate(aggregate(function), Reply(200, body=body + b"\r\n"))
    assert frame.rows(named=True) == [{"t0": "AAPL", "t1": "", "field": 0, "day": START, "value": value}]
    assert frame.schema["value"] == dtype


def test_no_rows() -> None:
    """An empty reply is a frame without rows, of the right types."""
    frame = flux.parse_aggregate(aggregate("max", Field("amount", FieldType.INTEGER)), Reply(200))
    assert frame.schema == {"t0": pl.String, "t1": pl.String, "field": pl.Int32, "day": pl.Int64, "value": pl.Int64}
    assert frame.height == 0


def test_points_reply() -> None:
    """Every field has a table with a header; points that lack a field have null; all types are read."""
    kinds = (FieldType.UNSIGNED, FieldType.BOOLEAN, FieldType.STRING)
    schema = PointSchema("m", (), tuple(Field(kind.value, kind) for kind in kinds), "t")
    body = (
        b",result,table,_time,_value,_field\r\n"
        b",_result,0,2024-01-02T00:00:00.000000001Z,18446744073709551615,unsigned\r\n"
        b"\r\n,result,table,_time,_value,_field\r\n"
        b",_result,1,2024-01-02T00:00:00.1Z,true,boolean\r\n"
        b",_result,1,2024-01-02T00:00:01Z,false,boolean\r\n"
        b"\r\n,result,table,_time,_value,_field\r\n"
        b',_result,2,2024-01-02T00:00:01Z,"a,\r\n""b",string\r\n\r\n'
    )
    frame = flux.parse_points(PointsQuery(schema, (), START, START + DAY), Reply(200, body=body))
    assert frame.rows() == [
        (START + 1, 2**64 - 1, None, None),
        (START + 100_000_000, None, True, None),
        (START + 1_000_000_000, None, False, b'a,\n"b'),
    ]


def test_error_after_rows() -> None:
    """An error that the server sends after good rows, with status 200, is an error."""
    body = (
        b",result,table,_time,_value,_field,symbol,side\r\n,_result,0,2024-01-02T00:00:00Z,1,price,AAPL,buy\r\n"
        b"\r\nerror,reference\r\nout of memory,897\r\n"
    )
    with pytest.raises(ServerError, match="out of memory"):
        flux.parse_aggregate(aggregate("count"), Reply(200, body=body))


def test_refused() -> None:
    """A reply of another status is an error with the server's words."""
    with pytest.raises(Refused, match="unauthorized access") as caught:
        flux.parse_points(POINTS, Reply(401, body=b'{"code":"unauthorized","message":"unauthorized access"}'))
    assert caught.value.status == 401


def test_encoded_aggregates() -> None:
    """A cell in quotes may have lost a carriage return: the same query is asked again, for JSON."""
    plain = b',result,table,_time,_value,_field,symbol\r\n,_result,0,2024-01-02T00:00:00Z,4,price,"a,b"\r\n'
    with pytest.raises(AmbiguousText):
        flux.parse_aggregate(aggregate("count"), Reply(200, body=plain))
    query = replace(aggregate("count"), encoded=True)
    text = json.loads(flux.build_aggregate(TARGET, query).body)["query"]
    assert text.startswith('import "json" from(bucket:')
    assert 't1: if exists r["side"] then string(v: json.encode(v: r["side"])) else ""' in text
    body = b',result,table,_field,_time,_value,t0,t1\r\n,_result,0,"""price""",2024-01-02T00:00:00Z,4,"""a\\rb""",\r\n'
    assert flux.parse_aggregate(query, Reply(200, body=body)).rows() == [("a\rb", "", 0, START, 4)]


def test_names_with_a_carriage_return() -> None:
    """Tags and fields whose names do not survive the CSV are asked for as JSON at once."""
    schema = PointSchema("m", ("a\rb",), (Field("f\r", FieldType.FLOAT),), "t")
    query = AggregateQuery(schema, schema.fields, "max", START, START + DAY)
    assert 't0: if exists r["a\\x0db"]' in json.loads(flux.build_aggregate(TARGET, query).body)["query"]
    points = PointsQuery(schema, ("x",), START, START + DAY)
    assert "_field: string(v: json.encode(v: r._field))" in json.loads(flux.build_points(TARGET, points).body)["query"]
    body = b',result,table,_field,_time,_value\r\n,others,0,"""f\\r""",2024-01-02T00:00:00Z,1.5\r\n'
    assert flux.parse_points(points, Reply(200, body=body)).rows() == [(START, 1.5)]


def test_texts_that_came_as_json() -> None:
    """A string that holds a carriage return comes as JSON, others as they are; unknown fields are passed over."""
    schema = PointSchema("m", (), (Field("s", FieldType.STRING),), "t")
    query = PointsQuery(schema, (), START, START + DAY)
    header = b",result,table,_field,_time,_value\r\n"
    body = header + b",texts,0,s,2024-01-02T00:00:00Z,a\xff\r\n,texts,0,q,2024-01-02T00:00:00Z,b\r\n\r\n"
    body += header + b',coded,0,s,2024-01-02T00:00:01Z,"""a\\rb"""\r\n'
    assert flux.parse_points(query, Reply(200, body=body)).rows() == [(START, b"a\xff"), (START + 10**9, b"a\rb")]


def test_many_fields_are_not_named() -> None:
    """Beyond NAMED_FIELDS a query asks for all fields of the series."""
    fields = tuple(Field(f"f{number}", FieldType.FLOAT) for number in range(flux.NAMED_FIELDS + 1))
    query = PointsQuery(PointSchema("m", (), fields, "t"), (), START, START + 1)
    assert "r._field" not in json.loads(flux.build_points(TARGET, query).body)["query"]


@pytest.mark.parametrize("body", [b'"a', b',result,table\r\n,x"y,0\r\n', b"a,b\r\nc,d\r\n", b",result,table\r\n,x\r\n"])
def test_what_is_no_answer(body: bytes) -> None:
    """A reply that is no CSV of a query is an error, never an answer."""
    with pytest.raises(ServerError, match="unexpected form"):
        flux.parse_count(Reply(200, body=body))


def test_reserved_tags() -> None:
    """Tags that have the name of a column of Flux are refused before the server is asked."""
    schema = PointSchema("m", ("_time",), (PRICE,), "t")
    with pytest.raises(ConfigError, match="'_time' cannot be compared"):
        flux.build_points(TARGET, PointsQuery(schema, ("x",), START, START + 1))


def test_totals() -> None:
    """The number of values of each field comes in the order of fields; one without values has none in the answer."""
    fields = (Field("a\r", FieldType.FLOAT), PRICE, Field("b", FieldType.STRING))
    schema = PointSchema("m", ("t",), fields, "time")
    request = flux.build_totals(TARGET, schema, fields, START, START + 1)
    assert '|> group(columns: ["_field"]) |> count()' in json.loads(request.body)["query"]
    body = b',result,table,_field,_value\r\n,_result,0,"""b""",3\r\n,_result,1,"""a\\r""",4\r\n'
    assert flux.parse_totals(fields, Reply(200, body=body)) == [4, 0, 3]


def test_counts() -> None:
    """The number of points is the sum of what is answered."""
    request = flux.build_count(TARGET, trades_schema(), PRICE, START, START + 1)
    assert "|> group() |> count()" in json.loads(request.body)["query"]
    assert flux.parse_count(Reply(200, body=b",result,table,_value\r\n,_result,0,3\r\n,_result,0,4\r\n")) == 7


def test_several_counts() -> None:
    """Each query of a request names its result by its number; one without a row has counted nothing."""
    queries = [CountQuery(trades_schema(), PRICE, START + day * DAY, START + (day + 1) * DAY) for day in range(3)]
    text = json.loads(flux.build_counts(TARGET, queries).body)["query"]
    alone = [json.loads(flux.build_count(TARGET, *vars(query).values()).body)["query"] for query in queries]
    assert text.split("\n") == [f'{query} |> yield(name: "{number}")' for number, query in enumerate(alone)]
    body = b",result,table,_value\r\n,2,0,3\r\n\r\n,result,table,_value\r\n,0,0,4\r\n,0,0,1\r\n"
    assert flux.parse_counts(Reply(200, body=body), 3) == [5, 0, 3]


def test_an_error_among_several_counts() -> None:
    """Counts that come before an error are not believed either."""
    body = b",result,table,_value\r\n,0,0,3\r\n\r\nerror,reference\r\nengine is closed,\r\n"
    with pytest.raises(ServerError, match="engine is closed"):
        flux.parse_counts(Reply(200, body=body), 2)
