"""Finds the types in which a server holds the fields of a measurement."""

from __future__ import annotations

from collections.abc import Mapping

from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, Retryable, ServerError
from loader.servers import influxql
from loader.servers.base import Bucket, Dialect, Request, Send, Target
from loader.servers.replies import json_of, reading
from loader.servers.restore import takes_files
from loader.servers.tables import find_columns, has_tables


def find_types(
    send: Send, dialect: Dialect, target: Target, bucket: Bucket, schema: PointSchema
) -> Mapping[str, set[str]] | None:
    """Return all types of each field key, at any time; None where the server does not tell.

    InfluxDB 3 tells its columns, tags among them. Of the others, only InfluxQL can ask this. InfluxDB 2 answers
    InfluxQL about the bucket that a database is mapped to: that must be ``bucket``. Raises Retryable.
    """
    try:
        if has_tables(dialect):
            columns = find_columns(send, target, schema.measurement)
            return {name: {kind} for name, kind in columns.items()}
        if takes_files(dialect):
            if not _is_mapped(send, target, bucket):
                return None
            return influxql.parse_types(send(influxql.build_fields(target, schema, 0, 0)))
        return influxql.parse_types(send(dialect.build_fields(target, schema, 0, 0)))
    except Retryable:
        raise
    except (ConfigError, ServerError):  # also for a measurement that InfluxQL cannot name
        return None


def _is_mapped(send: Send, target: Target, bucket: Bucket) -> bool:
    """Tell whether the database with the bucket's name is mapped to ``bucket`` only."""
    doing = "look for the database of the bucket"
    reply = send(Request("GET", "/api/v2/dbrps", (("org", target.org), ("db", target.bucket))))
    with reading(reply, doing):
        mapped = {entry["bucketID"] for entry in json_of(reply, doing)["content"]}
    return mapped == {bucket.id}
