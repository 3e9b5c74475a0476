"""The dialect of InfluxDB 3 Core, with replies that 3.10.1 gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loader.dataset.schema import trades_schema
from loader.errors import ConfigError, PartialWrite, Refused, Retryable, ServerError, TooLarge
from loader.servers.base import Bucket, CandleQuery, CandleValues, Reply, ReplyKind, Request, Target
from loader.servers.probe import identify_by_ping, probe
from loader.servers.transport import Connection
from loader.servers.v3 import InfluxDB3
from tests.recorded_core import TOKEN, Exchange, recorded, recorded_core

TARGET = Target("http://127.0.0.1:8181", "t3", token=TOKEN)
DAY = 86_400 * 10**9
V3 = InfluxDB3()


class Answers:
    """Answers requests in turn with recorded replies, and keeps what was asked."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        """Keep ``request`` and return the next reply."""
        self.requests.append(request)
        return recorded(self.names.pop(0)).reply


def test_the_probe_asks_for_health_and_ping() -> None:
    """A server of version 3 is known by its version; HEAD, to which it answers 404, is never sent."""
    with recorded_core(lambda asked: "write") as core, Connection(core.target, 5.0) as connection:
        server = probe(connection)
    assert (server.name, server.dialect.name) == ("InfluxDB 3.10.1", "v3")
    assert [(each.method, each.path) for each in core.asked] == [("GET", "/health"), ("GET", "/ping")]


def test_a_missing_token_is_refused_with_words_about_tokens() -> None:
    """Without a valid token it tells no version, but the cluster-uuid tells what it is."""
    with (
        recorded_core(lambda asked: "write") as core,
        Connection(Target(core.url, "t3"), 5.0) as connection,
        pytest.raises(Refused, match="InfluxDB 3") as caught,
    ):
        probe(connection)
    assert "no token was given" in caught.value.hint
    with pytest.raises(Refused, match="401: the request was not authenticated") as caught:
        identify_by_ping(TARGET.url, recorded("ping with a wrong token").reply)
    assert "check the token" in caught.value.hint


def test_a_proxy_may_drop_the_header_of_the_cluster() -> None:
    """The words of /health are enough to ask for the version."""
    with recorded_core(lambda asked: "write") as core, Connection(core.target, 5.0) as connection:
        plain = recorded("health")
        core.choose = lambda asked: (  # type: ignore[method-assign]
            Exchange(200, {"content-length": "2"}, plain.body) if asked.path == "/health" else recorded("ping")
        )
        assert probe(connection).dialect.name == "v3"


def test_a_write_states_precision_and_partial_writes() -> None:
    """Nothing is left to the server's defaults, it is never told not to wait, and the token is a Bearer."""
    request = V3.build_write(TARGET, b"m v=1i 1\n", gzipped=True)
    assert request.path == "/api/v3/write_lp"
    assert request.params == (("db", "t3"), ("precision", "nanosecond"), ("accept_partial", "true"))
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.reply is ReplyKind.LINES
    assert "Authorization" not in V3.build_write(Target(TARGET.url, "t3"), b"m v=1i 1\n", gzipped=False).headers


@pytest.mark.parametrize("name", ["write", "write in nanoseconds", "10 MiB", "500 columns"])
def test_a_204_is_an_acknowledgement(name: str) -> None:
    """Nothing else is."""
    V3.classify_write(recorded(name).reply)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("malformed among good", {1: "No fields were provided", 3: "Expected at least one space character"}),
        ("all malformed", {0: "Expected at least one space character", 1: "Expected at least one space character"}),
        ("type conflict among good", {1: "invalid column type for column 'v'", 2: "invalid column type"}),
        ("line numbers with newlines", {1: "No fields were provided", 3: "No fields were provided"}),
        ("integer into float", {1: "invalid column type for column 'v'"}),
        ("tag and field of one name", {0: "expected iox::column_type::tag"}),
        ("501 columns", {0: "limit of 500 columns"}),
        ("2001 tables", {2000: "already have 2000 table(s)"}),
        ("string beyond a mebibyte", {0: "String is greater than 1MB"}),
    ],
)
def test_refused_lines_are_named(name: str, lines: dict[int, str]) -> None:
    """Their numbers are counted from 0, with the server's words on each; the others are stored."""
    with pytest.raises(PartialWrite) as caught:
        V3.classify_write(recorded(name).reply)
    assert caught.value.rest_stored
    assert caught.value.lines.keys() == lines.keys()
    for line, words in lines.items():
        assert words in caught.value.lines[line]


def test_a_body_of_which_nothing_is_stored() -> None:
    """One object instead of a list tells that the server kept nothing."""
    with pytest.raises(PartialWrite, match="No fields were provided") as caught:
        V3.classify_write(recorded("malformed, nothing stored").reply)
    assert not caught.value.rest_stored
    assert not caught.value.lines


def test_a_list_of_lines_that_is_cut_is_no_list() -> None:
    """A reply that was too long to be read as a whole names no lines, and says that some are refused."""
    whole = recorded("malformed among good").reply
    with pytest.raises(PartialWrite) as caught:
        V3.classify_write(Reply(400, whole.headers, whole.body[:-20]))
    assert (caught.value.rest_stored, dict(caught.value.lines)) == (True, {})
    with pytest.raises(PartialWrite) as caught:
        V3.classify_write(Reply(400, body=b'{"error":"partial write of line protocol occurred","data":[]}'))
    assert not caught.value.lines


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("write without a token", Refused, "not authenticated"),
        ("write to a sixth database", Refused, "limit of 5 databases"),
        ("write to a bad name", Refused, "did not start with a number or letter"),
        ("write of nothing", Refused, "incoming write was empty"),
        ("write in a precision that is unknown", Refused, "unknown variant"),
        ("10 MiB and a byte", TooLarge, "10485760 bytes"),
        ("10 MiB and a byte, gzip", TooLarge, "10485760 bytes"),
        ("write to a poisoned server", Retryable, "oneshot channel closed"),
    ],
)
def test_other_replies_to_a_write(name: str, kind: type[ServerError], words: str) -> None:
    """Each is the error that the load knows what to do with, in the server's words."""
    with pytest.raises(kind, match=words):
        V3.classify_write(recorded(name).reply)


@pytest.mark.parametrize("body", [b'{"error":"partial", "data": [1]}', b'{"data": {"x": 1}}'])
def test_a_partial_write_of_another_form_is_an_error(body: bytes) -> None:
    """What cannot be read is said, and not taken for an acknowledgement."""
    with pytest.raises(ServerError, match="unexpected form"):
        V3.classify_write(Reply(400, body=body))


@pytest.mark.parametrize(
    ("bucket", "retention"), [("ret", 30 * DAY), ("t3", 0), ("a/b", 0), ("ret2", 10**9), ("unlisted", 0)]
)
def test_a_database_has_the_retention_of_its_policy(bucket: str, retention: int) -> None:
    """A name with a slash is a database and its policy."""
    listed = recorded("databases").reply
    names = json.dumps([{"iox::database": name} for name in ("_internal", "a/b", "ret", "ret2", "t3", "unlisted")])
    replies = iter([Reply(200, listed.headers, names.encode()), recorded("retention policies").reply])
    assert V3.find_bucket(lambda request: next(replies), Target(TARGET.url, bucket)) == Bucket(
        bucket, retention=retention
    )


def test_a_missing_database_is_none() -> None:
    """It can be made."""
    send = Answers("databases")
    assert V3.find_bucket(send, TARGET) is None
    assert send.requests[0].headers == {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("name", ["create database", "create a database that is there"])
def test_a_database_is_made(name: str) -> None:
    """One that somebody made meanwhile is as good."""
    send = Answers(name)
    assert V3.create_bucket(send, TARGET, 0) == Bucket("t3")
    assert json.loads(send.requests[0].body) == {"db": "t3"}


def test_a_sixth_database_is_explained() -> None:
    """The hint says how many there may be."""
    with pytest.raises(Refused, match="limit of 5 databases") as caught:
        V3.create_bucket(Answers("create a sixth database"), TARGET, 0)
    assert "5 databases" in caught.value.hint
    with pytest.raises(Refused, match="did not start"):
        V3.create_bucket(Answers("create a bad name"), TARGET, 0)
    with pytest.raises(ConfigError, match="no shards"):
        V3.create_bucket(Answers(), TARGET, DAY)


def test_databases_are_listed_and_removed() -> None:
    """The server's own is left out; one that is gone is no error."""
    assert V3.list_buckets(Answers("databases"), TARGET, "") == []
    for name in ("delete database", "delete an unknown database"):
        V3.remove_bucket(Answers(name), TARGET, Bucket("ret"))
    with pytest.raises(Refused):
        V3.remove_bucket(Answers("write without a token"), TARGET, Bucket("ret"))


def test_candles_are_not_compared() -> None:
    """The error says so, whatever is asked first."""
    query = CandleQuery(trades_schema(), DAY, CandleValues.PRICES, 0, DAY)
    calls: list[Any] = [
        lambda: V3.check_influxql(Answers(), TARGET, Bucket("t3")),
        lambda: V3.build_candles(TARGET, query),
        lambda: V3.parse_candles(query, Reply(200)),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match="candles are not compared on InfluxDB 3"):
            call()
