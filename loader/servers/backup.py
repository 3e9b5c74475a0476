"""Reads the files in which InfluxDB 2.x keeps a bucket, through its backup API.

Time is divided into shards. A shard arrives as a tar of its files; before, the server writes to disk what it has in
memory.
Source: ``http/backup_service.go`` and ``backup.go`` of InfluxDB 2.9.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime

from loader.dataset.instant import instant, nanoseconds
from loader.errors import Refused, ServerError
from loader.servers.base import Bucket, Reply, ReplyKind, Request, Send
from loader.servers.replies import answer_of, raise_for

_HEADERS = {"Gzip-Compression-Level": "none"}
_LISTING = "list the bucket's shards"
_NEVER = "2262-01-01T00:00:00Z"
"""A time since which no file has changed, so that no file is sent."""
_SECOND = 1_000_000_000
OPERATOR_HINT = (
    "reading the server's files needs an operator token, which may read and write everything: the one that the"
    " setup of the server made, or one of `influx auth create --operator`"
)


@dataclass(frozen=True)
class Shard:
    """A shard holds the points of a bucket with ``start`` <= time < ``stop`` (nanoseconds)."""

    id: int
    start: int
    stop: int


def build_metadata() -> Request:
    """Return the request for the metadata of all buckets."""
    return Request("GET", "/api/v2/backup/metadata", headers=_HEADERS, reply=ReplyKind.METADATA)


def build_shard(shard_id: int, since: str = "") -> Request:
    """Return the request for the files of a shard, a tar; answered 404 when the shard is gone.

    With ``since``, a time in RFC 3339, files that have not changed after it are left out. The clock is the server's.
    """
    params = (("since", since),) if since else ()
    return Request("GET", f"/api/v2/backup/shards/{shard_id}", params, headers=_HEADERS)


def second_before(headers: Mapping[str, str]) -> str:
    """Return a second before the server's clock, by the Date of a reply, in RFC 3339; "" where it has none.

    A file that changes after the reply is newer, also where the clock of a file system is a little behind.
    """
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
        return instant((int(date.timestamp()) - 1) * _SECOND)
    except (ValueError, OverflowError):
        return ""


def is_open(send: Send, shard_id: int) -> bool:
    """Tell whether the server has a shard open; raises ServerError when nothing answers.

    2.9 opens a shard again after a restore, but not if the connection was lost by then: it answers 500 to all requests
    for this shard until it is restarted. Source: ``Shard.Restore`` in ``tsdb/shard.go``. A server that was killed while
    it made a bucket lists shards that it does not have, and answers 404.
    """
    return send(build_shard(shard_id, _NEVER)).status not in {404, 500}


def is_gone(send: Send, shard_id: int) -> bool:
    """Tell whether the server has no such shard any more; raises ServerError when nothing answers."""
    return send(build_shard(shard_id, _NEVER)).status == 404


def parse_shards(reply: Reply, bucket: Bucket) -> list[Shard]:
    """Read the shards of ``bucket`` by time from the reply to ``build_metadata``; none for an unknown bucket.

    The reply is multipart; its last part is JSON about the buckets. The parts before it contain secrets of the server:
    they are skipped, and never shown. Raises Refused without operator permission, ServerError otherwise.
    """
    raise_for_backup(reply, _LISTING)
    header = Message()
    header["content-type"] = reply.headers.get("content-type", "")
    boundary = f"--{header.get_param('boundary', '')}".encode()
    try:
        # Only the last part is copied: the parts before it may be large.
        stop = reply.body.rindex(boundary)
        start = reply.body.rindex(boundary, 0, stop)
        if reply.body[stop + len(boundary) :].strip() != b"--":
            raise ValueError("the last boundary is missing")
        buckets = json.loads(reply.body[start:stop].partition(b"\r\n\r\n")[2])
        return sorted(
            (
                _shard(shard["id"], nanoseconds(group["startTime"]), nanoseconds(group["endTime"]))
                for entry in buckets
                if entry["bucketID"] == bucket.id
                for policy in entry["retentionPolicies"]
                for group in policy["shardGroups"] or ()
                if "deletedAt" not in group
                for shard in group["shards"] or ()
            ),
            key=lambda shard: shard.start,
        )
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ServerError(
            f"{_LISTING}: the reply is damaged ({type(error).__name__}), {len(reply.body):,} bytes",
            status=reply.status,
            hint="run it again; if it stays so, look at the server's log",
        ) from None


def _shard(number: object, start: int, stop: int) -> Shard:
    if type(number) is not int or number < 0 or start >= stop:
        raise ValueError("not a shard")
    return Shard(number, start, stop)


def list_shards(send: Send, bucket: Bucket) -> list[Shard]:
    """Return the shards of ``bucket`` by time; memory is bounded by the server's metadata, usually some megabytes.

    Raises Refused without operator permission, ServerError otherwise.
    """
    return parse_shards(send(build_metadata()), bucket)


def raise_for_backup(reply: Reply, doing: str) -> None:
    """Return for 200; raise the ServerError for anything else."""
    if reply.status in {401, 403}:
        raise Refused(f"{doing}: the server {answer_of(reply)}", status=reply.status, hint=OPERATOR_HINT)
    if reply.status != 200:
        raise_for(reply, doing)
