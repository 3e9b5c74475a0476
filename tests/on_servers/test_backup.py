"""Reading the files of a real server."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from loader.errors import Refused
from loader.servers.backup import OPERATOR_HINT, build_shard, list_shards, raise_for_backup
from loader.servers.base import Bucket, Target
from loader.servers.probe import probe
from loader.servers.transport import Connection
from tools.influxd import RunningServer

WEEK = 604_800_000_000_000
MONDAY = 1_704_067_200_000_000_000
LINES = f"m,a=b v=1.5 {MONDAY}\nm,a=b v=2 {MONDAY + WEEK}\nm,a=b v=2 {MONDAY - 9 * WEEK}"


@pytest.fixture
def target(influx_v2: RunningServer) -> Target:
    """Return a bucket with points in three weeks."""
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    influx_v2.call(f"/api/v2/write?org={target.org}&bucket={target.bucket}&precision=ns", LINES.encode())
    return target


def find(connection: Connection) -> Bucket:
    """Return the bucket of ``connection``."""
    bucket = probe(connection).dialect.find_bucket(connection.send, connection.target)
    assert bucket is not None
    return bucket


def test_shards_and_their_files(target: Target) -> None:
    """A bucket's shards cover its points, and each streams as a tar with a storage file."""
    with Connection(target, 30.0) as connection:
        shards = list_shards(connection.send, find(connection))
        assert [(shard.start, shard.stop) for shard in shards] == [
            (MONDAY + week * WEEK, MONDAY + (week + 1) * WEEK) for week in (-9, 0, 1)
        ]
        for shard in shards:
            with connection.open(build_shard(shard.id)) as stream:
                assert stream.status == 200
                content = stream.body.read(1 << 20)
            with tarfile.open(fileobj=io.BytesIO(content)) as files:
                (name,) = files.getnames()
            assert name.endswith("-000000001.tsm")


def test_an_unknown_shard(target: Target) -> None:
    """A shard that is gone is refused in the server's words."""
    with (
        Connection(target, 30.0) as connection,
        connection.open(build_shard(999_999)) as stream,
        pytest.raises(Refused, match="shard 999999 not found"),
    ):
        raise_for_backup(stream.reply(), "read a shard")


def test_a_token_without_permission(influx_v2: RunningServer, target: Target) -> None:
    """A token that may only read buckets is told that it takes an operator token."""
    org = json.loads(influx_v2.call("/api/v2/orgs"))["orgs"][0]["id"]
    wanted = {"orgID": org, "permissions": [{"action": "read", "resource": {"type": "buckets"}}]}
    token = json.loads(influx_v2.call("/api/v2/authorizations", json.dumps(wanted).encode()))["token"]
    reader = Target(target.url, target.bucket, target.org, token)
    with Connection(reader, 30.0) as connection, pytest.raises(Refused) as caught:
        list_shards(connection.send, Bucket("x", id="0"))
    assert caught.value.hint == OPERATOR_HINT
