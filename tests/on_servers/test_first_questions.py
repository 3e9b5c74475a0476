"""Everything that a command asks before its work is asked again, too, when the server is busy or a reply is lost."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from loader.events import Event, Notice, Waited
from loader.loading import LoadSettings, load
from loader.servers import retries
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, Fault, Reset, fault_proxy

PAGE = b"<html>Bad Gateway</html>"
DAY = 86_400_000_000_000
LOST = Reset(forward=True)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait long."""
    monkeypatch.setattr(retries, "_FIRST_DELAY", 0.05)


class OnceEach:
    """A script that answers the first request of each kind with one of ``faults``, the others as the server does."""

    def __init__(self, *faults: Fault) -> None:
        self._turns = cycle(faults)
        self.seen: set[tuple[str, bool]] = set()

    def __call__(self, call: Call) -> Fault | None:
        """Return a fault for a path, with or without a body, that was not seen yet."""
        kind = call.path.partition("?")[0], bool(call.body)
        if kind in self.seen:
            return None
        self.seen.add(kind)
        return next(self._turns)


FAULTS = pytest.mark.parametrize(
    "faults", [(Answer(502, PAGE), Answer(429), Answer(503), Answer(504, PAGE), Reset()), (LOST,)]
)


@FAULTS
def test_a_load_and_its_verification(influx: Any, tmp_path: Path, faults: tuple[Fault, ...]) -> None:
    """The first request of each kind fails, the making of the bucket among them, and all is done and proved."""
    manifest = small_dataset(tmp_path, days=1, rows=5)
    events: list[Event] = []
    with fault_proxy(influx.url, OnceEach(*faults), watched=("/",)) as proxy:
        target = Target(proxy.url, f"first-{len(faults)}", influx.org, influx.token)
        report = load(LoadSettings(tmp_path, target, retry_seconds=30.0), events.append)
        again = LoadSettings(tmp_path, replace(target, url=influx.url), restart=True)
    assert report.rows_done == manifest.rows
    waits = [event for event in events if isinstance(event, Waited) and event.cause == "retry"]
    assert report.retries == len(waits) >= 3
    named = [event.message for event in events if isinstance(event, Notice) and event.message.startswith("server ")]
    assert len(named) == 1
    with fault_proxy(influx.url, OnceEach(*faults), watched=("/",)) as proxy:
        settings = VerifySettings(tmp_path, replace(target, url=proxy.url), retry_seconds=30.0, samples=5)
        assert verify(settings).difference_count == 0
    assert load(again).rows_done == manifest.rows


@FAULTS
def test_a_restore_and_all_its_values(influx_v2: Any, tmp_path: Path, faults: tuple[Fault, ...]) -> None:
    """So it is with what only an operator asks; and with the removal of a bucket, when the load begins again."""
    manifest = small_dataset(tmp_path, days=1, rows=5)
    script = OnceEach(*faults)
    with fault_proxy(influx_v2.url, script, watched=("/",)) as proxy:
        target = Target(proxy.url, f"first-restore-{len(faults)}", influx_v2.org, influx_v2.token)
        settings = LoadSettings(tmp_path, target, via="restore", shard_duration=DAY, retry_seconds=30.0)
        for restart in (False, True):
            script.seen.clear()
            report = load(replace(settings, restart=restart))
            assert report.rows_done == manifest.rows
            assert report.retries >= len(script.seen) - 1  # the two of a shard are one attempt
        script.seen.clear()
        found = verify(VerifySettings(tmp_path, target, values=True, retry_seconds=30.0))
    assert (found.difference_count, found.values) == (0, 2 * manifest.rows)


def test_a_version_before_1_8(influx_early: Any, tmp_path: Path) -> None:
    """Where there is no /health, /ping is asked again."""
    manifest = small_dataset(tmp_path, days=1, rows=5)
    with fault_proxy(influx_early.url, OnceEach(Answer(503, PAGE)), watched=("/ping",)) as proxy:
        report = load(LoadSettings(tmp_path, Target(proxy.url, influx_early.new_bucket()), retry_seconds=30.0))
    assert (report.rows_done, report.retries) == (manifest.rows, 1)


@pytest.mark.parametrize("via", ["write", "restore"])
def test_a_stop_amid_the_first_questions(influx_v2: Any, tmp_path: Path, via: str) -> None:
    """A load that is stopped while it waits says so in its report, and has sent nothing."""
    manifest = small_dataset(tmp_path, days=1, rows=5)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Waited):
            stop.set()

    busy = Answer(503, headers=(("Retry-After", "100"),))
    with fault_proxy(influx_v2.url, lambda call: busy, watched=("/health",)) as proxy:
        target = Target(proxy.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
        report = load(LoadSettings(tmp_path, target, via=via), observe, stop)
        assert len(proxy.writes) == 1
    assert report.interrupted
    assert (report.server, report.rows, report.rows_acknowledged) == (proxy.url, manifest.rows, 0)
