"""Proxies: which one the environment names for an address, and what its refusals mean. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from loader.errors import Refused, ServerError, Unreachable
from loader.servers.address import check_url, is_loopback


@dataclass(frozen=True)
class Proxy:
    """A proxy for http and, by CONNECT, for https; ``credentials`` are USER:PASSWORD, "" for none.

    Raises ConfigError, which quotes neither, unless ``url`` is http(s)://HOST[:PORT].
    """

    url: str
    credentials: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", check_url(self.url, "the proxy"))


def find_proxy(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that ``environ`` names for the valid address ``url``, None for no proxy; raises ConfigError.

    Variables are those of curl: https_proxy or http_proxy by the scheme, then all_proxy, each also in capitals, but for
    what no_proxy exempts. This machine itself is never asked through a proxy. HTTP_PROXY in capitals does not count
    in a CGI program, where a client's header could have set it.
    """
    scheme = urlsplit(url).scheme.lower()
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ and "HTTP_PROXY" in names:
        names.remove("HTTP_PROXY")
    name = next((name for name in names if environ.get(name, "").strip()), None)
    if name is None or is_loopback(url) or is_exempt(url, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    text = environ[name].strip()
    kind, _, rest = text.rpartition("://")
    user, _, place = rest.rpartition("@")
    return Proxy(check_url(f"{kind or 'http'}://{place.rstrip('/')}", name), unquote(user))


def is_exempt(url: str, no_proxy: str) -> bool:
    """Tell whether ``no_proxy`` exempts the valid address ``url``.

    It is a list with commas or spaces of names, which also count for names below them, of numbers and of networks
    such as 10.0.0.0/8, each perhaps with a port; ``*`` is everything.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    port = str(parts.port or {"http": 80, "https": 443}[parts.scheme])
    return any(_matches(host, port, entry.lower()) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def proxy_fault(proxy: Proxy, url: str, status: int) -> ServerError:
    """Return the error for ``status``, with which ``proxy`` refused to connect to ``url``."""
    words = f"{url}: the proxy {proxy.url} does not connect to it (status {status})"
    if status == 407:
        hint = "name them in the variable of the proxy: http://USER:PASSWORD@HOST:PORT, with %40 for an @ in them"
        return Refused(f"{url}: the proxy {proxy.url} wants a user and password", hint=hint, status=status)
    if status >= 500:
        return Unreachable(words, hint="can the proxy reach the server, and is this its address?", status=status)
    return Refused(
        words, hint="have it allowed there, or name the host in NO_PROXY if it needs no proxy", status=status
    )


def _matches(host: str, port: str, entry: str) -> bool:
    if entry == "*":
        return True
    if with_port := re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry):
        if with_port[2] != port:
            return False
        entry = with_port[1]
    entry = entry.strip("[]").removesuffix(".")
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        name = entry.removeprefix("*").removeprefix(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return number in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
