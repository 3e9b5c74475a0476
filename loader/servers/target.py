"""Finds the target of a load: from flags, then the environment, then the influx CLI's configuration, then defaults.

Each part (address, organization, bucket, token) comes from the first source that names it, but a token is only sent
where it belongs:

- to an address that its own source names, or that flags name on this command line;
- from flags, to any address;
- from the environment without an address, to one that another variable names, or to the default on this machine.

A token of a later source than the address, for another server, is not sent, and a notice says so. A token in the
environment when only the profile names an address is an error: it is unclear which of the two tokens is meant.

A dataset's ledger knows where its last load went, but may come from somebody else. So it never determines the address:
its organization and bucket are used if the sources above resolve to the same server; otherwise ``--host`` is required.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from loader.errors import ConfigError
from loader.servers.address import check_url, redacted, same_server
from loader.servers.base import Target
from loader.servers.credentials import check_name, check_token, stripped
from loader.servers.proxy import find_proxy
from loader.servers.tls import Tls

DEFAULT_URL = "http://localhost:8086"
DEFAULT_BUCKET = "trades"


class Place(IntEnum):
    """The kinds of sources, the most explicit first."""

    FLAGS = 0
    ENVIRONMENT = 1
    PROFILE = 2


@dataclass(frozen=True)
class TargetOptions:
    """The parts of the target that one source names, "" for others. ``names`` has the source's names of the parts."""

    url: str = ""
    org: str = ""
    bucket: str = ""
    token: str = field(default="", repr=False)
    place: Place = Place.FLAGS
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, part: str) -> str:
        """Return the source's name of a part, such as INFLUX_HOST for the address."""
        return self.names.get(part, f"--{'host' if part == 'url' else part}")


def from_environment(environ: Mapping[str, str]) -> tuple[TargetOptions, TargetOptions]:
    """Return the options from the variables of the influx CLI, and those from the variables of the client libraries.

    Blanks, line ends and byte order marks around values are removed: .env files of Windows have them.
    """
    families = (
        {"url": "INFLUX_HOST", "org": "INFLUX_ORG", "bucket": "INFLUX_BUCKET_NAME", "token": "INFLUX_TOKEN"},
        {"url": "INFLUXDB_V2_URL", "org": "INFLUXDB_V2_ORG", "token": "INFLUXDB_V2_TOKEN"},
    )
    first, second = (
        TargetOptions(
            **{part: stripped(environ.get(variable, "")) for part, variable in names.items()},
            place=Place.ENVIRONMENT,
            names=names,
        )
        for names in families
    )
    return first, second


def from_configuration(text: str, path: str) -> TargetOptions:
    """Return the active profile of the influx CLI's configuration (TOML, one table for each profile).

    Raises ConfigError, which names ``path`` and never quotes the text, because it contains tokens.
    """
    try:
        profiles = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ConfigError(f"{path}: not TOML", hint="mend it, or set INFLUX_HOST and INFLUX_TOKEN") from None
    for title, profile in profiles.items():
        if isinstance(profile, dict) and profile.get("active"):
            known = {name: stripped(str(profile.get(name, ""))) for name in ("url", "org", "token")}
            names = {part: f"the {part} of profile {title!r} in {path}" for part in known}
            return TargetOptions(**known, place=Place.PROFILE, names=names)
    return TargetOptions(place=Place.PROFILE)


def resolve_target(
    *candidates: TargetOptions, tls: Tls | None = None, environ: Mapping[str, str] | None = None
) -> Target:
    """Return the target; each part is from the first candidate that names it, but a token only if it belongs there.

    Its proxy is the one that ``environ`` names for its address.

    Raises ConfigError for invalid parts, which names the source and quotes neither address nor token.
    """

    def first(part: str, default: str) -> str:
        candidate = next((candidate for candidate in candidates if getattr(candidate, part)), None)
        return check_name(getattr(candidate, part), candidate.name(part)) if candidate else default

    address = next((candidate for candidate in candidates if candidate.url), None)
    url = check_url(address.url, address.name("url")) if address else DEFAULT_URL
    token, withheld = _choose_token(candidates, address)
    proxy = find_proxy(url, environ or {})
    return Target(url, first("bucket", DEFAULT_BUCKET), first("org", ""), token, tls or Tls(), proxy, withheld)


def with_last_load(
    candidates: Sequence[TargetOptions], last: TargetOptions | None, dataset: str
) -> list[TargetOptions]:
    """Return ``candidates``, flags first, with bucket and organization of the last load if it went to their server.

    Raises ConfigError when it went to another server and no flag names one: a dataset must not choose the server.
    """
    flags, *others = candidates
    if last is None:
        return list(candidates)
    address = next((candidate for candidate in candidates if candidate.url), None)
    url = check_url(address.url, address.name("url")) if address else DEFAULT_URL
    if same_server(url, last.url):
        return [flags, TargetOptions(org=last.org, bucket=last.bucket, names=_LEDGER), *others]
    if flags.url:
        return list(candidates)
    named = address.name("url") if address else "the default"
    there = redacted(last.url)
    known = "" if "***" in there else f"--host {there}, or "  # a masked address cannot be typed
    raise ConfigError(
        f"the last load of {dataset} went to {there}, and the address is {url} ({named})",
        hint=f"say which server to verify: {known}--host {url}",
    )


_LEDGER = {"org": "the organization in the dataset's ledger", "bucket": "the bucket in the dataset's ledger"}


def _choose_token(candidates: Sequence[TargetOptions], address: TargetOptions | None) -> tuple[str, str]:
    """Return the token that may be sent to the address of ``address``, and a sentence on one that may not."""
    withheld = ""
    for candidate in candidates:
        token = check_token(candidate.token, candidate.name("token"))
        if not token:
            continue
        if _may_go(candidate, address):
            return token, withheld
        named = address.name("url") if address else ""
        if address and candidate.place < address.place:
            raise ConfigError(
                f"{candidate.name('token')} is set, and the address comes from elsewhere: {named}",
                hint="name the server beside the token, with --host or INFLUX_HOST, or leave the token out",
            )
        withheld = withheld or f"{candidate.name('token')} is not sent: it belongs to another address than {named}"
    return "", withheld


def _may_go(candidate: TargetOptions, address: TargetOptions | None) -> bool:
    """Tell whether the token of ``candidate`` may be sent to the address of ``address``, None for the default."""
    if address is None or Place.FLAGS in {candidate.place, address.place}:
        return True
    if candidate.url:
        return same_server(candidate.url, address.url)
    return candidate.place is address.place
