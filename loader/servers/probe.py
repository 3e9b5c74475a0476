"""Finds out which InfluxDB answers at an address."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from loader.errors import ConfigError, Retryable
from loader.servers.base import Dialect, Reply, Request
from loader.servers.replies import message_of
from loader.servers.transport import Connection
from loader.servers.v1 import EarlyInfluxDB1, InfluxDB1
from loader.servers.v2 import InfluxDB2


@dataclass(frozen=True)
class Server:
    """What answers at an address: its version, and the dialect that it understands."""

    version: str
    dialect: Dialect

    @property
    def name(self) -> str:
        """Name and version for people, such as "InfluxDB 2.9.1"."""
        return f"InfluxDB {self.version}"


def dialects() -> dict[str, Dialect]:
    """Return the known dialects by the first number of the version that they serve."""
    return {"1": InfluxDB1(), "2": InfluxDB2()}


def resolve(url: str, version: str) -> Server:
    """Return the server of ``version``; raises ConfigError for one without a dialect here."""
    dialect = dialects().get(version.partition(".")[0])
    if dialect is None:
        raise ConfigError(f"{url}: InfluxDB {version or 'of unknown version'} has no dialect here", hint=_hint())
    early = re.match(r"1\.[0-7]\b", version)
    return Server(version, EarlyInfluxDB1() if early else dialect)


def identify(url: str, health: Reply) -> Server:
    """Read the reply to ``GET /health``.

    Raises ConfigError when it is not InfluxDB or one without a dialect here, Retryable when it is not ready.
    """
    hint = _hint()
    if "cluster-uuid" in health.headers:
        raise ConfigError(f"{url}: InfluxDB 3 has no dialect here", hint=hint)
    try:
        data = json.loads(health.body)
        version = str(data.get("version", "")).removeprefix("v")
        healthy = data.get("status") == "pass"
        known = data.get("name") == "influxdb"
    except (ValueError, AttributeError):
        known = False
    if not known:
        raise ConfigError(
            f"{url}: this is not an InfluxDB (GET /health answered {health.status}: {message_of(health)})",
            hint=hint,
        )
    if not healthy:
        raise Retryable(f"{url}: the server is not healthy: {message_of(health)}", status=health.status)
    return resolve(url, version)


def identify_early(url: str, ping: Reply) -> Server:
    """Read the reply to ``GET /ping``, all that versions before 1.8 have; raises ConfigError as ``identify`` does."""
    version = ping.headers.get("x-influxdb-version", "")
    if ping.status not in {200, 204} or not version:
        raise ConfigError(
            f"{url}: this is not an InfluxDB (GET /ping answered {ping.status}: {message_of(ping)})", hint=_hint()
        )
    return resolve(url, version.removeprefix("v"))


def probe(connection: Connection) -> Server:
    """Ask the server at ``connection`` what it is; raises ServerError or ConfigError."""
    url = connection.target.url
    health = connection.send(Request("GET", "/health"))
    if health.status == 404 and "cluster-uuid" not in health.headers:
        return identify_early(url, connection.send(Request("GET", "/ping")))
    return identify(url, health)


def _hint() -> str:
    return "check --host or INFLUX_HOST; known are " + ", ".join(f"InfluxDB {number}.x" for number in dialects())
