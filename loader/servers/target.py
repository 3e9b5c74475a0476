"""Where to load to: flags, then the environment, then the influx CLI's configuration, then defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from loader.errors import ConfigError
from loader.servers.base import Target

DEFAULT_URL = "http://localhost:8086"
DEFAULT_BUCKET = "trades"


@dataclass(frozen=True)
class Wish:
    """What one source says of the target; "" where it says nothing."""

    url: str = ""
    org: str = ""
    bucket: str = ""
    token: str = field(default="", repr=False)


def from_environment(environ: Mapping[str, str]) -> tuple[Wish, Wish]:
    """Return what the influx CLI's variables say, then what the client libraries' do."""
    return (
        Wish(
            environ.get("INFLUX_HOST", ""),
            environ.get("INFLUX_ORG", ""),
            environ.get("INFLUX_BUCKET_NAME", ""),
            environ.get("INFLUX_TOKEN", ""),
        ),
        Wish(
            url=environ.get("INFLUXDB_V2_URL", ""),
            org=environ.get("INFLUXDB_V2_ORG", ""),
            token=environ.get("INFLUXDB_V2_TOKEN", ""),
        ),
    )


def from_configuration(text: str, path: str) -> Wish:
    """Return the active profile of the influx CLI's configuration (TOML, a table a profile).

    Raises ConfigError, which names ``path`` and never quotes the text: it holds tokens.
    """
    try:
        profiles = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"{path}: not TOML", hint="mend it, or set INFLUX_HOST and INFLUX_TOKEN") from None
    for profile in profiles.values():
        if isinstance(profile, dict) and profile.get("active"):
            known = {name: str(profile.get(name, "")) for name in ("url", "org", "token")}
            return Wish(**known)
    return Wish()


def resolve_target(*wishes: Wish) -> Target:
    """Return the target; for each part the first wish that names it wins."""

    def first(name: str, default: str) -> str:
        return next((value for wish in wishes if (value := getattr(wish, name))), default)

    return Target(
        url=first("url", DEFAULT_URL).rstrip("/"),
        bucket=first("bucket", DEFAULT_BUCKET),
        org=first("org", ""),
        token=first("token", ""),
    )
