"""What a diagnosis finds of real servers, and of tokens of different permissions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from loader.diagnosis import DiagnosisSettings, Finding, Level, diagnose
from loader.diagnosis.server import _look_at_address
from loader.errors import ConfigError, ServerError
from loader.loading import LoadSettings, load
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, Dated, Fault, fault_proxy
from tools.influxd import RunningServer

OK, WARNING, PROBLEM = Level


def look(target: Target, dataset: Path | None = None) -> Mapping[str, Finding]:
    """Return what is found, by subject, the last where there are several; no text holds the token."""
    found = diagnose(DiagnosisSettings(target, dataset))
    if target.token:
        assert target.token not in repr(found)
    return {finding.subject: finding for finding in found.findings}


def levels(found: Mapping[str, Finding]) -> tuple[Level, Level]:
    """Return the levels of writing and reading."""
    return found["write"].level, found["read"].level


@pytest.fixture
def granted(influx_v2: RunningServer) -> Callable[..., Target]:
    """Return a function that makes a token with permissions for a bucket that is there."""
    organization = json.loads(influx_v2.call("/api/v2/orgs"))["orgs"][0]["id"]
    bucket = influx_v2.new_bucket()
    identity = json.loads(influx_v2.call(f"/api/v2/buckets?name={bucket}"))["buckets"][0]["id"]

    def grant(*actions: str) -> Target:
        resource = {"type": "buckets", "orgID": organization, "id": identity}
        wanted = {"orgID": organization, "permissions": [{"action": it, "resource": resource} for it in actions]}
        token = json.loads(influx_v2.call("/api/v2/authorizations", json.dumps(wanted).encode()))["token"]
        return Target(influx_v2.url, bucket, influx_v2.org, token)

    return grant


@pytest.mark.parametrize(
    ("actions", "expected"),
    [(("read", "write"), (OK, OK)), (("write",), (OK, WARNING)), (("read",), (PROBLEM, OK))],
)
def test_what_a_token_of_2_may_do(
    granted: Callable[..., Target], tmp_path: Path, actions: tuple[str, ...], expected: tuple[Level, Level]
) -> None:
    """What is found is what a load and a verification then do, and nothing is written to find it out."""
    manifest = small_dataset(tmp_path, days=1, rows=5)
    target = granted(*actions)
    found = look(target, tmp_path)
    assert levels(found) == expected
    assert "cannot be used" in found["restore"].text
    assert verify(VerifySettings(tmp_path, granted("read"), samples=1)).difference_count > 0
    loads = not _fails(lambda: load(LoadSettings(tmp_path, target)))
    assert loads == (found["write"].level is OK)
    load(LoadSettings(tmp_path, granted("write"), restart=True))
    assert _fails(lambda: verify(VerifySettings(tmp_path, target, samples=1))) == (found["read"].level is not OK)
    assert look(target, tmp_path)["last load"].text.startswith(f"{manifest.rows} rows")


def _fails(work: Callable[[], Any]) -> bool:
    try:
        work()
    except ServerError:
        return True
    return False


def test_an_operator_token_may_restore(influx_v2: RunningServer, tmp_path: Path) -> None:
    """With it a missing bucket is no problem, and it is missing afterwards, too."""
    target = Target(influx_v2.url, "not-there", influx_v2.org, influx_v2.token)
    for _ in range(2):
        found = look(target)
        assert (found["server"].level, found["bucket"].level, found["restore"].level) == (OK, OK, OK)
        assert found["server"].text.startswith("InfluxDB 2.")
        assert "is missing; a load makes it" in found["bucket"].text
        assert "can be used" in found["restore"].text
        assert found["clock"].level is OK


def test_a_missing_bucket_and_a_token_that_may_not_make_it(granted: Callable[..., Target]) -> None:
    """That a load may fail is a warning."""
    found = look(replace(granted("read", "write"), bucket="not-there"))
    assert found["bucket"].level is WARNING
    assert "unless the token may make buckets" in found["bucket"].effect


@pytest.mark.parametrize(("token", "words"), [("wrong", "check the token"), ("", "no token was given")])
def test_a_token_that_is_none(influx_v2: RunningServer, token: str, words: str) -> None:
    """The server refuses it, and what to do is told."""
    found = look(Target(influx_v2.url, "trades", influx_v2.org, token))
    assert found["bucket"].level is PROBLEM
    assert words in found["bucket"].hint
    assert "write" not in found


def test_an_unknown_organization(influx_v2: RunningServer) -> None:
    """It is named."""
    found = look(Target(influx_v2.url, "trades", "nowhere", influx_v2.token))
    assert "organization 'nowhere' is unknown" in found["bucket"].text


def test_what_a_user_of_1_may_do(start_influxd: Any) -> None:
    """Permissions of 1.x are found in the same way."""
    server = replace(start_influxd("v1", users=True), token="admin:own-secret")

    def query(statement: str) -> None:
        server.call("/query", urlencode({"q": statement}).encode())

    query("CREATE USER admin WITH PASSWORD 'own-secret' WITH ALL PRIVILEGES")
    query("CREATE DATABASE trades")
    for user, right in (("writer", "WRITE"), ("reader", "READ"), ("both", "ALL")):
        query(f"CREATE USER {user} WITH PASSWORD 'own-secret'")
        query(f"GRANT {right} ON trades TO {user}")
    expected = {"writer": (OK, WARNING), "reader": (PROBLEM, OK), "both": (OK, OK), "admin": (OK, OK)}
    for user, level in expected.items():
        found = look(Target(server.url, "trades", token=f"{user}:own-secret"))
        assert levels(found) == level, user
        assert "--via write is the way" in found["restore"].text
    assert look(Target(server.url, "trades", token="nobody:own-secret"))["bucket"].level is PROBLEM
    assert look(Target(server.url, "not-there", token="admin:own-secret"))["bucket"].level is OK
    finding = look(Target(server.url, "not-there", token="both:own-secret"))["bucket"]
    assert (finding.level, finding.effect) == (WARNING, "a load fails: the user may not make databases")
    assert finding.hint.endswith("or use the name and password of an administrator")


def test_an_early_server(influx_early: RunningServer) -> None:
    """Versions before 1.8 are looked at by their own requests."""
    bucket = influx_early.new_bucket()
    found = look(Target(influx_early.url, bucket))
    assert levels(found) == (OK, OK)
    assert look(Target(influx_early.url, "not-there"))["bucket"].level is OK


def test_anybody_may_make_a_database_where_nobody_is_asked_who_he_is(influx_v1: RunningServer) -> None:
    """Without authentication a missing database is no warning, and it is missing afterwards, too."""
    for token in ("", "some:body", "some:body"):
        finding = look(Target(influx_v1.url, "not-there", token=token))["bucket"]
        assert (finding.level, finding.text) == (OK, "'not-there' is missing; a load makes it")


def test_an_administrator_who_cannot_be_asked_for(influx_v1: RunningServer) -> None:
    """A server that is busy by then is a problem, and no verdict about permissions."""

    def busy(call: Call) -> Fault | None:
        return Answer(503) if b"USERS" in call.body or "USERS" in call.path else None

    def gone(call: Call) -> Fault | None:
        return Answer(404) if b"USERS" in call.body or "USERS" in call.path else None

    for fault, status in ((busy, "503"), (gone, "404")):
        with fault_proxy(influx_v1.url, fault, watched=["/query"]) as proxy:
            finding = look(Target(proxy.url, "not-there"))["bucket"]
        assert (finding.level, status in finding.text) == (PROBLEM, True)


def test_points_that_retention_would_drop(influx_v2: RunningServer, tmp_path: Path) -> None:
    """A bucket that keeps days does not take points of 2024, as a load says, too."""
    small_dataset(tmp_path, days=1, rows=5)
    organization = json.loads(influx_v2.call("/api/v2/orgs"))["orgs"][0]["id"]
    rules = [{"type": "expire", "everySeconds": 86_400 * 7}]
    wanted = {"orgID": organization, "name": "a-week", "retentionRules": rules}
    influx_v2.call("/api/v2/buckets", json.dumps(wanted).encode())
    target = Target(influx_v2.url, "a-week", influx_v2.org, influx_v2.token)
    assert look(target)["bucket"].text == "'a-week' is there; 7 days, 0:00:00 are kept"
    finding = look(target, tmp_path)["bucket"]
    assert finding.level is PROBLEM
    assert "keeps 7 days; the dataset has older points" in finding.text
    with pytest.raises(ConfigError, match="keeps 7 days"):
        load(LoadSettings(tmp_path, target))


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (0.0, OK, "agrees"),
        (3.0, OK, "agrees"),
        (3_600.0, WARNING, "ahead of this machine's"),
        (-90.0, WARNING, "behind this machine's"),
        (None, OK, "does not tell its time"),
    ],
)
def test_a_clock_that_is_skewed(influx_v2: RunningServer, seconds: float | None, level: Level, words: str) -> None:
    """The difference is found from the Date of a reply, as exactly as whole seconds allow."""

    def dated(call: Call) -> Fault:
        return Dated(seconds)

    with fault_proxy(influx_v2.url, dated, watched=["/ping"]) as proxy:
        finding = look(Target(proxy.url, "trades", influx_v2.org, influx_v2.token))["clock"]
    assert finding.level is level
    assert words in finding.text
    if level is WARNING:
        hours, minutes, rest = map(int, finding.text.split("is ")[1].split()[0].split(":"))
        assert abs(hours * 3_600 + minutes * 60 + rest - abs(seconds or 0)) <= 2


def test_a_server_that_is_busy_or_not_there(influx_v2: RunningServer) -> None:
    """What fails is found one by one; what cannot be asked is not guessed."""
    found = look(Target("http://127.0.0.1:1", "trades"))
    assert found["server"].level is PROBLEM
    assert "Connection refused" in found["server"].text
    assert "bucket" not in found
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    with fault_proxy(influx_v2.url, lambda call: Answer(503), watched=["/api/v2/write", "/api/v2/query"]) as proxy:
        found = look(replace(target, url=proxy.url))
    assert levels(found) == (PROBLEM, PROBLEM)
    assert "503" in found["write"].text


def test_what_is_unsafe_about_an_address(influx_v2: RunningServer) -> None:
    """A token that is not sent is told, and one that others can read on its way."""
    withheld = "INFLUX_TOKEN is not sent: it belongs to another address"
    finding = look(Target(influx_v2.url, "trades", influx_v2.org, withheld=withheld))["token"]
    assert (finding.level, finding.text) == (WARNING, withheld)
    assert finding.hint
    for url, findings in (("http://db.example:8086", 1), ("https://db.example", 0), ("http://localhost:8086", 0)):
        assert len(list(_look_at_address(Target(url, "trades", token="secret-token")))) == findings


def test_a_timeout_that_is_none_is_an_error() -> None:
    """The settings themselves are wrong, and that is no finding."""
    with pytest.raises(ConfigError, match="timeout of 0 seconds"):
        diagnose(DiagnosisSettings(Target("http://127.0.0.1:1", "trades"), timeout_seconds=0))


def test_nothing_is_written(influx: RunningServer) -> None:
    """Of all that a server is asked, only questions have a body, and what is asked to be written is nothing."""
    target = Target(influx.url, influx.new_bucket(), influx.org, influx.token)
    with fault_proxy(influx.url, lambda call: None, watched=["/"]) as proxy:
        look(replace(target, url=proxy.url))
        calls = proxy.writes
    assert [call.body for call in calls if "/write" in call.path] == [b""]
    assert all("/query" in call.path for call in calls if call.body)
    assert not [call for call in calls if "/restore" in call.path or "/delete" in call.path]
