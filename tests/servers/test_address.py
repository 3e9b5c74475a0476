"""What is the address of a server, and what of one is shown."""

from __future__ import annotations

from contextlib import suppress

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import ConfigError
from loader.servers.address import check_url, is_loopback, redacted, same_server
from loader.servers.base import Target

SECRET = "PW"


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:8086", "https://influx.example.com/a/b", "http://127.0.0.1:1", "http://[::1]:8086"),
        *("HTTP://Host", "http://a_b", "http://xn--bcher-kva.example.", "http://[fe80::1%25eth0]:1"),
    ],
)
def test_addresses(url: str) -> None:
    """Names and numbers, with port and path or without; a slash at the end is one too many."""
    assert check_url(url) == check_url(url + "/") == redacted(url) == url
    assert urllib3.util.parse_url(url).host


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "does not begin"),
        ("localhost:8086", "does not begin"),
        (f"ftp://bob:{SECRET}x", "does not begin|port"),
        ("http://", "host"),
        ("http:///path", "host"),
        ("http:host", "host"),
        ("http://[::1", "brackets"),
        ("http://[]", "brackets"),
        ("http://[::1]x:80", "host"),
        ("http://[v1.a]", "host"),
        (f"http://h:{SECRET}", "port"),
        ("http://h:99999", "port"),
        ("http://h:0", "port"),
        ("http://h:", "host"),
        ("http://a..b", "host"),
        ("http://-a", "host"),
        ("http://h%00", "host"),
        ("http://" + "a" * 64, "host"),
        ("http://" + "a." * 200 + "b", "host"),
        ("http://" + "a" * 3_000, "3,007 characters"),
        (f"http://bob:{SECRET}@h", "user or password"),
        (f"http://bob:{SECRET}@[::1", "user or password"),
        (f"http://{SECRET}@h:bad", "user or password"),
        (f"bob:{SECRET}@h", "user or password"),
        (f"http://h/?token={SECRET}", "query"),
        (f"http://h#{SECRET}", "query"),
        (f"http://h/ {SECRET}", "blanks"),
        (f"http://h\\@{SECRET}", "characters"),
        (f"http://h\r\n{SECRET}", "characters"),
        (f"http://b\u00fccher.example/{SECRET}", "characters"),
        (f"http://h/\ud800{SECRET}", "characters"),
    ],
)
def test_impossible_addresses(url: str, words: str) -> None:
    """The error says what is wrong and quotes nothing of it; no target can be made of it."""
    for make in (check_url, lambda text: Target(text, "bucket")):
        with pytest.raises(ConfigError, match=words) as caught:
            make(url)
        assert SECRET not in str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from(["http://", "https://h", "http://u:p@", ""]))
def test_any_text_is_an_address_or_an_error(text: str, start: str) -> None:
    """Nothing else happens, and what is an address is one for urllib3."""
    with suppress(ConfigError):
        assert urllib3.util.parse_url(check_url(start + text)).host
    redacted(start + text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"http://bob:{SECRET}@h:1/p", "http://***@h:1/p"),
        (f"http://bob:{SECRET}/w@x@h", "http://***@h"),
        (f"https://h/p?token={SECRET}#{SECRET}", "https://h/p?***"),
        (f"http://h#{SECRET}", "http://h?***"),
        (f"http://h:{SECRET}", "***"),
        (f"bob:{SECRET}@h", "***"),
        (f"http://h/{SECRET}\x1b[31m", "***"),
    ],
)
def test_secrets_of_addresses_are_not_shown(url: str, shown: str) -> None:
    """User, password, query and fragment are left out; what is no address at all is not shown."""
    assert redacted(url) == shown


def test_the_same_server() -> None:
    """Letters, the port of the scheme and a slash make no other server; scheme, host, port and path do."""
    assert same_server("http://H", "http://h:80/")
    assert same_server("https://h.", "https://h:443")
    for other in ("https://h", "http://h:81", "http://i", "http://h/p", "http://u@h", "nothing"):
        assert not same_server("http://h", other)


def test_loopback() -> None:
    """Only what stays on this machine in every network."""
    assert all(map(is_loopback, ("http://localhost", "http://127.3.2.1:1", "http://[::1]:1", "http://a.localhost")))
    assert not any(map(is_loopback, ("http://h", "http://10.0.0.1", "http://localhost.example", "http://[::2]")))
