"""Which proxy the environment names for an address, and which addresses it exempts."""

from __future__ import annotations

import pytest

from loader.errors import ConfigError, Refused, Unreachable
from loader.servers.proxy import Proxy, find_proxy, is_exempt, proxy_fault

INFLUX = "https://influx.example.org:8086"
PLAIN = "http://influx.example.org"
PROXY = "http://proxy:3128"
OTHER = "http://other:3128"


@pytest.mark.parametrize(
    ("url", "environ", "found"),
    [
        (INFLUX, {}, None),
        (INFLUX, {"https_proxy": PROXY}, Proxy(PROXY)),
        (INFLUX, {"HTTPS_PROXY": PROXY}, Proxy(PROXY)),
        (INFLUX, {"HTTPS_PROXY": OTHER, "https_proxy": PROXY}, Proxy(PROXY)),
        (INFLUX, {"HTTPS_PROXY": PROXY, "https_proxy": " "}, Proxy(PROXY)),
        (INFLUX, {"HTTP_PROXY": OTHER}, None),
        (INFLUX, {"ALL_PROXY": PROXY}, Proxy(PROXY)),
        (INFLUX, {"all_proxy": PROXY, "ALL_PROXY": OTHER}, Proxy(PROXY)),
        (INFLUX, {"HTTPS_PROXY": PROXY, "all_proxy": OTHER}, Proxy(PROXY)),
        (INFLUX, {"HTTPS_PROXY": "proxy:3128/"}, Proxy(PROXY)),
        (INFLUX, {"HTTPS_PROXY": "https://proxy"}, Proxy("https://proxy")),
        (INFLUX, {"HTTPS_PROXY": "http://me:p%40ss@proxy:3128/"}, Proxy(PROXY, "me:p@ss")),
        (INFLUX, {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org"}, None),
        (INFLUX, {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org", "no_proxy": "elsewhere"}, Proxy(PROXY)),
        (PLAIN, {"HTTPS_PROXY": OTHER, "HTTP_PROXY": PROXY}, Proxy(PROXY)),
        (PLAIN, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET", "http_proxy": PROXY}, Proxy(PROXY)),
        (PLAIN, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET"}, None),
        (INFLUX, {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}, Proxy(PROXY)),
        ("http://localhost:8086", {"HTTP_PROXY": PROXY}, None),
        ("https://127.0.0.1:8086", {"ALL_PROXY": PROXY}, None),
    ],
)
def test_the_proxy_of_an_address(url: str, environ: dict[str, str], found: Proxy | None) -> None:
    """Variables count as curl has them, small letters first; this machine itself needs no proxy."""
    assert find_proxy(url, environ) == found


@pytest.mark.parametrize("text", ["socks5://me:secret@proxy", "http://me:secret@proxy:99999", "http://me:secret@a b"])
def test_what_is_no_proxy_is_refused_without_its_password(text: str) -> None:
    """The error names the variable."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY is not the address") as caught:
        find_proxy(INFLUX, {"HTTPS_PROXY": text})
    assert "secret" not in str(caught.value)


def test_a_proxy_keeps_its_password_to_itself() -> None:
    """Neither its text nor an error of it has one."""
    assert "secret" not in repr(Proxy(PROXY, "me:secret"))
    with pytest.raises(ConfigError, match="user or password"):
        Proxy("http://me:secret@proxy")


@pytest.mark.parametrize(
    ("url", "no_proxy", "exempt"),
    [
        (INFLUX, "", False),
        (INFLUX, "*", True),
        (INFLUX, "a.example, influx.example.org", True),
        (INFLUX, "a.example influx.example.org", True),
        (INFLUX, "INFLUX.example.ORG.", True),
        (INFLUX, ".example.org", True),
        (INFLUX, "*.example.org", True),
        (INFLUX, "org", True),
        (INFLUX, ".", False),
        (INFLUX, "flux.example.org", False),
        (INFLUX, "influx.example", False),
        (INFLUX, "10.0.0.0/8", False),
        (INFLUX, "example.org:8086", True),
        (INFLUX, "example.org:443", False),
        ("https://influx.example.org", "example.org:443", True),
        (PLAIN, "example.org:80", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.1.2.30, 11.0.0.0/8, 2.3", False),
        ("https://[fd00::1]:8086", "fd00::/8", True),
        ("https://[fd00::1]:8086", "[fd00::1]:8086", True),
        ("https://[fd00::1]:8086", "10.0.0.0/8,[fd00::2]", False),
    ],
)
def test_what_needs_no_proxy(url: str, no_proxy: str, exempt: bool) -> None:
    """Names count for what is below them, numbers for networks, ports where they are said."""
    assert is_exempt(url, no_proxy) is exempt


@pytest.mark.parametrize(("status", "kind"), [(407, Refused), (403, Refused), (502, Unreachable), (504, Unreachable)])
def test_what_a_proxy_refuses(status: int, kind: type[Exception]) -> None:
    """What it may do later is tried again, what it will not do ends the load."""
    fault = proxy_fault(Proxy(PROXY, "me:secret"), INFLUX, status)
    assert isinstance(fault, kind)
    assert fault.status == status
    assert PROXY in fault.message
    assert INFLUX in fault.message
    assert "secret" not in str(fault)
