"""The requests of the restore API byte by byte, and what is made of its replies."""

from __future__ import annotations

import json

import pytest

from loader.errors import Refused, ServerError
from loader.servers.base import Bucket, Reply, Request, Target
from loader.servers.restore import (
    ShardGroup,
    build_bucket,
    build_shard,
    is_operator,
    parse_bucket,
    require_operator,
    takes_files,
)
from loader.servers.v1 import InfluxDB1
from loader.servers.v2 import InfluxDB2

TARGET = Target("http://localhost:8086", "trades", "acme", "secret")
WEEK = 604_800_000_000_000


def answer(status: int, body: bytes = b"{}") -> tuple[list[Request], object]:
    """Return a way to send that keeps what is sent and answers the same to all."""
    sent: list[Request] = []

    def send(request: Request) -> Reply:
        sent.append(request)
        return Reply(status, {}, body)

    return sent, send


def test_a_new_bucket() -> None:
    """A bucket is asked for with its mark, infinite retention, and a shard for each group."""
    request = build_bucket(TARGET, "0a", "made by me", WEEK, [ShardGroup(-1, WEEK), ShardGroup(WEEK, 2 * WEEK)])
    assert (request.method, request.path) == ("POST", "/api/v2/restore/bucketMetadata")
    assert request.headers == {"Content-Type": "application/json"}
    assert request.body.decode() == (
        '{"organizationID": "0a", "organizationName": "acme", "bucketID": "0000000000000001", "bucketName": "trades",'
        ' "description": "made by me", "defaultRetentionPolicy": "autogen", "retentionPolicies": [{"name": "autogen",'
        ' "replicaN": 1, "duration": 0, "shardGroupDuration": 604800000000000, "shardGroups": ['
        '{"id": 1, "startTime": "1969-12-31T23:59:59.999999999Z", "endTime": "1970-01-08T00:00:00.000000000Z",'
        ' "shards": [{"id": 1, "shardOwners": []}]}, '
        '{"id": 2, "startTime": "1970-01-08T00:00:00.000000000Z", "endTime": "1970-01-15T00:00:00.000000000Z",'
        ' "shards": [{"id": 2, "shardOwners": []}]}], "subscriptions": []}]}'
    )


def test_the_id_of_the_new_bucket() -> None:
    """The id comes from the reply; a name that is taken is the server's error."""
    assert parse_bucket(TARGET, Reply(201, {}, b'{"id": "0b"}')) == "0b"
    taken = Reply(422, {}, json.dumps({"code": "conflict", "message": "bucket trades already exists"}).encode())
    with pytest.raises(ServerError, match=r"create bucket 'trades'.*already exists"):
        parse_bucket(TARGET, taken)


def test_the_files_of_a_shard() -> None:
    """Files go to the shard's id."""
    request = build_shard(17)
    assert (request.method, request.path, request.body) == ("POST", "/api/v2/restore/shards/17", b"")


@pytest.mark.parametrize(("status", "operator"), [(200, True), (401, False), (403, False)])
def test_operator_tokens(status: int, operator: bool) -> None:
    """The server's configuration is for operators only: whoever may read it is one."""
    sent, send = answer(status)
    assert is_operator(send) is operator
    assert [(request.method, request.path) for request in sent] == [("GET", "/api/v2/config")]
    if operator:
        require_operator(send)
    else:
        with pytest.raises(Refused, match="operator token"):
            require_operator(send)


def test_a_server_in_trouble_is_no_answer() -> None:
    """Any other answer to the question is an error, and tells nothing of the token."""
    with pytest.raises(ServerError, match="operator"):
        is_operator(answer(503)[1])


def test_removing_a_bucket() -> None:
    """A bucket is removed by its id; what the server says against it is raised."""
    sent, send = answer(204)
    InfluxDB2().remove_bucket(send, TARGET, Bucket("trades", "0b"))
    assert [(request.method, request.path) for request in sent] == [("DELETE", "/api/v2/buckets/0b")]
    with pytest.raises(ServerError, match="remove bucket 'trades'"):
        InfluxDB2().remove_bucket(answer(500)[1], TARGET, Bucket("trades", "0b"))


def test_only_influxdb_2_takes_files() -> None:
    """The restore API is one of 2.x."""
    assert takes_files(InfluxDB2())
    assert not takes_files(InfluxDB1())
