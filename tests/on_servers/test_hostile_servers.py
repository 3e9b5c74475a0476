"""Loads and verifications through something between them and a real server that answers what it likes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loader.errors import LoaderError, Refused, ServerError
from loader.events import Event, Waited
from loader.loading import LoadSettings, WriteSettings, load
from loader.servers import transport
from loader.servers.base import Target
from loader.servers.transport import MOST_BYTES
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, Drip, Endless, Fault, fault_proxy

PAGE = "<html>Zeitüberschreitung</html>".encode("latin-1")


def target_of(server: Any, url: str) -> Target:
    """Return a new bucket, reached at ``url``."""
    return Target(url, server.new_bucket(), server.org, server.token)


def test_a_page_in_latin_1_is_tried_again(influx: Any, tmp_path: Path) -> None:
    """A 502 of a proxy is like any other, whatever its page is written in."""
    manifest = small_dataset(tmp_path)
    events: list[Event] = []
    with fault_proxy(influx.url, lambda call: Answer(502, PAGE) if call.number < 2 else None) as proxy:
        target = target_of(influx, proxy.url)
        report = load(LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=200)), events.append)
    assert report.rows_done == manifest.rows
    assert report.retries == 2
    assert {event.message for event in events if isinstance(event, Waited) and event.cause == "retry"} == {
        "write: the server answered 502: <html>Zeit\ufffdberschreitung</html>"
    }
    assert verify(VerifySettings(tmp_path, replace(target, url=influx.url), samples=5)).difference_count == 0


def repr_of(fault: Fault) -> str:
    """Return a short name of ``fault``."""
    return repr(fault)[:40]


@pytest.mark.parametrize("path", ["/health", "/api/v2/buckets", "/api/v2/write", "/api/v2/query"])
@pytest.mark.parametrize(
    "fault", [Endless(), Answer(200, b"{}"), Answer(200, b"[" * 100_000), Answer(204)], ids=repr_of
)
def test_no_reply_is_believed(
    influx_v2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, fault: Fault
) -> None:
    """Replies without end, of another form, or without anything end in an error of ours, or change nothing."""
    monkeypatch.setattr(transport, "MOST_BYTES", dict.fromkeys(MOST_BYTES, 1 << 20))
    small_dataset(tmp_path, days=1, rows=20)
    with fault_proxy(influx_v2.url, lambda call: fault, watched=(path,)) as proxy:
        target = target_of(influx_v2, proxy.url)
        settings = LoadSettings(tmp_path, target, retry_seconds=0.5, timeout_seconds=30)
        if path == "/api/v2/query":
            load(settings)
            with pytest.raises(LoaderError):
                verify(VerifySettings(tmp_path, target, samples=5))
        elif (path, fault) == ("/api/v2/write", Answer(204)):
            load(settings)
            assert verify(VerifySettings(tmp_path, target, samples=5)).difference_count > 0
        else:
            with pytest.raises(LoaderError):
                load(settings)


def test_a_write_that_drips_is_tried_again(influx_v2: Any, tmp_path: Path) -> None:
    """A byte now and then does not hold a connection for ever."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    drip = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", 0.2)
    with fault_proxy(influx_v2.url, lambda call: drip if call.number == 0 else None) as proxy:
        settings = LoadSettings(tmp_path, target_of(influx_v2, proxy.url), timeout_seconds=1.0)
        report = load(settings)
    assert (report.rows_done, report.retries) == (manifest.rows, 1)


NASTY = "\x1b]0;owned\x07\x9b31m\u202e" + "x" * 100_000


@pytest.mark.parametrize("status", [400, 401, 422])
def test_the_words_of_a_server_are_shown_tame_and_short(influx_v2: Any, tmp_path: Path, status: int) -> None:
    """Errors and rejected files hold no control characters, and no more than some hundred of theirs."""
    small_dataset(tmp_path, days=1, symbols=("AAPL",), rows=2)
    answer = Answer(status, json.dumps({"message": NASTY}).encode()[:60_000] + b'"}')
    with fault_proxy(influx_v2.url, lambda call: answer) as proxy:
        settings = LoadSettings(tmp_path, target_of(influx_v2, proxy.url))
        if status == 401:
            with pytest.raises(Refused) as caught:
                load(settings)
            said = [caught.value.message]
        else:
            path = Path(load(settings).rejected_path)
            said = [json.loads(line)["reason"] for line in path.read_text().splitlines()]
    for text in said:
        assert text.isprintable()
        assert "\\x1b]0;owned\\x07" in text
        assert len(text) < 700


def test_a_server_that_repeats_the_token(influx_v2: Any, tmp_path: Path) -> None:
    """What it echoes is not shown."""
    small_dataset(tmp_path, days=1, rows=20)

    def echo(call: Call) -> Answer:
        return Answer(403, f"you sent: Token {influx_v2.token}".encode())

    with (
        fault_proxy(influx_v2.url, echo) as proxy,
        pytest.raises(ServerError, match=r"you sent: Token \*\*\*") as caught,
    ):
        load(LoadSettings(tmp_path, target_of(influx_v2, proxy.url)))
    assert influx_v2.token not in str(caught.value)


@pytest.mark.parametrize("run", [load, verify])
def test_redirects_are_shown(influx_v2: Any, tmp_path: Path, run: Callable[..., Any]) -> None:
    """A server that is elsewhere says where, and nothing is sent there."""
    small_dataset(tmp_path, days=1, rows=20)
    answer = Answer(308, b"", (("Location", "https://influx.example/health?token=PW"),))
    with fault_proxy(influx_v2.url, lambda call: answer, watched=("/health",)) as proxy:
        target = Target(proxy.url, "b", influx_v2.org, influx_v2.token)
        settings = LoadSettings(tmp_path, target) if run is load else VerifySettings(tmp_path, target)
        with pytest.raises(LoaderError, match=r"redirects to https://influx\.example/health\?\*\*\*") as caught:
            run(settings)
    assert "own address, --host" in caught.value.hint
