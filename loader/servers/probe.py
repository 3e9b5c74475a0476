"""Finds out which InfluxDB answers at an address."""

from __future__ import annotations

import json
from dataclasses import dataclass

from loader.errors import ConfigError, Retryable
from loader.servers.base import Dialect, Reply, Request
from loader.servers.replies import message_of
from loader.servers.transport import Connection
from loader.servers.v1 import InfluxDB1
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


def identify(url: str, health: Reply) -> Server:
    """Read the reply to ``GET /health``.

    Raises ConfigError when it is not InfluxDB or one without a dialect here, Retryable when it is not ready.
    """
    hint = "check --host or INFLUX_HOST; known are " + ", ".join(f"InfluxDB {number}.x" for number in dialects())
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
    dialect = dialects().get(version.partition(".")[0])
    if dialect is None:
        raise ConfigError(f"{url}: InfluxDB {version or 'of unknown version'} has no dialect here", hint=hint)
    return Server(version, dialect)


def probe(connection: Connection) -> Server:
    """Ask the server at ``connection`` what it is; raises ServerError or ConfigError."""
    return identify(connection.target.url, connection.send(Request("GET", "/health")))
