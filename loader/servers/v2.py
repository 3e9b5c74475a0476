"""InfluxDB 2.x: buckets, organizations, Flux."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import polars as pl

from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, PartialWrite, Refused
from loader.servers import candles, flux
from loader.servers.base import (
    AggregateQuery,
    Bucket,
    CandleQuery,
    PointsQuery,
    Reply,
    ReplyKind,
    Request,
    Send,
    Target,
    WriteRules,
)
from loader.servers.database import database_of
from loader.servers.replies import json_of, message_of, raise_for, reading, shown
from loader.servers.writes import build_v2_write

_NANOSECONDS = 1_000_000_000
_MOST_SECONDS = (1 << 63) // _NANOSECONDS
_PAGE = 100
"""The most buckets that the server lists at a time."""
_MOST_BUCKETS = 100_000
_ORG_HINT = "name it with --org or INFLUX_ORG"


class InfluxDB2:
    """The dialect of InfluxDB 2.x."""

    name = "v2"
    write_rules = WriteRules()

    def build_write(self, target: Target, body: bytes, *, gzipped: bool) -> Request:
        """Return the request to /api/v2/write."""
        return build_v2_write(target, body, gzipped=gzipped)

    def classify_write(self, reply: Reply) -> None:
        """Return for 204; raise for others. 400: malformed, nothing is stored; 422: the good lines are stored."""
        if reply.status == 204:
            return
        if reply.status in {400, 422}:
            raise PartialWrite(message_of(reply), status=reply.status, rest_stored=reply.status == 422)
        raise_for(reply, "write")

    def find_bucket(self, send: Send, target: Target) -> Bucket | None:
        """Describe the target's bucket, None when it is missing.

        Raises ConfigError for an organization that is unknown or not named, ServerError otherwise. If the token may not
        read the bucket, the server tells only that it exists: then only its name is set.
        """
        if not target.org:
            raise self._no_organization(send)
        doing = f"look for bucket {target.bucket!r}"
        reply = send(Request("GET", "/api/v2/buckets", (("org", target.org), ("name", target.bucket))))
        if reply.status == 404:
            # The bucket or the organization is missing; the token may not be allowed to see the organization.
            self._require_organization(send, target)
            return None
        content = json_of(reply, doing)
        with reading(reply, doing):
            found = [entry for entry in content["buckets"] if entry["name"] == target.bucket]
            return _bucket(found[0]) if found else Bucket(target.bucket)

    def create_bucket(self, send: Send, target: Target, shard_duration: int, description: str = "") -> Bucket:
        """Make the target's bucket with infinite retention."""
        rule = {"type": "expire", "everySeconds": 0}
        if shard_duration:
            rule["shardGroupDurationSeconds"] = shard_duration // _NANOSECONDS
        wanted = {
            "orgID": self.find_organization(send, target),
            "name": target.bucket,
            "retentionRules": [rule],
            **({"description": description} if description else {}),
        }
        request = Request(
            "POST",
            "/api/v2/buckets",
            headers={"Content-Type": "application/json"},
            body=json.dumps(wanted).encode(),
        )
        doing = f"create bucket {target.bucket!r}"
        reply = send(request)
        content = json_of(reply, doing, expected=201)
        with reading(reply, doing):
            return _bucket(content)

    def list_buckets(self, send: Send, target: Target, prefix: str) -> list[Bucket]:
        """Describe the buckets whose names begin with ``prefix``, of all that the token may read."""
        doing = "list the buckets"
        found: list[Bucket] = []
        for offset in range(0, _MOST_BUCKETS, _PAGE):
            page = (("org", target.org), ("limit", str(_PAGE)), ("offset", str(offset)))
            reply = send(Request("GET", "/api/v2/buckets", page))
            content = json_of(reply, doing)
            with reading(reply, doing):
                entries = list(content["buckets"])
                found += [_bucket(entry) for entry in entries if str(entry["name"]).startswith(prefix)]
            if len(entries) < _PAGE:
                break
        return found

    def describe_bucket(self, send: Send, bucket: Bucket, description: str) -> None:
        """Give ``bucket``, which its id names, another description."""
        request = Request(
            "PATCH",
            f"/api/v2/buckets/{quote(bucket.id, safe='')}",
            headers={"Content-Type": "application/json"},
            body=json.dumps({"description": description}).encode(),
        )
        json_of(send(request), f"describe bucket {bucket.name!r}")

    def remove_bucket(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Remove ``bucket``, which its id names."""
        reply = send(Request("DELETE", f"/api/v2/buckets/{quote(bucket.id, safe='')}"))
        if reply.status not in {204, 404}:
            raise_for(reply, f"remove bucket {bucket.name!r}")

    def build_aggregate(self, target: Target, query: AggregateQuery) -> Request:
        """Return the Flux request for ``query``."""
        return flux.build_aggregate(target, query)

    def parse_aggregate(self, query: AggregateQuery, reply: Reply) -> pl.DataFrame:
        """Read the annotated CSV of ``build_aggregate``."""
        with reading(reply, "query"):
            return flux.parse_aggregate(query, reply)

    def build_fields(self, target: Target, schema: PointSchema, start: int, stop: int) -> Request:
        """Return the Flux request for field keys."""
        return flux.build_fields(target, schema, start, stop)

    def parse_fields(self, reply: Reply) -> list[str]:
        """Read the answer to ``build_fields``."""
        with reading(reply, "query"):
            return flux.parse_fields(reply)

    def build_points(self, target: Target, query: PointsQuery) -> Request:
        """Return the Flux request for ``query``."""
        return flux.build_points(target, query)

    def parse_points(self, query: PointsQuery, reply: Reply) -> pl.DataFrame:
        """Read the annotated CSV of ``build_points``."""
        with reading(reply, "query"):
            return flux.parse_points(query, reply)

    def check_influxql(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Raise ConfigError unless the database that has the name of ``bucket`` stands for it.

        By default it does; a mapping (DBRP) may map that name to another bucket, and servers before 2.4 need one.
        """
        doing = f"look for the database of bucket {bucket.name!r}"
        database = database_of(bucket.name)
        params = (("org", target.org), ("db", database.name))
        reply = send(Request("GET", "/api/v2/dbrps", params, reply=ReplyKind.METADATA))
        content = json_of(reply, doing)
        with reading(reply, doing):
            for entry in content.get("content") or ():
                named = entry["retention_policy"] == database.policy if database.policy else entry["default"]
                if named and entry["bucketID"] == bucket.id:
                    return
        raise ConfigError(
            f"{bucket.name!r} is no database for queries in InfluxQL, or one that stands for another bucket",
            hint=f"map it: influx v1 dbrp create --db NAME --rp NAME --default --bucket-id {bucket.id}",
        )

    def build_candles(self, target: Target, query: CandleQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return candles.build_candles(target, query, (("org", target.org),))

    def parse_candles(self, query: CandleQuery, reply: Reply) -> pl.DataFrame:
        """Read the JSON of ``build_candles``."""
        with reading(reply, "query"):
            return candles.parse_candles(query, reply)

    def find_organization(self, send: Send, target: Target) -> str:
        """Return the organization's id, even if the token may see only one of its buckets.

        Raises ConfigError when it is unknown or not named, Refused when the token can see nothing of it.
        """
        if not target.org:
            raise self._no_organization(send)
        for entry in self._require_organization(send, target):
            return entry
        doing = "look for the organization's buckets"
        reply = send(Request("GET", "/api/v2/buckets", (("org", target.org), ("limit", "100"))))
        content = json_of(reply, doing)
        with reading(reply, doing):
            for entry in content["buckets"]:
                return str(entry["orgID"])
        raise Refused(
            f"bucket {target.bucket!r} does not exist, and the token sees nothing of organization {target.org!r}",
            status=reply.status,
            hint="make the bucket first, or use a token that may read the organization and write its buckets",
        )

    def _require_organization(self, send: Send, target: Target) -> list[str]:
        """Return the organization's id in a list, [] if the token may not see it; raises ConfigError when unknown."""
        doing = "look for the organization"
        reply = send(Request("GET", "/api/v2/orgs", (("org", target.org),)))
        if reply.status == 404:
            raise ConfigError(f"organization {target.org!r} is unknown", hint=_ORG_HINT)
        content = json_of(reply, doing)
        with reading(reply, doing):
            return [str(entry["id"]) for entry in content["orgs"] if entry["name"] == target.org]

    def _no_organization(self, send: Send) -> ConfigError:
        doing = "look for organizations"
        reply = send(Request("GET", "/api/v2/orgs"))
        content = json_of(reply, doing)
        with reading(reply, doing):
            names = shown(reply, ", ".join(sorted(str(entry["name"]) for entry in content["orgs"]))) or "none"
        return ConfigError(f"no organization is named; the token sees: {names}", hint=_ORG_HINT)


def _bucket(data: dict[str, Any]) -> Bucket:
    rules = data["retentionRules"] or [{}]
    return Bucket(
        name=str(data["name"]),
        id=str(data["id"]),
        retention=_seconds(rules[0].get("everySeconds", 0)) * _NANOSECONDS,
        shard_duration=_seconds(rules[0].get("shardGroupDurationSeconds", 0)) * _NANOSECONDS,
        description=str(data.get("description", "")),
    )


def _seconds(value: Any) -> int:
    """Return a duration in seconds that fits into 64-bit nanoseconds; raises ValueError for another."""
    seconds = int(value)
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError("no duration")
    return seconds
