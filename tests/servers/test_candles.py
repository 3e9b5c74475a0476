"""Requests for candles as texts, and answers as literal bytes."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, ServerError
from loader.servers.base import Bucket, CandleQuery, CandleValues, Reply, Target
from loader.servers.v1 import EarlyInfluxDB1, InfluxDB1
from loader.servers.v2 import InfluxDB2

DAY = 86_400_000_000_000
START = 1_704_153_600_000_000_000
TARGET = Target("http://localhost", "tr/x", org="o", token="user:secret")
SCHEMA = PointSchema("m", ('s"',), (Field("p", FieldType.FLOAT), Field("a", FieldType.INTEGER)), "t")


def query(values: CandleValues, schema: PointSchema = SCHEMA) -> CandleQuery:
    """Return a query over one day, by the hour."""
    return CandleQuery(schema, DAY // 24, values, START, START + DAY)


def test_requests() -> None:
    """The server is asked for prices, for products, or for both of those points that have price and amount."""
    texts = []
    for values in CandleValues:
        request = InfluxDB2().build_candles(TARGET, query(values))
        texts += parse_qs(request.body.decode())["q"]
        assert dict(request.params) == {"db": "tr", "rp": "x", "epoch": "ns", "chunked": "true", "org": "o"}
    within = f"WHERE time >= {START} AND time < {START + DAY}"
    grouped = f'{within} GROUP BY time(3600s), "s\\"" FILL(none)'
    price, amount = '"p"::field', '"a"::field'
    assert texts == [
        f"SELECT FIRST({price}), LAST({price}), MAX({price}), MIN({price}), COUNT({price}), SUM({amount})"
        f' FROM "m" {grouped}',
        f'SELECT SUM(_turnover) FROM (SELECT {price} * 1.0 * {amount} AS _turnover FROM "m" {within}) {grouped}',
        "SELECT FIRST(_price), LAST(_price), MAX(_price), MIN(_price), COUNT(_price), SUM(_amount), SUM(_turnover)"
        f" FROM (SELECT {price} AS _price, {amount} AS _amount, {price} * 1.0 * {amount} AS _turnover"
        f' FROM "m" {within} AND ({price} > 0 OR {price} <= 0) AND ({amount} > 0 OR {amount} <= 0)) {grouped}',
    ]


def test_early_servers_get_the_password() -> None:
    """InfluxDB before 1.8 takes user and password; 1.x has no organization."""
    request = EarlyInfluxDB1().build_candles(TARGET, query(CandleValues.PRICES))
    assert request.headers["Authorization"].startswith("Basic ")
    assert "org" not in dict(request.params)


def test_answer() -> None:
    """Values have the types of their fields; a tag that is not there is empty, and what is missing is null."""
    body = (
        b'{"results":[{"series":[{"name":"m","tags":{"s\\"":""},"columns":[],'
        b'"values":[[3600000000000,5,-0,5,-0.5,3,null],[7200000000000,null,null,null,null,0,9007199254740993]]}]}]}'
    )
    found = InfluxDB1().parse_candles(query(CandleValues.PRICES), Reply(200, body=body))
    assert found.columns == ["t0", "start", "open", "close", "high", "low", "count", "volume"]
    assert found.rows() == [
        ("", 3_600_000_000_000, 5.0, -0.0, 5.0, -0.5, 3, None),
        ("", 7_200_000_000_000, None, None, None, None, 0, 9_007_199_254_740_993),
    ]
    turnover = body.replace(b",5,-0,5,-0.5,3,null", b",1").replace(b",null,null,null,null,0,9007199254740993", b",2.5")
    found = InfluxDB2().parse_candles(query(CandleValues.TURNOVER), Reply(200, body=turnover))
    assert found.rows() == [("", 3_600_000_000_000, 1.0), ("", 7_200_000_000_000, 2.5)]


def test_answers_that_are_none() -> None:
    """Another form of an answer is an error of the server."""
    body = b'{"results":[{"series":[{"name":"m","columns":[],"values":[[1,2]]}]}]}'
    with pytest.raises(ServerError):
        InfluxDB1().parse_candles(query(CandleValues.PRICES), Reply(200, body=body))


def test_first_and_last_day() -> None:
    """No windows are asked for where servers misplace them."""
    for start in (-(2**63) + 2, 2**63 - DAY):
        with pytest.raises(ConfigError, match="cannot be compared by queries"):
            InfluxDB1().build_candles(TARGET, CandleQuery(SCHEMA, DAY, CandleValues.PRICES, start, start + DAY - 3))


def test_databases_of_buckets() -> None:
    """A bucket of 2.x can be asked when its name stands for it, with the retention policy that it names."""

    def told(**entry: object) -> Reply:
        words = {"bucketID": "1", "default": False, "retention_policy": "autogen", **entry}
        return Reply(200, body=json.dumps({"content": [words]}).encode())

    for name, reply in (("b", told(default=True)), ("b/autogen", told())):
        InfluxDB2().check_influxql(lambda request, reply=reply: reply, TARGET, Bucket(name, "1"))
    for name, reply in (
        ("b", told()),
        ("b/x", told(default=True)),
        ("b", told(default=True, bucketID="2")),
        ("b", Reply(200, body=b'{"content":null}')),
    ):
        with pytest.raises(ConfigError, match="no database for queries"):
            InfluxDB2().check_influxql(lambda request, reply=reply: reply, TARGET, Bucket(name, "1"))
    with pytest.raises(ServerError):
        InfluxDB2().check_influxql(lambda request: Reply(200, body=b'{"content":[1]}'), TARGET, Bucket("b", "1"))
