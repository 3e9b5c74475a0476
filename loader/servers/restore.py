"""Makes buckets and shards of InfluxDB 2.x through its restore API, the one that ``influx restore`` uses.

Time is divided into shard groups, of one shard each. A shard takes storage files as a tar. The reply to an upload
proves nothing: the server answers 200 to garbage and to a tar that was cut short, and stores nothing of it. So the
points must be counted afterwards.

Source: ``http/restore_service.go``, ``storage/engine.go`` and ``tsdb/shard.go`` of InfluxDB 2.9.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from loader.dataset.instant import instant
from loader.errors import ConfigError, Refused, Retryable, ServerError
from loader.servers.base import Dialect, Reply, ReplyKind, Request, Send, Target
from loader.servers.replies import json_of, reading
from loader.servers.v2 import InfluxDB2

_JSON = {"Content-Type": "application/json"}
_POLICY = "autogen"


@dataclass(frozen=True)
class ShardGroup:
    """The points with ``start`` <= time < ``stop`` (nanoseconds)."""

    start: int
    stop: int


def takes_files(dialect: Dialect) -> TypeGuard[InfluxDB2]:
    """Tell whether servers of ``dialect`` accept and return storage files."""
    return isinstance(dialect, InfluxDB2)


def is_operator(send: Send) -> bool:
    """Tell whether the token is an operator token, which the restore API requires; raises ServerError."""
    reply = send(Request("GET", "/api/v2/config"))
    if reply.status in {401, 403}:
        return False
    json_of(reply, "look whether the token is an operator's")
    return True


def require_operator(send: Send) -> None:
    """Raise Refused unless the token is an operator token, ConfigError if that cannot be found out; or Retryable."""
    try:
        operator = is_operator(send)
    except Retryable:
        raise
    except ServerError as error:
        raise ConfigError(
            f"whether the token may restore cannot be found out: {error.message}",
            hint="the restore path needs InfluxDB 2.2 or later, reached without a proxy that hides its API",
        ) from error
    if not operator:
        raise Refused(
            "the restore path needs an operator token, and this token is another one",
            status=401,
            hint="use the token of the server's setup, or one of `influx auth create --operator`; or use --via write",
        )


def build_bucket(
    target: Target, organization_id: str, mark: str, shard_duration: int, groups: Sequence[ShardGroup]
) -> Request:
    """Return the request for a new bucket with a shard for each of ``groups`` and infinite retention.

    ``mark`` becomes its description; ``shard_duration`` is nanoseconds. The server answers 422 when the name is taken.
    """
    shard_groups = [
        {
            "id": number,
            "startTime": instant(group.start),
            "endTime": instant(group.stop),
            "shards": [{"id": number, "shardOwners": []}],
        }
        for number, group in enumerate(groups, 1)
    ]
    policy = {
        "name": _POLICY,
        "replicaN": 1,
        "duration": 0,
        "shardGroupDuration": shard_duration,
        "shardGroups": shard_groups,
        "subscriptions": [],
    }
    manifest = {
        "organizationID": organization_id,
        "organizationName": target.org,
        # The server requires an id here, but gives the bucket another one.
        "bucketID": "0000000000000001",
        "bucketName": target.bucket,
        "description": mark,
        "defaultRetentionPolicy": _POLICY,
        "retentionPolicies": [policy],
    }
    return Request(
        "POST",
        "/api/v2/restore/bucketMetadata",
        headers=_JSON,
        body=json.dumps(manifest).encode(),
        reply=ReplyKind.METADATA,
    )


def parse_bucket(target: Target, reply: Reply) -> str:
    """Return the id of the bucket that was made; raises ServerError."""
    doing = f"create bucket {target.bucket!r}"
    content = json_of(reply, doing, expected=201)
    with reading(reply, doing):
        return str(content["id"])


def build_shard(shard_id: int) -> Request:
    """Return the request, still without its body, that gives a tar of storage files to a shard."""
    return Request("POST", f"/api/v2/restore/shards/{shard_id}", headers={"Content-Type": "application/octet-stream"})
