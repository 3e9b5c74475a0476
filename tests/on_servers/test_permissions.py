"""Tokens that may do no more than a load or a verification needs, on real servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from loader.errors import ConfigError, Refused
from loader.loading import LoadSettings, load
from loader.servers.base import Bucket, Target
from loader.servers.probe import probe
from loader.servers.transport import Connection
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tools.influxd import RunningServer

Granted = Callable[..., Target]


@pytest.fixture
def granted(influx_v2: RunningServer) -> Granted:
    """Return a function that makes a bucket and a token with permissions for it, or for all buckets."""
    organization = json.loads(influx_v2.call("/api/v2/orgs"))["orgs"][0]["id"]
    bucket = influx_v2.new_bucket()
    identity = json.loads(influx_v2.call(f"/api/v2/buckets?name={bucket}"))["buckets"][0]["id"]

    def grant(*actions: str, all_buckets: bool = False) -> Target:
        resource = {"type": "buckets", "orgID": organization} | ({} if all_buckets else {"id": identity})
        wanted = {"orgID": organization, "permissions": [{"action": it, "resource": resource} for it in actions]}
        token = json.loads(influx_v2.call("/api/v2/authorizations", json.dumps(wanted).encode()))["token"]
        return Target(influx_v2.url, bucket, influx_v2.org, token)

    return grant


def find(target: Target) -> Bucket | None:
    """Return what a token finds of its bucket."""
    with Connection(target, 30) as connection:
        return probe(connection).dialect.find_bucket(connection.send, target)


def test_a_token_for_one_bucket_loads_and_verifies(granted: Granted, tmp_path: Path) -> None:
    """To read and write one bucket is enough for both; its id is used where it may be seen."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    target = granted("read", "write")
    found = find(target)
    assert found is not None
    assert found.id
    assert load(LoadSettings(tmp_path, target)).rows_done == manifest.rows
    assert verify(VerifySettings(tmp_path, granted("read"), samples=5)).difference_count == 0


def test_a_token_that_may_only_write_loads(granted: Granted, tmp_path: Path) -> None:
    """The bucket is written to by its name; a second run resumes, and verifying needs more permission."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    target = granted("write")
    assert find(target) == Bucket(target.bucket)
    assert load(LoadSettings(tmp_path, target)).rows_done == manifest.rows
    assert load(LoadSettings(tmp_path, target)).rows_resumed == manifest.rows
    with pytest.raises(Refused, match="could not find bucket"):
        verify(VerifySettings(tmp_path, target, samples=5))
    assert verify(VerifySettings(tmp_path, granted("read"), samples=5)).difference_count == 0


def test_a_token_that_may_only_read_does_not_load(granted: Granted, tmp_path: Path) -> None:
    """The server's own words say which permission is missing."""
    small_dataset(tmp_path, days=1, rows=20)
    with pytest.raises(Refused, match="403: insufficient permissions for write"):
        load(LoadSettings(tmp_path, granted("read")))


def test_a_token_for_all_buckets_makes_one(granted: Granted, tmp_path: Path) -> None:
    """It may not see the organization, and may make buckets in it."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    target = granted("read", "write", all_buckets=True)
    new = Target(target.url, f"{target.bucket}-new", target.org, target.token)
    assert load(LoadSettings(tmp_path, new)).rows_done == manifest.rows


def test_what_is_missing_is_named_to_a_token_for_one_bucket(granted: Granted, tmp_path: Path) -> None:
    """An unknown organization and a bucket that is not there are told apart, though the token may see neither."""
    small_dataset(tmp_path, days=1, rows=20)
    target = granted("read", "write")
    with pytest.raises(ConfigError, match="organization 'nowhere' is unknown"):
        load(LoadSettings(tmp_path, Target(target.url, target.bucket, "nowhere", target.token)))
    with pytest.raises(Refused, match=r"bucket 'missing' does not exist|write:orgs/[0-9a-f]+/buckets is unauthorized"):
        load(LoadSettings(tmp_path, Target(target.url, "missing", target.org, target.token)))


def test_a_restore_asks_for_an_operator(granted: Granted, tmp_path: Path) -> None:
    """Also where the token may not see the bucket at all."""
    small_dataset(tmp_path, days=1, rows=20)
    with pytest.raises(Refused, match="operator token"):
        load(LoadSettings(tmp_path, granted("write"), via="restore"))


def test_a_user_of_1_who_may_only_write_loads(start_influxd: Any, tmp_path: Path) -> None:
    """Retention policies are not shown to this user, and the name is enough."""
    server = replace(start_influxd("v1", users=True), token="admin:own-secret")

    def query(statement: str) -> None:
        server.call("/query", urlencode({"q": statement}).encode())

    query("CREATE USER admin WITH PASSWORD 'own-secret' WITH ALL PRIVILEGES")
    query("CREATE DATABASE trades")
    for user, right in (("writer", "WRITE"), ("reader", "READ")):
        query(f"CREATE USER {user} WITH PASSWORD 'own-secret'")
        query(f"GRANT {right} ON trades TO {user}")
    manifest = small_dataset(tmp_path, days=1, rows=20)
    writer = Target(server.url, "trades", token="writer:own-secret")
    assert find(writer) == Bucket("trades")
    assert load(LoadSettings(tmp_path, writer)).rows_done == manifest.rows
    reader = Target(server.url, "trades", token="reader:own-secret")
    assert verify(VerifySettings(tmp_path, reader, samples=5)).difference_count == 0
    with pytest.raises(Refused, match="requires admin privilege"):
        load(LoadSettings(tmp_path, Target(server.url, "other", token="writer:own-secret")))
