"""A dataset and a real server that should hold the same points, and ways to make them differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import polars as pl

from loader.dataset.schema import trades_schema
from loader.events import Event
from loader.servers.base import Target
from loader.verification import Difference, VerifyReport, VerifySettings, verify
from tests.points import line, trades, write_dataset


@dataclass
class Case:
    """A dataset of 3 days, 3 symbols and 2 sides, and a server that holds exactly its points."""

    server: Any
    root: Path
    target: Target
    rows: pl.DataFrame

    def write(self, *lines: str) -> None:
        """Write lines of line protocol."""
        params = {"org": self.server.org, "bucket": self.target.bucket, "precision": "ns"}
        post(self.server, "/api/v2/write", params, "\n".join(lines).encode())

    def delete(self, symbol: str, start: int, stop: int) -> None:
        """Delete the points of ``symbol`` with ``start`` <= time < ``stop`` (nanoseconds, whole minutes)."""
        if self.server.kind == "v1":
            query = f"DELETE FROM trades WHERE symbol = '{symbol}' AND time >= {start} AND time < {stop}"
            body = urlencode({"q": query}).encode()
            post(self.server, "/query", {"db": self.target.bucket}, body, "application/x-www-form-urlencoded")
            return
        body = {"start": text_of(start), "stop": text_of(stop), "predicate": f'symbol="{symbol}"'}
        params = {"org": self.server.org, "bucket": self.target.bucket}
        post(self.server, "/api/v2/delete", params, json.dumps(body).encode(), "application/json")

    def verify(self, observe: Callable[[Event], None] = lambda event: None, **settings: Any) -> VerifyReport:
        """Verify the dataset against the server."""
        return verify(VerifySettings(self.root, self.target, **settings), observe)


def agreeing(server: Any, root: Path) -> Case:
    """Return a dataset at ``root`` and a bucket of ``server`` that agree."""
    rows = trades()
    write_dataset(root, trades_schema(), rows)
    target = Target(url=server.url, bucket=server.new_bucket(), org=server.org, token=server.token)
    case = Case(server, root, target, rows)
    case.write(*(line(row) for row in rows.iter_rows(named=True)))
    return case


def name_of(difference: Difference) -> tuple[str, str, str, str]:
    """Return all of a difference but its details."""
    return difference.kind, difference.day, difference.series, difference.field


def text_of(time: int) -> str:
    """Return nanoseconds as RFC 3339."""
    return str(pl.Series([time]).cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%SZ")[0])


def post(server: Any, path: str, params: dict[str, str], body: bytes, kind: str = "text/plain") -> None:
    """Send a request that should succeed."""
    headers = {"Authorization": f"Token {server.token}", "Content-Type": kind}
    request = Request(f"{server.url}{path}?{urlencode(params)}", body, headers)
    with urlopen(request, timeout=30) as reply:
        answer = reply.read()
    assert b'"error"' not in answer
