"""Builds the request to /api/v2/write, which InfluxDB 2.x and 1.8 have. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from loader.servers.base import ReplyKind, Request, Target


def build_v2_write(target: Target, body: bytes, *, gzipped: bool) -> Request:
    """Return the request that writes ``body``, line protocol with timestamps in nanoseconds, to the named bucket."""
    params = (("org", target.org), ("bucket", target.bucket), ("precision", "ns"))
    return Request("POST", "/api/v2/write", params, write_headers(gzipped=gzipped), body, ReplyKind.WRITE)


def write_headers(*, gzipped: bool) -> Mapping[str, str]:
    """Return the headers of a body of line protocol."""
    return {
        "Accept": "application/json",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Encoding": "gzip" if gzipped else "identity",
    }
