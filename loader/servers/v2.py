"""InfluxDB 2.x: buckets, organizations, Flux."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, PartialWrite
from loader.servers import flux
from loader.servers.base import AggregateQuery, Bucket, PointsQuery, Reply, Request, Send, Target
from loader.servers.replies import json_of, message_of, raise_for

_NANOSECONDS = 1_000_000_000


class InfluxDB2:
    """The dialect of InfluxDB 2.x."""

    name = "v2"

    def build_write(self, target: Target, body: bytes, *, gzipped: bool) -> None:
        """Return nothing: the client library's write service speaks to /api/v2/write."""

    def classify_write(self, reply: Reply) -> None:
        """Return for 204. 400: malformed, nothing is stored; 422: the good lines are stored."""
        if reply.status == 204:
            return
        if reply.status in {400, 422}:
            raise PartialWrite(message_of(reply), status=reply.status, rest_stored=reply.status == 422)
        raise_for(reply, "write")

    def find_bucket(self, send: Send, target: Target) -> Bucket | None:
        """Describe the target's bucket. Raises ConfigError for an unknown organization, ServerError otherwise."""
        doing = f"look for bucket {target.bucket!r}"
        params = (("orgID", self.find_organization(send, target)), ("name", target.bucket))
        reply = send(Request("GET", "/api/v2/buckets", params))
        # The organization is known by now, so only the bucket can be missing.
        found = [] if reply.status == 404 else json_of(reply, doing)["buckets"]
        return _bucket(found[0]) if found else None

    def create_bucket(self, send: Send, target: Target, shard_duration: int) -> Bucket:
        """Make the target's bucket, retention infinite."""
        rule = {"type": "expire", "everySeconds": 0}
        if shard_duration:
            rule["shardGroupDurationSeconds"] = shard_duration // _NANOSECONDS
        wanted = {
            "orgID": self.find_organization(send, target),
            "name": target.bucket,
            "retentionRules": [rule],
        }
        request = Request(
            "POST",
            "/api/v2/buckets",
            headers={"Content-Type": "application/json"},
            body=json.dumps(wanted).encode(),
        )
        return _bucket(json_of(send(request), f"create bucket {target.bucket!r}", expected=201))

    def build_aggregate(self, target: Target, query: AggregateQuery) -> Request:
        """Return the Flux request for ``query``."""
        return flux.build_aggregate(target, query)

    def parse_aggregate(self, query: AggregateQuery, reply: Reply) -> pl.DataFrame:
        """Read the annotated CSV of ``build_aggregate``."""
        return flux.parse_aggregate(query, reply)

    def build_fields(self, target: Target, schema: PointSchema, start: int, stop: int) -> Request:
        """Return the Flux request for field keys."""
        return flux.build_fields(target, schema, start, stop)

    def parse_fields(self, reply: Reply) -> list[str]:
        """Read the answer to ``build_fields``."""
        return flux.parse_fields(reply)

    def build_points(self, target: Target, query: PointsQuery) -> Request:
        """Return the Flux request for ``query``."""
        return flux.build_points(target, query)

    def parse_points(self, query: PointsQuery, reply: Reply) -> pl.DataFrame:
        """Read the annotated CSV of ``build_points``."""
        return flux.parse_points(query, reply)

    def find_organization(self, send: Send, target: Target) -> str:
        """Return the organization's id; raises ConfigError when it is unknown or not named."""
        doing = "look for the organization"
        hint = "name it with --org or INFLUX_ORG"
        if not target.org:
            known = json_of(send(Request("GET", "/api/v2/orgs")), doing)["orgs"]
            names = ", ".join(sorted(entry["name"] for entry in known)) or "none"
            raise ConfigError(f"no organization is named; the token sees: {names}", hint=hint)
        reply = send(Request("GET", "/api/v2/orgs", (("org", target.org),)))
        # A token that may see no organization gets an empty list.
        found = [] if reply.status == 404 else json_of(reply, doing)["orgs"]
        if not found:
            raise ConfigError(f"organization {target.org!r} is unknown, or the token may not see it", hint=hint)
        return str(found[0]["id"])


def _bucket(data: dict[str, Any]) -> Bucket:
    rules = data["retentionRules"] or [{}]
    return Bucket(
        name=data["name"],
        id=data["id"],
        retention=int(rules[0].get("everySeconds", 0)) * _NANOSECONDS,
        shard_duration=int(rules[0].get("shardGroupDurationSeconds", 0)) * _NANOSECONDS,
        description=data.get("description", ""),
    )
