"""What is read from the backup API, byte by byte."""

from __future__ import annotations

import pytest

from loader.errors import Refused, Retryable, ServerError
from loader.servers.backup import Shard, build_metadata, build_shard, is_open, list_shards, parse_shards
from loader.servers.base import Bucket, Reply, ReplyKind, Request

BUCKET = Bucket("trades", id="21d5b6780804edd9")
HEADERS = {"content-type": "multipart/mixed; boundary=796efd9d"}
BUCKETS = b"""[{"bucketID":"155196ff9a0c2f3b","bucketName":"trades","retentionPolicies":[{"shardGroups":[
{"id":9,"startTime":"2024-01-01T00:00:00Z","endTime":"2024-01-08T00:00:00Z","shards":[{"id":9,"shardOwners":[]}]}]}]},
{"bucketID":"21d5b6780804edd9","bucketName":"trades","retentionPolicies":[{"name":"autogen","shardGroups":[
{"id":3,"startTime":"2024-01-01T00:00:00Z","endTime":"2024-01-08T00:00:00Z","shards":[{"id":7,"shardOwners":[]}]},
{"id":1,"startTime":"2020-10-26T00:00:00Z","endTime":"2020-11-02T00:00:00Z","deletedAt":"2024-01-01T00:00:00Z",
"shards":[{"id":1,"shardOwners":[]}]},
{"id":4,"startTime":"2024-02-01T00:00:00Z","endTime":"2024-02-08T00:00:00Z","shards":null},
{"id":2,"startTime":"1970-01-01T00:00:00Z","endTime":"1970-01-08T00:00:00.000000001Z","shards":[{"id":2}]}]}]}]
"""


def body(buckets: bytes = BUCKETS) -> bytes:
    """Return a multipart body: two stores that nobody should read, then the buckets."""
    parts = [(b"kv", b"\x00\x01secret\r\n\r\n"), (b"sql", b"\xff"), (b"buckets", buckets)]
    head = b'--796efd9d\r\nContent-Disposition: attachment; name="%s"\r\n\r\n%s\r\n'
    return b"".join(head % part for part in parts) + b"--796efd9d--\r\n"


def test_requests() -> None:
    """The server is asked not to compress."""
    headers = {"Gzip-Compression-Level": "none"}
    assert build_metadata() == Request("GET", "/api/v2/backup/metadata", headers=headers, reply=ReplyKind.METADATA)
    assert build_shard(7).path == "/api/v2/backup/shards/7"


@pytest.mark.parametrize(("status", "is_there"), [(200, True), (304, True), (404, False), (500, False), (503, True)])
def test_a_shard_that_is_not_open(status: int, is_there: bool) -> None:
    """It is closed for good, or was never made; a server that is busy says nothing of it."""
    assert is_open(lambda request: Reply(status), 7) is is_there


def test_shards_of_a_bucket() -> None:
    """The shards of this bucket come by time; groups that are deleted or have none are passed over."""
    asked = []

    def send(request: Request) -> Reply:
        asked.append(request)
        return Reply(200, HEADERS, body())

    assert list_shards(send, BUCKET) == [
        Shard(2, 0, 604_800_000_000_001),
        Shard(7, 1_704_067_200_000_000_000, 1_704_672_000_000_000_000),
    ]
    assert asked == [build_metadata()]
    assert list_shards(send, Bucket("other", id="0")) == []


def test_no_shards_yet() -> None:
    """A bucket without any point has none."""
    empty = b'[{"bucketID":"21d5b6780804edd9","retentionPolicies":[{"name":"autogen","shardGroups":null}]}]'
    assert parse_shards(Reply(200, HEADERS, body(empty)), BUCKET) == []


@pytest.mark.parametrize("status", [401, 403])
def test_permission_is_named(status: int) -> None:
    """A token without operator permission is refused with words that say what is needed."""
    message = b'{"code":"unauthorized","message":"read:authorizations is unauthorized"}'
    with pytest.raises(Refused, match="read:authorizations") as caught:
        parse_shards(Reply(status, {}, message), BUCKET)
    assert caught.value.status == status
    assert "operator token" in caught.value.hint


def test_a_busy_server_can_be_asked_again() -> None:
    """Other refusals are those of any request."""
    with pytest.raises(Retryable, match="busy"):
        parse_shards(Reply(503, {}, b'{"message":"busy"}'), BUCKET)


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        (HEADERS, b""),
        (HEADERS, body()[:-20]),
        (HEADERS, body(b"[{]")),
        (HEADERS, body(b"[{}]")),
        (HEADERS, body(b"3")),
        (HEADERS, body(b"[3]")),
        (HEADERS, body(b'[{"bucketID":"21d5b6780804edd9","retentionPolicies":null}]')),
        (HEADERS, body(b"[" * 100_000)),
        (HEADERS, body(BUCKETS.replace(b'"id":7', b'"id":-7'))),
        (HEADERS, body(BUCKETS.replace(b'"id":7', b'"id":"../7"'))),
        (
            HEADERS,
            body(
                BUCKETS.replace(
                    b'"2024-01-08T00:00:00Z","shards":[{"id":7', b'"1024-01-08T00:00:00Z","shards":[{"id":7'
                )
            ),
        ),
        (HEADERS, body(BUCKETS.replace(b'"2024-01-01T00:00:00Z","endTime"', b'7,"endTime"'))),
        ({}, body()),
        ({"content-type": "text/html"}, b"secret"),
    ],
)
def test_damage_shows_no_secrets(headers: dict[str, str], content: bytes) -> None:
    """A reply that cannot be read is an error that quotes nothing of it."""
    with pytest.raises(ServerError, match="damaged") as caught:
        parse_shards(Reply(200, headers, content), BUCKET)
    assert "secret" not in str(caught.value)
