"""InfluxDB 3 Core: databases of tables, SQL.

What is said of its replies was seen of 3.10.1. Not seen, but by its reference: the type text/plain of a body, and words
of versions before it. A write waits until the server has written its
log to disk, once a second, whatever its size: a load needs several connections and large bodies. ``no_sync`` would
answer sooner, and lose acknowledged lines when the server is killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from loader.dataset.schema import PointSchema
from loader.encoding.escaping import CORE_FORM
from loader.errors import ConfigError, PartialWrite, Refused
from loader.servers import sql
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
    WindowQuery,
    WriteRules,
)
from loader.servers.database import read_duration
from loader.servers.replies import decode_json, json_of, message_of, raise_for, reading, shown

MOST_BODY_BYTES = 10_485_760
"""Most bytes of a body, before compression."""
EMPTY_WRITE = "incoming write was empty"
"""The answer, with status 400, to a body without lines from somebody who may write."""
_DATABASES = "/api/v3/configure/database"
_PARTIAL = "partial write of line protocol occurred"
_POLICY = "autogen"
_INTERNAL = "_internal"


class InfluxDB3:
    """The dialect of InfluxDB 3 Core."""

    name = "v3"
    # Six bodies just under the limit are more than a server takes in a second, and a slow one takes them in a minute.
    write_rules = WriteRules(CORE_FORM, 250_000, MOST_BODY_BYTES - 1_024, 6, first_alone=False)

    def build_write(self, target: Target, body: bytes, *, gzipped: bool) -> Request:
        """Return the request to /api/v3/write_lp; without a precision, the server would guess one for each line."""
        params = (("db", target.bucket), ("precision", "nanosecond"), ("accept_partial", "true"))
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Encoding": "gzip" if gzipped else "identity",
            **sql.authorisation(target),
        }
        return Request("POST", "/api/v3/write_lp", params, headers, body, ReplyKind.LINES)

    def classify_write(self, reply: Reply) -> None:
        """Return for 204, else raise. 400 and 422 name the refused lines; the others are stored."""
        if reply.status == 204:
            return
        if reply.status in {400, 422}:
            raise_if_partial(reply)
        raise_for(reply, "write")

    def find_bucket(self, send: Send, target: Target) -> Bucket | None:
        """Describe the database, None when there is none."""
        doing = "look for the database"
        reply = send(_authorised(Request("GET", _DATABASES, (("format", "json"),)), target))
        content = json_of(reply, doing)
        with reading(reply, doing):
            if target.bucket not in [str(entry["iox::database"]) for entry in content]:
                return None
        return Bucket(target.bucket, retention=self._retention(send, target))

    def _retention(self, send: Send, target: Target) -> int:
        """Return how long the database keeps points, in nanoseconds, 0 for ever; older ones get 204 and are gone."""
        doing = "look for the retention"
        params = (("q", "SHOW RETENTION POLICIES"), ("format", "json"))
        reply = send(_authorised(Request("GET", "/api/v3/query_influxql", params), target))
        content = json_of(reply, doing)
        database, _, policy = target.bucket.partition("/")
        with reading(reply, doing):
            for entry in content:
                if (entry["iox::database"], entry["name"]) == (database, policy or _POLICY):
                    return read_duration(entry["duration"])
        return 0

    def create_bucket(self, send: Send, target: Target, shard_duration: int) -> Bucket:
        """Make the database, which keeps points for ever; raises ConfigError for ``shard_duration``."""
        if shard_duration:
            raise ConfigError("InfluxDB 3 has no shards", hint="leave out --shard-duration")
        doing = f"create database {target.bucket!r}"
        body = json.dumps({"db": target.bucket}).encode()
        request = Request("POST", _DATABASES, headers={"Content-Type": "application/json"}, body=body)
        reply = send(_authorised(request, target))
        if reply.status == 422:
            raise Refused(
                f"{doing}: the server answered 422: {message_of(reply)}",
                status=422,
                hint="InfluxDB 3 Core takes 5 databases: name one that is there (--bucket), or remove one",
            )
        # 409: it is there by now.
        if reply.status not in {200, 409}:
            raise_for(reply, doing)
        return Bucket(target.bucket)

    def list_buckets(self, send: Send, target: Target, prefix: str) -> list[Bucket]:
        """Describe the databases whose names begin with ``prefix``."""
        doing = "list the databases"
        reply = send(_authorised(Request("GET", _DATABASES, (("format", "json"),)), target))
        content = json_of(reply, doing)
        with reading(reply, doing):
            names = [str(entry["iox::database"]) for entry in content]
        return [Bucket(name) for name in names if name.startswith(prefix) and name != _INTERNAL]

    def remove_bucket(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Remove the database of ``bucket``; the server keeps it for three days under another name."""
        reply = send(_authorised(Request("DELETE", _DATABASES, (("db", bucket.name),)), target))
        if reply.status not in {200, 404}:
            raise_for(reply, f"remove database {bucket.name!r}")

    def build_aggregate(self, target: Target, query: AggregateQuery) -> Request:
        """Return the SQL request for ``query``."""
        return sql.build_aggregate(target, query)

    def parse_aggregate(self, query: AggregateQuery, reply: Reply) -> pl.DataFrame:
        """Read the JSON lines of ``build_aggregate``."""
        with reading(reply, "query"):
            return sql.parse_aggregate(query, reply)

    def build_fields(self, target: Target, schema: PointSchema, start: int, stop: int) -> Request:
        """Return the SQL request for field keys, of all times."""
        return sql.build_query(
            target,
            "SELECT column_name FROM information_schema.columns"
            f" WHERE table_schema = 'iox' AND table_name = {sql.literal(schema.measurement)}"
            " AND data_type <> 'Dictionary(Int32, Utf8)' AND column_name <> 'time'",
        )

    def parse_fields(self, reply: Reply) -> list[str]:
        """Read the answer to ``build_fields``."""
        with reading(reply, "query"):
            return [str(row["column_name"]) for row in sql.read_rows(reply)]

    def build_points(self, target: Target, query: PointsQuery) -> Request:
        """Return the SQL request for ``query``."""
        return sql.build_points(target, query)

    def parse_points(self, query: PointsQuery, reply: Reply) -> pl.DataFrame:
        """Read the Parquet of ``build_points``."""
        with reading(reply, "query"):
            return sql.parse_points(query, reply)

    def build_window(self, target: Target, query: WindowQuery) -> Request:
        """Return the SQL request for ``query``."""
        return sql.build_window(target, query)

    def parse_window(self, query: WindowQuery, reply: Reply) -> pl.DataFrame:
        """Read the Parquet of ``build_window``."""
        with reading(reply, "query"):
            return sql.parse_window(query, reply)

    def check_influxql(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Raise ConfigError: candles are not compared on InfluxDB 3."""
        raise _no_candles()

    def build_candles(self, target: Target, query: CandleQuery) -> Request:
        """Raise ConfigError, as ``check_influxql`` does before."""
        raise _no_candles()

    def parse_candles(self, query: CandleQuery, reply: Reply) -> pl.DataFrame:
        """Raise ConfigError, as ``check_influxql`` does before."""
        raise _no_candles()


def _no_candles() -> ConfigError:
    return ConfigError(
        "candles are not compared on InfluxDB 3, which reads a limited number of files for a query",
        hint="leave out --candles: counts, sums and extremes of the points are compared then",
    )


def raise_if_partial(reply: Reply) -> None:
    """Raise PartialWrite when ``reply`` says which lines of a body are refused."""
    try:
        content = decode_json(reply)
    except (ValueError, RecursionError):
        # A reply that names very many lines is cut: the body is halved then.
        if _PARTIAL.encode() in reply.body[:200]:
            raise PartialWrite(_PARTIAL, status=reply.status, rest_stored=True) from None
        return
    if not isinstance(content, dict) or "data" not in content:
        return
    refused = content["data"]
    with reading(reply, "write"):
        if isinstance(refused, dict):
            words = shown(reply, str(refused["error_message"]))
            raise PartialWrite(words, status=reply.status, rest_stored=False)
        lines = _numbered(reply, {int(entry["line_number"]): str(entry["error_message"]) for entry in refused})
        words = next(iter(lines.values()), _PARTIAL)
    raise PartialWrite(words, status=reply.status, rest_stored=True, lines=lines)


def _numbered(reply: Reply, refused: Mapping[int, str]) -> dict[int, str]:
    """Return the words on refused lines by number from 0, where the server counts from 1.

    Its ``original_line`` is cut, and may be another line.
    """
    told: dict[str, str] = {}
    return {number - 1: told.setdefault(words, shown(reply, words)) for number, words in refused.items()}


def _authorised(request: Request, target: Target) -> Request:
    return replace(request, headers={**request.headers, **sql.authorisation(target)})
