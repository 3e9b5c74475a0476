"""Addresses of servers: checks them, compares them, and shows them. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from loader.errors import ConfigError
from loader.printable import printable

_PORTS = {"http": 80, "https": 443}
_LONGEST = 2_000
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_url(url: str, name: str = "the address") -> str:
    """Return ``url`` without a trailing slash.

    Raises ConfigError unless it is http(s)://HOST[:PORT][/PATH]. The error says what is wrong with ``name`` and
    never quotes it: an invalid address may be, or contain, a password.
    """
    if wrong := _fault(url):
        raise ConfigError(f"{name} is not the address of a server: {wrong}", hint="write it like http://localhost:8086")
    return url.rstrip("/")


def same_server(one: str, other: str) -> bool:
    """Tell whether two addresses name the same server; an invalid address is the same as no other."""
    if _fault(one) or _fault(other):
        return False
    return _place(one) == _place(other)


def is_loopback(url: str) -> bool:
    """Tell whether the valid address ``url`` always names this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def redacted(url: str) -> str:
    """Return ``url`` for people and files: without user, password, query and fragment; "***" if it is invalid.

    The address of a folder (file:///) has none of these.
    """
    if url.startswith("file:///"):
        return printable(url)
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    _, user, place = url[start:].rpartition("@")
    bare, *rest = re.split(r"[?#]", place, maxsplit=1)
    if _fault(url[:start] + bare):
        return "***"
    return printable(url[:start] + ("***@" if user else "") + bare + ("?***" if rest else ""))


def _fault(url: str) -> str:
    """Return what keeps ``url`` from being the address of a server, "" when nothing does."""
    return next(_faults(url), "")


def _faults(url: str) -> Iterator[str]:
    if len(url) > _LONGEST:
        yield f"it has {len(url):,} characters"
    if not re.fullmatch(r"[!-~]*", url) or set(url) & set('\\"<>^`{|}'):
        yield "it holds blanks, or characters that no address has"
    if "@" in url:
        yield "it must not hold a user or password"
    if "?" in url or "#" in url:
        yield "it must not hold a query or fragment"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield "its port is not a number from 1 to 65535, or its brackets do not match"
    else:
        if parts.scheme not in _PORTS:
            yield "it does not begin with http:// or https://"
        if port == 0:
            yield "its port is not a number from 1 to 65535"
        place = re.fullmatch(r"(?:\[(?P<number>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(:\d+)?", parts.netloc)
        if not (place and (_is_number(place["number"]) if place["number"] else _is_name(place["name"]))):
            yield "its host is not a name or a number of the internet"


def _is_number(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    return len(host) <= 253 and all(map(_LABEL.fullmatch, host.removesuffix(".").split(".")))


def _place(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    return parts.scheme, host, parts.port or _PORTS[parts.scheme], parts.path.rstrip("/")
