"""An InfluxDB 3 Core that already runs, named by LOADER_INFLUX3_URL and LOADER_INFLUX3_TOKEN."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from loader.servers.base import Target

NAMED = ("LOADER_INFLUX3_URL", "LOADER_INFLUX3_TOKEN")
HINT = f"to include it: {' and '.join(NAMED)} in the environment"


@dataclass(frozen=True)
class RunningCore:
    """The server, of which tests use databases of their own; it takes five in all."""

    url: str
    version: str
    token: str = field(repr=False)

    @contextmanager
    def database(self, **settings: str) -> Iterator[Target]:
        """Yield a new database with ``settings``, such as a retention_period, which is gone after the block."""
        name = f"loader-test-{uuid.uuid4().hex[:12]}"
        self.call("POST", "/api/v3/configure/database", body={"db": name, **settings})
        try:
            yield Target(self.url, name, token=self.token)
        finally:
            self.call("DELETE", "/api/v3/configure/database", {"db": name, "hard_delete_at": "now"})

    def write(self, database: str, *lines: str) -> None:
        """Write lines of line protocol."""
        params = {"db": database, "precision": "nanosecond", "accept_partial": "false"}
        assert self.call("POST", "/api/v3/write_lp", params, "\n".join(lines)) == b""

    def query(self, database: str, text: str) -> list[dict[str, Any]]:
        """Return the rows of an answer in JSON."""
        question = {"db": database, "q": text, "format": "jsonl"}
        return [json.loads(row) for row in self.call("POST", "/api/v3/query_sql", body=question).splitlines() if row]

    def call(
        self, method: str, path: str, params: dict[str, str] | None = None, body: dict[str, str] | str | None = None
    ) -> bytes:
        """Send an authorised request, and return the body of the reply, which must be a success."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body else None
        kind = "text/plain" if isinstance(body, str) else "application/json"
        address = f"{self.url}{path}?{urlencode(params or {})}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        try:
            with urlopen(Request(address, data, headers, method=method), timeout=60) as reply:
                content: bytes = reply.read()
                return content
        except HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code}: {error.read()!r}") from error


def named_core() -> RunningCore | None:
    """Return the server that the environment names, None for none."""
    url, token = (os.environ.get(name, "") for name in NAMED)
    if not url or not token:
        return None
    server = RunningCore(url.rstrip("/"), "", token)
    return RunningCore(server.url, str(json.loads(server.call("GET", "/ping"))["version"]), token)
