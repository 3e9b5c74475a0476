"""Databases of InfluxDB 1 and 3, and the retention policies of 1: DATABASE or DATABASE/POLICY. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from loader.errors import ConfigError

_NANOSECONDS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000}


@dataclass(frozen=True)
class Database:
    """A database and one of its retention policies, "" for its default policy."""

    name: str
    policy: str = ""

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """The parameters of /write and /query that name it."""
        return (("db", self.name), *((("rp", self.policy),) if self.policy else ()))


def database_of(bucket: str) -> Database:
    """Return the database that ``bucket`` names; raises ConfigError for another form. 1.x names hold no slash."""
    name, slash, policy = bucket.partition("/")
    if not name or (slash and not policy) or "/" in policy:
        raise ConfigError(
            f"{bucket!r} is not a database of InfluxDB 1.x", hint="write it DATABASE or DATABASE/RETENTION_POLICY"
        )
    return Database(name, policy)


def read_duration(duration: Any) -> int:
    """Read Go's form of a duration, such as 168h0m0s, in nanoseconds; 0s is infinite."""
    parts = re.findall(r"([0-9]{1,9})([hms])", str(duration))
    return sum(int(number) * _NANOSECONDS[unit] for number, unit in parts)
