"""What the dialects make of replies, byte by byte."""

from __future__ import annotations

import pytest

from loader.errors import ConfigError, PartialWrite, Refused, Retryable, ServerError, TooLarge
from loader.servers.base import Dialect, Reply, Target
from loader.servers.probe import dialects, identify, identify_by_ping
from loader.servers.replies import json_of, message_of, retry_after
from loader.servers.v1 import EarlyInfluxDB1, InfluxDB1

TARGET = Target("http://127.0.0.1:8086", "trades", "org", "token")


@pytest.fixture(params=["1", "2"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Return each dialect."""
    return dialects()[request.param]


def test_only_204_is_an_acknowledgement(dialect: Dialect) -> None:
    """Neither a page of HTML nor anything else with a good status counts."""
    dialect.classify_write(Reply(204))
    for status in (200, 201, 202, 206, 301):
        with pytest.raises(Refused):
            dialect.classify_write(Reply(status, body=b"<html>"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_busy_replies_can_be_tried_again(dialect: Dialect, status: int) -> None:
    """A busy server's wish to wait is kept."""
    with pytest.raises(Retryable) as caught:
        dialect.classify_write(Reply(status, {"retry-after": "7"}, b'{"message":"busy"}'))
    assert (caught.value.status, caught.value.retry_after) == (status, 7.0)
    assert "busy" in caught.value.message


@pytest.mark.parametrize(
    ("status", "words"), [(401, "token"), (403, "permission"), (404, "organization"), (405, "InfluxDB")]
)
def test_refusals_say_what_to_check(dialect: Dialect, status: int, words: str) -> None:
    """Each refusal has a hint of its own."""
    with pytest.raises(Refused, match=words):
        dialect.classify_write(Reply(status, body=b'{"error":"no"}'))


@pytest.mark.parametrize(("secret", "hint"), [("", "no token was given"), ("x", "check the token")])
def test_no_token_is_not_a_wrong_one(dialect: Dialect, secret: str, hint: str) -> None:
    """Whoever has forgotten it is told so."""
    with pytest.raises(Refused) as caught:
        dialect.classify_write(Reply(401, body=b'{"error":"no"}', secret=secret))
    assert caught.value.hint.startswith(hint)


def test_a_body_that_is_too_large_can_be_split(dialect: Dialect) -> None:
    """413 has a type of its own."""
    with pytest.raises(TooLarge):
        dialect.classify_write(Reply(413))


@pytest.mark.parametrize(("version", "status", "stored"), [("1", 400, True), ("2", 400, False), ("2", 422, True)])
def test_partial_writes_say_whether_the_rest_is_stored(version: str, status: int, stored: bool) -> None:
    """1.x keeps the good lines of a malformed body, 2.x does not."""
    with pytest.raises(PartialWrite, match="partial") as caught:
        dialects()[version].classify_write(Reply(status, body=b'{"message":"partial write"}'))
    assert caught.value.rest_stored is stored


def test_a_partial_status_of_2_is_not_one_of_1() -> None:
    """1.x never answers 422 for lines."""
    with pytest.raises(Refused):
        dialects()["1"].classify_write(Reply(422))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(400, body=b'{"code":"invalid","message":"from 2"}'), "from 2"),
        (Reply(400, body=b'{"error":"from 1"}'), "from 1"),
        (Reply(400, body=b'{"other":1}'), "{'other': 1}"),
        (Reply(400, body=b"[1]"), "[1]"),
        (Reply(400, body=b"<html>\n  no </html>"), "<html> no </html>"),
        (Reply(400, {"x-influxdb-error": "in a header"}), "in a header"),
        (Reply(400), "no words in the reply"),
    ],
)
def test_the_servers_own_words_are_found(reply: Reply, words: str) -> None:
    """Whatever the form of the reply, a person can read it."""
    assert message_of(reply) == words


def test_a_date_in_retry_after_is_passed_over() -> None:
    """Only seconds are understood."""
    assert retry_after(Reply(503, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"})) is None


def test_json_of_names_a_reply_that_is_none() -> None:
    """HTML where JSON should be is an error of the address."""
    with pytest.raises(ServerError, match="not JSON"):
        json_of(Reply(200, body=b"<html>"), "ask")


HEALTH = b'{"name":"influxdb","status":"%s","version":"%s","message":"words"}'


@pytest.mark.parametrize(("version", "name"), [(b"1.8.10", "v1"), (b"v2.9.1", "v2"), (b"2.9.1", "v2")])
def test_health_names_the_dialect(version: bytes, name: str) -> None:
    """The first number of the version decides, with or without a v before it."""
    server = identify(TARGET.url, Reply(200, body=HEALTH % (b"pass", version)))
    assert server.dialect.name == name
    assert server.name == "InfluxDB " + version.decode().removeprefix("v")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(200, body=b"<html>"), "not an InfluxDB"),
        (Reply(200, body=b"[]"), "not an InfluxDB"),
        (Reply(404, body=b'{"name":"other"}'), "not an InfluxDB"),
        (Reply(200, body=HEALTH % (b"pass", b"4.0.0")), "InfluxDB 4.0.0 has no dialect"),
        (Reply(200, body=HEALTH % (b"pass", b"")), "of unknown version"),
    ],
)
def test_what_has_no_dialect_is_refused(reply: Reply, words: str) -> None:
    """Anything but a known InfluxDB is an error of configuration that lists the known ones."""
    with pytest.raises(ConfigError, match=words):
        identify(TARGET.url, reply)


def test_an_unhealthy_server_can_be_tried_again() -> None:
    """A server that starts says so in its own words."""
    with pytest.raises(Retryable, match="words"):
        identify(TARGET.url, Reply(503, body=HEALTH % (b"fail", b"2.9.1")))


PING = {"x-influxdb-build": "OSS", "x-influxdb-version": "1.6.7~rc0"}


def test_ping_names_versions_before_1_8() -> None:
    """They have no /health; the version in the header decides, also when it is 1.8 or later after all."""
    early = identify_by_ping(TARGET.url, Reply(204, PING))
    assert (early.name, type(early.dialect)) == ("InfluxDB 1.6.7~rc0", EarlyInfluxDB1)
    for version, kind in (("v1.7.10", EarlyInfluxDB1), ("1.8.0", InfluxDB1), ("1.10.3", InfluxDB1)):
        assert type(identify_by_ping(TARGET.url, Reply(204, {"x-influxdb-version": version})).dialect) is kind


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(404, body=b"<html>"), "GET /ping answered 404"),
        (Reply(204), "GET /ping answered 204"),
        (Reply(204, {"x-influxdb-version": "0.9"}), "InfluxDB 0.9 has no dialect"),
    ],
)
def test_other_pings_are_refused(reply: Reply, words: str) -> None:
    """Whoever answers without the version of a known InfluxDB is none."""
    with pytest.raises(ConfigError, match=words):
        identify_by_ping(TARGET.url, reply)
