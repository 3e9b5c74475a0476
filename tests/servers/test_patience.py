"""Which questions are asked again, and what ends the wait for an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loader.errors import Retryable, ServerError, Unreachable
from loader.events import Event, Waited, ignore
from loader.loading import LoadSettings, load
from loader.servers.base import Reply, Target
from loader.servers.patience import Patience, Stopped
from loader.servers.probe import identify, identify_by_ping
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset

PAGE = b"<html>Bad Gateway</html>"


def question(*answers: Exception | str) -> Callable[[], str]:
    """Return a question that is answered with ``answers``, one after the other."""
    left = iter(answers)

    def ask() -> str:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_who_has_answered_once_may_be_away() -> None:
    """A connection that is refused is an error at once as the first thing of all, and a wait after anything else."""
    patience = Patience(30.0, ignore, threading.Event())
    away = Unreachable("refused")
    with pytest.raises(Unreachable):
        patience.ask(question(away, "never asked for"), first=True)
    assert patience.ask(question(away, "back"), first=False) == "back"
    assert patience.ask(question(Retryable("busy"), away, "back"), first=True) == "back"


def test_it_is_given_up() -> None:
    """After the time for it the last error is told, with how often it was asked."""
    waits: list[Waited] = []
    with pytest.raises(ServerError, match=r"gave up after 1 attempt in 0.1 s: busy") as caught:
        Patience(0.1, waits.append, threading.Event()).ask(question(Retryable("busy", status=503)))
    assert (caught.value.status, waits, "--retry-seconds" in caught.value.hint) == (503, [], True)


def test_a_wait_is_ended_from_outside() -> None:
    """A question is not asked again once it is not wanted any more."""
    closed = threading.Event()
    closed.set()
    with pytest.raises(Stopped, match="busy"):
        Patience(300.0, ignore, closed).ask(question(Retryable("busy", retry_after=200.0)))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_page_of_a_busy_proxy_is_no_judgement(status: int) -> None:
    """Whether it is an InfluxDB shows when it answers; the wish to wait is kept."""
    reply = Reply(status, {"retry-after": "7"}, PAGE)
    for read in (identify, identify_by_ping):
        with pytest.raises(Retryable, match=f"answered {status}: <html>Bad Gateway") as caught:
            read("http://localhost:8086", reply)
        assert (caught.value.status, caught.value.retry_after) == (status, 7.0)
    starting = Reply(status, {"retry-after": "7"}, b'{"name": "influxdb", "status": "fail", "message": "starting"}')
    with pytest.raises(Retryable, match="starting") as caught:
        identify("http://localhost:8086", starting)
    assert caught.value.retry_after == 7.0


def unknown(*arguments: Any, **named: Any) -> None:
    """Know no host."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("run", [load, verify])
@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_address_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], known: bool
) -> None:
    """Where nothing listens, or no host has the name, nothing is waited for."""
    small_dataset(tmp_path, days=1, rows=2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    if not known:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    target = Target(f"http://127.0.0.1:{port}" if known else "http://nowhere.example", "b", "o")
    events: list[Event] = []
    with pytest.raises(Unreachable, match="cannot connect") as caught:
        run(LoadSettings(tmp_path, target) if run is load else VerifySettings(tmp_path, target), events.append)
    assert "its address?" in caught.value.hint
    assert not [event for event in events if isinstance(event, Waited)]
