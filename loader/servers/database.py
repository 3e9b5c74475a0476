"""Databases of InfluxDB 1.x with their retention policies, written DATABASE or DATABASE/POLICY. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from loader.errors import ConfigError


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
