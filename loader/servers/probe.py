"""Finds out which InfluxDB answers at an address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loader.errors import ConfigError, Retryable
from loader.events import Notice
from loader.printable import printable
from loader.servers.address import is_loopback
from loader.servers.base import Dialect, Reply, Request, Target
from loader.servers.replies import (
    answer_of,
    decode_json,
    message_of,
    raise_for,
    raise_if_busy,
    redirect_hint,
    retry_after,
    shown,
)
from loader.servers.transport import Connection
from loader.servers.v1 import EarlyInfluxDB1, InfluxDB1
from loader.servers.v2 import InfluxDB2
from loader.servers.v3 import InfluxDB3

_LONGEST_VERSION = 50
_CLUSTER = "cluster-uuid"
"""The header that InfluxDB 3 adds to each reply."""


@dataclass(frozen=True)
class Server:
    """The InfluxDB at an address: its version, and its dialect."""

    version: str
    dialect: Dialect

    @property
    def name(self) -> str:
        """Name and version for people, such as "InfluxDB 2.9.1"."""
        return f"InfluxDB {self.version}"


def dialects() -> dict[str, Dialect]:
    """Return the known dialects by the major version of their servers."""
    return {"1": InfluxDB1(), "2": InfluxDB2(), "3": InfluxDB3()}


def resolve(url: str, version: str) -> Server:
    """Return the server of ``version``; raises ConfigError for a version without a dialect here."""
    version = printable(version.removeprefix("v"), _LONGEST_VERSION)
    dialect = dialects().get(version.partition(".")[0])
    if dialect is None:
        raise ConfigError(f"{url}: InfluxDB {version or 'of unknown version'} has no dialect here", hint=_hint())
    early = re.match(r"1\.[0-7]\b", version)
    return Server(version, EarlyInfluxDB1() if early else dialect)


def identify(url: str, health: Reply) -> Server:
    """Read the reply to ``GET /health``.

    Raises ConfigError when it is not InfluxDB, or a version without a dialect here, Retryable when it is not ready.
    """
    try:
        data = decode_json(health)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or data.get("name") != "influxdb":
        raise_if_busy(health, f"{url}: GET /health {answer_of(health)}")
        raise _no_influxdb(url, "/health", health)
    if data.get("status") != "pass":
        words = f"{url}: the server is not healthy: {message_of(health)}"
        raise Retryable(words, status=health.status, retry_after=retry_after(health))
    return resolve(url, shown(health, str(data.get("version", ""))))


def identify_by_ping(url: str, ping: Reply) -> Server:
    """Read the reply to ``GET /ping``, for versions whose /health tells none; raises as ``identify`` does, and Refused.

    Versions before 1.8 have no /health. Of InfluxDB 3, each reply has a cluster-uuid; without a valid token it tells
    nothing else, not even its version.
    """
    if ping.status in {401, 403} and _CLUSTER in ping.headers:
        raise_for(ping, f"{url}: InfluxDB 3 tells its version only to a valid token: GET /ping")
    version = ping.headers.get("x-influxdb-version", "")
    if ping.status not in {200, 204} or not version:
        raise_if_busy(ping, f"{url}: GET /ping {answer_of(ping)}")
        raise _no_influxdb(url, "/ping", ping)
    return resolve(url, shown(ping, version))


def probe(connection: Connection) -> Server:
    """Ask the server of ``connection`` what it is; raises ServerError or ConfigError, Retryable when it is busy."""
    url = connection.target.url
    health = connection.send(Request("GET", "/health"))
    if health.status == 404 or _CLUSTER in health.headers or health.body == b"OK":
        return identify_by_ping(url, connection.send(Request("GET", "/ping")))
    return identify(url, health)


def introduction(target: Target) -> list[Notice]:
    """Return the notices to show before anything is sent to ``target``: where it goes, and what is unsafe about it."""
    org = f" of organization {target.org!r}" if target.org else ""
    way = f", through the proxy {target.proxy.url}" if target.proxy else ""
    notices = [Notice(f"server {target.url}, bucket {target.bucket!r}{org}{way}")]
    if target.withheld:
        notices.append(Notice(target.withheld))
    if target.token and target.url.lower().startswith("http://") and not is_loopback(target.url):
        words = "the token goes to another machine over http, where others can read it: use https:// if you can"
        notices.append(Notice(words, warning=True))
    return notices


def _no_influxdb(url: str, path: str, reply: Reply) -> ConfigError:
    return ConfigError(
        f"{url}: this is not an InfluxDB (GET {path} {answer_of(reply)})", hint=redirect_hint(reply) or _hint()
    )


def _hint() -> str:
    return "check --host or INFLUX_HOST; known are " + ", ".join(f"InfluxDB {number}.x" for number in dialects())
