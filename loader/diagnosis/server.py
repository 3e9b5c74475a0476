"""Looks at the server: is it there, which is it, does its clock agree, and what may the token do.

Nothing is written to the server: what a token may do is found out by a write without a body, and by questions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

from loader.dataset.manifest import Manifest
from loader.dataset.schema import trades_schema
from loader.diagnosis.findings import Finding, Level, failure, looked_at, ok, problem, warning
from loader.errors import ConfigError, LoaderError, Refused
from loader.loading.write_path.bucket import check_retention
from loader.servers.address import is_loopback
from loader.servers.base import Bucket, Request, Target
from loader.servers.probe import Server, probe
from loader.servers.replies import message_of
from loader.servers.restore import is_operator, takes_files
from loader.servers.tables import has_tables
from loader.servers.transport import Connection
from loader.servers.v1 import InfluxDB1
from loader.servers.v3 import EMPTY_WRITE

_SKEW_SECONDS = 5.0
_NOTHING = "nothing can be loaded or verified"
_OPERATOR = "the token of the server's setup, or one of `influx auth create --operator`"


def look_at_server(target: Target, timeout_seconds: float, manifest: Manifest | None = None) -> list[Finding]:
    """Look at the server and bucket of ``target``, into which the dataset of ``manifest`` is to be loaded.

    Raises ConfigError for an invalid timeout or CA file.
    """
    with Connection(target, timeout_seconds) as connection:
        return looked_at("server", _NOTHING, lambda: _look(connection, manifest))


def _look(connection: Connection, manifest: Manifest | None) -> Iterator[Finding]:
    if connection.target.proxy:
        yield ok("proxy", f"the server is asked through {connection.target.proxy.url}, which the environment names")
    server = probe(connection)
    yield ok("server", f"{server.name} at {connection.target.url}, healthy")
    yield from _look_at_address(connection.target)
    yield from _look_at_clock(connection)
    yield from looked_at("bucket", _NOTHING, lambda: _look_at_bucket(connection, server, manifest))


def _look_at_address(target: Target) -> Iterator[Finding]:
    """Say which token is not sent to the address, and whether the one that is can be read on its way."""
    if target.withheld:
        effect = "requests have no token, and the server may refuse them"
        yield warning("token", target.withheld, effect, "name server and token in one place")
    if target.token and target.url.lower().startswith("http://") and not is_loopback(target.url):
        text = "the token goes to another machine over http"
        yield warning("token", text, "others on the way can read it", "use https:// if the server speaks it")
    if not target.tls.verify:
        text, effect = "the server's certificate is not verified", "others on the way can read the token"
        yield warning("certificate", text, effect, "name its authority with --ca-file")


def _look_at_clock(connection: Connection) -> Iterator[Finding]:
    """Compare this machine's clock with the Date of a reply, which has whole seconds."""
    before = time.time()
    reply = connection.send(Request("GET", "/ping"))
    after = time.time()
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError):
        yield ok("clock", "the server does not tell its time")
        return
    # It is at least the one, and at most the other, that the server is ahead.
    least, most = theirs - after, theirs + 1 - before
    skew = max(least, 0.0) or min(most, 0.0)
    if abs(skew) <= _SKEW_SECONDS:
        yield ok("clock", "the server's agrees with this machine's")
    else:
        apart = timedelta(seconds=round(abs(skew)))
        yield warning(
            "clock",
            f"the server's is {apart} {'ahead of' if skew > 0 else 'behind'} this machine's",
            "certificates may count as expired, and a bucket with retention may drop points that are not yet too old",
            "let both machines take their time from the network (NTP)",
        )


def _look_at_bucket(connection: Connection, server: Server, manifest: Manifest | None) -> Iterator[Finding]:
    target = connection.target
    operator = takes_files(server.dialect) and is_operator(connection.send)
    bucket = server.dialect.find_bucket(connection.send, target)
    if bucket is None:
        yield _missing(connection, server, operator)
    else:
        yield from _look_at_retention(server, bucket, manifest)
        yield from _look_at_writing(connection, server)
        yield from _look_at_reading(connection, server)
    if operator:
        yield ok("restore", "the token is an operator's: --via restore and verify --values can be used")
    elif takes_files(server.dialect):
        text = "the token is no operator's: --via restore and verify --values cannot be used"
        yield Finding("restore", Level.OK, text, hint=f"for these, use {_OPERATOR}")
    else:
        yield ok("restore", f"{server.name} takes no files: --via write is the way")


def _missing(connection: Connection, server: Server, operator: bool) -> Finding:
    """Return the finding for a bucket that is missing: a load makes it if the token may do that."""
    target, dialect = connection.target, server.dialect
    text = f"{target.bucket!r} is missing; a load makes it"
    if (
        operator
        or has_tables(dialect)
        or (isinstance(dialect, InfluxDB1) and dialect.is_administrator(connection.send, target))
    ):
        return ok("bucket", text)
    if isinstance(dialect, InfluxDB1):
        effect, other = "a load fails: the user may not make databases", "the name and password of an administrator"
    else:
        effect, other = "a load fails, unless the token may make buckets", _OPERATOR
    return warning("bucket", text, effect, f"make it first, name another one (--bucket), or use {other}")


def _look_at_retention(server: Server, bucket: Bucket, manifest: Manifest | None) -> Iterator[Finding]:
    try:
        if manifest and manifest.partitions:
            check_retention(bucket, manifest)
    except ConfigError as error:
        yield failure("bucket", error, "loader load refuses to load it")
        return
    kept = f"{timedelta(seconds=bucket.retention // 10**9)} are kept" if bucket.retention else ""
    known = bucket.id or bucket.shard_duration or has_tables(server.dialect)
    unknown = "" if known else "the token may not see how long points are kept"
    yield ok("bucket", f"{bucket.name!r} is there; {kept or unknown or 'points are kept for ever'}")


def _look_at_writing(connection: Connection, server: Server) -> Iterator[Finding]:
    """Write a body of no bytes: a server that takes points refuses it only for lack of permission.

    InfluxDB 3 says that it was empty, which it does only to a valid token.
    """
    try:
        reply = connection.send(server.dialect.build_write(connection.target, b"", gzipped=False))
        if not (has_tables(server.dialect) and EMPTY_WRITE in message_of(reply)):
            server.dialect.classify_write(reply)
    except Refused as error:
        text = f"the token may not write the bucket ({error.message})"
        yield problem("write", text, "loader load fails", "use a token that may write the bucket")
    except LoaderError as error:
        yield failure("write", error, "loader load fails")
    else:
        yield ok("write", "the token may write the bucket")


def _look_at_reading(connection: Connection, server: Server) -> Iterator[Finding]:
    """Ask for what nobody has: the answer is empty, or that the token may not ask."""
    try:
        request = server.dialect.build_fields(connection.target, trades_schema(), 0, 1)
        server.dialect.parse_fields(connection.send(request))
    except Refused as error:
        text = f"the token may not read the bucket ({error.message})"
        yield warning("read", text, "loader verify fails", "verify with a token that may read the bucket")
    except LoaderError as error:
        yield failure("read", error, "loader verify fails")
    else:
        yield ok("read", "the token may read the bucket")
