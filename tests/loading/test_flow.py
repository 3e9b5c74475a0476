"""Flow control: waits grow, wishes are kept, stops are prompt."""

from __future__ import annotations

import math
import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import ConfigError, Retryable
from loader.loading.flow import Flow, Pace, gzip_level
from loader.servers.retries import Retries, backoff


@given(st.integers(1, 1_000), st.integers(0, 2**32))
def test_backoff_doubles_within_bounds(attempt: int, seed: int) -> None:
    """Every wait is between half of its step and its step, and never above half a minute."""
    step = min(30.0, 0.5 * 2.0 ** min(attempt - 1, 60))
    assert step / 2 <= backoff(attempt, None, random.Random(seed)) <= step


def test_backoff_never_undercuts_the_server() -> None:
    """A Retry-After that is longer than our own wait wins."""
    assert backoff(1, 90.0, random.Random(1)) == 90.0


@pytest.mark.parametrize("wish", [None, 0.0, -5.0, math.nan])
def test_wishes_that_are_none_leave_our_own_wait(wish: float | None) -> None:
    """What a server may send in place of seconds does not shorten a wait."""
    delay = Retries(300.0, random.Random(1)).delay(Retryable("busy", retry_after=wish))
    assert delay is not None
    assert 0.25 <= delay <= 0.5


@pytest.mark.parametrize("retry_seconds", [300.0, math.inf])
@pytest.mark.parametrize("wish", [999_999_999.0, 1e300, math.inf])
def test_a_wish_without_end_is_given_up(wish: float, retry_seconds: float) -> None:
    """A server that wants to be left alone for years is not waited for, whatever the patience, and said so."""
    retries = Retries(retry_seconds, random.Random(1))
    error = Retryable("busy", retry_after=wish)
    assert retries.delay(error) is None
    assert "gave up after 1 attempt " in retries.words(error)
    assert "it wants to be asked again in" in retries.words(error)


def test_retries_end_with_the_time_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time begins with the first failure; a wait that would go beyond it is not begun."""
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    retries = Retries(60.0, random.Random(1))
    error = Retryable("busy")
    waited = 0.0
    while (delay := retries.delay(error)) is not None:
        now += delay
        waited += delay
    assert 30.0 <= waited <= 60.0
    assert retries.words(error) == f"gave up after {retries.failures} attempts in 60 s: busy"
    assert Retries(0.0, random.Random(1)).delay(error) is None


@pytest.mark.parametrize(
    ("compress", "url", "level"),
    [
        ("auto", "http://localhost:8086", 0),
        ("auto", "http://[::1]:8086", 0),
        ("auto", "https://influx.example:8086", 1),
        ("none", "https://influx.example", 0),
        ("gzip", "http://localhost", 1),
        ("gzip:9", "http://localhost", 9),
    ],
)
def test_compression_follows_the_setting_and_the_address(compress: str, url: str, level: int) -> None:
    """Automatic compression spares loopback; everything else is as asked."""
    assert gzip_level(compress, url) == level


@pytest.mark.parametrize("compress", ["zstd", "gzip:0", "gzip:10", "gzip:x", ""])
def test_an_unknown_compression_is_refused(compress: str) -> None:
    """The error lists what there is."""
    with pytest.raises(ConfigError, match="use auto"):
        gzip_level(compress, "http://localhost")


def test_a_pause_holds_everyone_until_it_is_over() -> None:
    """A wait lasts as long as the common pause, and not once it is over."""
    flow = Flow(1_000, threading.Event())
    flow.pause(0.2)
    flow.pause(0.05)
    before = time.monotonic()
    assert flow.wait()
    assert time.monotonic() - before >= 0.15
    assert flow.wait()


def test_a_stop_ends_a_pause() -> None:
    """Nobody waits out a pause of an hour after a stop."""
    flow = Flow(1_000, threading.Event())
    flow.pause(3_600)
    threading.Timer(0.1, flow.stop.set).start()
    assert not flow.wait()


def test_the_body_limit_only_shrinks() -> None:
    """A refused size is remembered as half of it, and never less than a byte."""
    flow = Flow(1_000, threading.Event())
    flow.remember_too_large(800)
    flow.remember_too_large(1_000)
    assert flow.body_limit == 400
    flow.remember_too_large(1)
    assert flow.body_limit == 1


def test_pace_spreads_points_evenly() -> None:
    """The wait before a payload is what its predecessors' points take at the rate."""
    pace = Pace(1_000.0)
    assert pace.ahead(500) == 0.0
    assert 0.4 < pace.ahead(500) <= 0.5
    assert 0.9 < pace.ahead(1) <= 1.0


def test_no_rate_means_no_wait() -> None:
    """Without a limit nothing waits."""
    pace = Pace(0.0)
    assert pace.ahead(10**9) == 0.0
    assert pace.ahead(1) == 0.0
