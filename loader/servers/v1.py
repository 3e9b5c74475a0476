"""InfluxDB 1.x: databases with retention policies, InfluxQL.

1.8 has /api/v2/write, where a bucket is a database, or DATABASE/POLICY, and USER:PASSWORD is a token. Earlier versions
have only /write, and no tokens.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import polars as pl

from loader.dataset.instant import DAY
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, PartialWrite, Refused
from loader.servers import candles, influxql
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
from loader.servers.database import database_of, read_duration
from loader.servers.replies import json_of, message_of, raise_for, reading, shown
from loader.servers.writes import build_v2_write, write_headers

_NANOSECONDS = 1_000_000_000
_USUAL_SHARD_DURATION = 7 * DAY
"""The server's default for infinite retention."""


class InfluxDB1:
    """The dialect of InfluxDB 1.8."""

    name = "v1"
    write_rules = WriteRules()

    def build_write(self, target: Target, body: bytes, *, gzipped: bool) -> Request:
        """Return the request to /api/v2/write."""
        return build_v2_write(target, body, gzipped=gzipped)

    def classify_write(self, reply: Reply) -> None:
        """Return for 204, else raise. 400: a line is malformed or of the wrong type; the good lines are stored."""
        if reply.status == 204:
            return
        if reply.status == 400:
            raise PartialWrite(message_of(reply), status=reply.status, rest_stored=True)
        raise_for(reply, "write")

    def find_bucket(self, send: Send, target: Target) -> Bucket | None:
        """Describe the database with its policy, or the default one; None when there is no such database or policy.

        A user who may only write cannot list policies: then only the name is set. Raises ConfigError for an invalid
        name, and for a database without a default policy.
        """
        database = database_of(target.bucket)
        if [database.name] not in _query(send, "SHOW DATABASES", "look for the database"):
            return None
        statement = f"SHOW RETENTION POLICIES ON {_quoted(database.name)}"
        try:
            # name, duration, shardGroupDuration, replicaN, default
            policies = _query(send, statement, "look for retention policies", width=5)
        except Refused as error:
            if error.status == 403:
                return Bucket(target.bucket)
            raise
        found = [row for row in policies if (row[0] == database.policy if database.policy else row[4])]
        if not found and not database.policy:
            raise ConfigError(
                f"database {database.name!r} has no default retention policy",
                hint=f"name one of its policies: --bucket {database.name}/POLICY",
            )
        return Bucket(target.bucket, "", read_duration(found[0][1]), read_duration(found[0][2])) if found else None

    def create_bucket(self, send: Send, target: Target, shard_duration: int) -> Bucket:
        """Make the database, or the policy in an existing database, with infinite retention."""
        database = database_of(target.bucket)
        shards = f" SHARD DURATION {shard_duration // _NANOSECONDS}s" if shard_duration else ""
        exists = database.policy and [database.name] in _query(send, "SHOW DATABASES", "look for the database")
        if exists:
            statement = (
                f"CREATE RETENTION POLICY {_quoted(database.policy)} ON {_quoted(database.name)}"
                f" DURATION INF REPLICATION 1{shards}"
            )
            _query(send, statement, f"create retention policy {target.bucket!r}")
        else:
            policy = _quoted(database.policy or "autogen")
            statement = f"CREATE DATABASE {_quoted(database.name)} WITH DURATION INF{shards} NAME {policy}"
            _query(send, statement, f"create database {target.bucket!r}")
        return Bucket(target.bucket, shard_duration=shard_duration or _USUAL_SHARD_DURATION)

    def is_administrator(self, send: Send, target: Target) -> bool:
        """Tell whether the user may make databases, as everybody may without authentication; raises ServerError."""
        try:
            _query(send, "SHOW USERS", "look whether the user is an administrator")
        except Refused as error:
            if error.status in {401, 403}:
                return False
            raise
        return True

    def list_buckets(self, send: Send, target: Target, prefix: str) -> list[Bucket]:
        """Describe the databases whose names begin with ``prefix``, each by its default policy."""
        found = []
        for name, *_ in _query(send, "SHOW DATABASES", "list the databases", width=1):
            if str(name).startswith(prefix):
                statement = f"SHOW RETENTION POLICIES ON {_quoted(str(name))}"
                policies = _query(send, statement, "list retention policies", width=5)
                usual = next((str(row[0]) for row in policies if row[4]), "")
                found.append(Bucket(str(name), description=usual))
        return found

    def remove_bucket(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Remove the database of ``bucket`` with all its policies; one that is not there is no error."""
        name = database_of(bucket.name).name
        _query(send, f"DROP DATABASE {_quoted(name)}", f"remove database {name!r}")

    def build_aggregate(self, target: Target, query: AggregateQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return influxql.build_aggregate(target, query)

    def parse_aggregate(self, query: AggregateQuery, reply: Reply) -> pl.DataFrame:
        """Read the JSON of ``build_aggregate``."""
        with reading(reply, "query"):
            return influxql.parse_aggregate(query, reply)

    def build_fields(self, target: Target, schema: PointSchema, start: int, stop: int) -> Request:
        """Return the InfluxQL request for field keys."""
        return influxql.build_fields(target, schema, start, stop)

    def parse_fields(self, reply: Reply) -> list[str]:
        """Read the answer to ``build_fields``."""
        with reading(reply, "query"):
            return influxql.parse_fields(reply)

    def build_points(self, target: Target, query: PointsQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return influxql.build_points(target, query)

    def parse_points(self, query: PointsQuery, reply: Reply) -> pl.DataFrame:
        """Read the JSON of ``build_points``."""
        with reading(reply, "query"):
            return influxql.parse_points(query, reply)

    def check_influxql(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Return: a bucket is a database."""

    def build_candles(self, target: Target, query: CandleQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return candles.build_candles(target, query)

    def parse_candles(self, query: CandleQuery, reply: Reply) -> pl.DataFrame:
        """Read the JSON of ``build_candles``."""
        with reading(reply, "query"):
            return candles.parse_candles(query, reply)


class EarlyInfluxDB1(InfluxDB1):
    """The dialect of InfluxDB before 1.8."""

    def build_write(self, target: Target, body: bytes, *, gzipped: bool) -> Request:
        """Return the request to /write."""
        params = (*database_of(target.bucket).params, ("precision", "ns"))
        headers = write_headers(gzipped=gzipped)
        return _authorised(Request("POST", "/write", params, headers, body, ReplyKind.WRITE), target)

    def find_bucket(self, send: Send, target: Target) -> Bucket | None:
        """Describe the database and policy."""
        return super().find_bucket(lambda request: send(_authorised(request, target)), target)

    def create_bucket(self, send: Send, target: Target, shard_duration: int) -> Bucket:
        """Make the database or policy with infinite retention."""
        return super().create_bucket(lambda request: send(_authorised(request, target)), target, shard_duration)

    def is_administrator(self, send: Send, target: Target) -> bool:
        """Tell whether the user may make databases."""
        return super().is_administrator(lambda request: send(_authorised(request, target)), target)

    def list_buckets(self, send: Send, target: Target, prefix: str) -> list[Bucket]:
        """Describe databases by their default policies."""
        return super().list_buckets(lambda request: send(_authorised(request, target)), target, prefix)

    def remove_bucket(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Remove a database."""
        super().remove_bucket(lambda request: send(_authorised(request, target)), target, bucket)

    def build_aggregate(self, target: Target, query: AggregateQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return _authorised(super().build_aggregate(target, query), target)

    def build_fields(self, target: Target, schema: PointSchema, start: int, stop: int) -> Request:
        """Return the InfluxQL request for field keys."""
        return _authorised(super().build_fields(target, schema, start, stop), target)

    def build_points(self, target: Target, query: PointsQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return _authorised(super().build_points(target, query), target)

    def build_candles(self, target: Target, query: CandleQuery) -> Request:
        """Return the InfluxQL request for ``query``."""
        return _authorised(super().build_candles(target, query), target)


def _authorised(request: Request, target: Target) -> Request:
    """Return ``request`` with the token, USER:PASSWORD, in the form of RFC 7617."""
    if ":" not in target.token:
        return request
    basic = b64encode(target.token.encode()).decode()
    return replace(request, headers={**request.headers, "Authorization": f"Basic {basic}"})


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _query(send: Send, statement: str, doing: str, width: int = 0) -> list[list[Any]]:
    """Return the rows of the only series of a statement, each of at least ``width`` cells; raises ServerError."""
    reply = send(Request("POST", "/query", (("q", statement),)))
    content = json_of(reply, doing)
    with reading(reply, doing):
        result = content["results"][0]
        if "error" in result:
            raise Refused(f"{doing}: {shown(reply, str(result['error']))}", status=reply.status)
        series = result.get("series", [{}])
        rows = [[*row] for row in series[0].get("values", [])]
        if any(len(row) < width for row in rows):
            raise ValueError("a row is too short")
        return rows
