"""Replies that an InfluxDB 3 Core 3.10.1 gave, and a server on loopback that answers with them and nothing else.

No such server can be had here. What is in ``recorded/influxdb_3_10_1.json`` it gave literally. Answers about the points
of a test, which no recording can have, are ``composed``: in the form of recorded ones.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl

from loader.servers.base import Reply, Target
from tests.serving import served

_FILE = Path(__file__).parent / "recorded" / "influxdb_3_10_1.json"
TOKEN = "apiv3_for-tests-only"
VERSION = "3.10.1"


@dataclass(frozen=True)
class Exchange:
    """A reply; ``cut`` is one whose chunked body ended without its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    @property
    def reply(self) -> Reply:
        """The same as a dialect reads it."""
        return Reply(self.status, self.headers, self.body, TOKEN)


@cache
def _exchanges() -> Mapping[str, Exchange]:
    content = json.loads(_FILE.read_text())
    return {
        each["name"]: Exchange(each["status"], each["headers"], each["body"].encode(), each.get("cut", False))
        for each in content["exchanges"]
    }


def recorded(name: str) -> Exchange:
    """Return the reply that was recorded as ``name``."""
    return _exchanges()[name]


def composed(*rows: Mapping[str, Any]) -> Exchange:
    """Return an answer to a query, in the form of recorded JSON lines: null values are left out."""
    lines = (json.dumps({key: value for key, value in row.items() if value is not None}) + "\n" for row in rows)
    return Exchange(200, recorded("no rows").headers, "".join(lines).encode())


def composed_parquet(frame: pl.DataFrame) -> Exchange:
    """Return an answer in Parquet; of recorded ones only the columns are known: times of nanoseconds without a zone."""
    file = io.BytesIO()
    frame.with_columns(pl.col("time").cast(pl.Datetime("ns"))).write_parquet(file)
    return Exchange(200, recorded("no rows, Parquet").headers, file.getvalue())


@dataclass(frozen=True)
class Asked:
    """A request that came: ``body`` is inflated, ``sql`` the text of a query, "" for another request."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def sql(self) -> str:
        """The text of a query."""
        return str(json.loads(self.body)["q"]) if self.path == "/api/v3/query_sql" else ""


Answering = Callable[[Asked], Exchange | str]


@dataclass
class RecordedCore:
    """The server: ``answer`` chooses replies, by name those that were recorded; ``asked`` are the requests so far."""

    url: str
    answer: Answering
    asked: list[Asked] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """The database t3 on it."""
        return Target(self.url, "t3", token=TOKEN)

    @property
    def writes(self) -> list[Asked]:
        """The writes that came."""
        return [each for each in self.asked if each.path == "/api/v3/write_lp"]

    @property
    def queries(self) -> list[str]:
        """The SQL that came."""
        return [each.sql for each in self.asked if each.sql]

    def choose(self, asked: Asked) -> Exchange:
        """Return the reply: as recorded to the probe and the looks before a load, unless ``answer`` has another."""
        self.asked.append(asked)
        if asked.headers.get("authorization") not in {f"Bearer {TOKEN}", f"Token {TOKEN}"}:
            return recorded("ping without a token")
        usual = {"/ping": "ping", "/health": "health"}.get(asked.path)
        found = recorded(usual) if usual else self.answer(asked)
        return recorded(found) if isinstance(found, str) else found


@contextmanager
def recorded_core(answer: Answering) -> Iterator[RecordedCore]:
    """Yield a server on loopback that answers with recorded replies."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            exchange = core.choose(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
            self.send_response(exchange.status)
            chunked = False
            for name, value in exchange.headers.items():
                if name == "content-length":
                    value = str(len(exchange.body))  # noqa: PLW2901  (a composed body has a length of its own)
                chunked = chunked or name == "transfer-encoding"
                self.send_header(name, value)
            self.end_headers()
            if chunked and exchange.body:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(exchange.body), exchange.body))
            elif not chunked:
                self.wfile.write(exchange.body)
            if exchange.cut:
                self.close_connection = True
            elif chunked:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_DELETE = do_HEAD = handle_one  # noqa: N815

    with served(Handler) as url:
        core = RecordedCore(url, answer)
        yield core
