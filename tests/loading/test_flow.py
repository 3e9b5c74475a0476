"""Flow control: rates are kept, stops are prompt."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import ConfigError
from loader.loading.flow import CATCH_UP_SECONDS, Flow, Pace, gzip_level


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


@dataclass
class Clock:
    """A clock that stands still between steps."""

    now: float = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@settings(deadline=None)
@given(
    st.floats(1, 10**7),
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 30)), min_size=1, max_size=50),
)
def test_a_rate_is_never_exceeded(rate: float, steps: list[tuple[int, float]]) -> None:
    """Whatever a load is kept waiting by, since its start it never sent more, nor catches up more than a second's."""
    clock = Clock()
    pace = Pace(rate, clock)
    began, points, sent = clock.now, 0, []
    for number, stall in steps:
        clock.now += pace.ahead(number)
        points += number
        sent.append((clock.now, points))
        assert points <= rate * (clock.now - began) * (1 + 1e-9) + 1e-3
        clock.now += stall
    for index, (then, before) in enumerate(sent):
        for now, after in sent[index + 1 :]:
            assert after - before <= rate * (now - then + CATCH_UP_SECONDS) * (1 + 1e-9) + 1e-3


@settings(deadline=None)
@given(st.floats(1, 10**6), st.floats(0, 0.2))
def test_a_rate_is_held(rate: float, stall: float) -> None:
    """Where sending takes less than the rate allows, the points of ten seconds are within five in a hundred of it."""
    clock = Clock()
    pace = Pace(rate, clock)
    lines = pace.lines(20_000)
    began, points = clock.now, 0
    while clock.now < began + 10:
        clock.now += pace.ahead(lines)
        points += lines
        clock.now += min(stall, 0.8 * lines / rate)
    assert 0.95 * rate * 10 - lines <= points <= 1.05 * rate * 10 + lines


def test_bodies_of_a_low_rate_are_small() -> None:
    """A rate is even, not a body now and then; a high one has bodies as usual."""
    assert Pace(1_000.0).lines(20_000) == 250
    assert Pace(1.0).lines(20_000) == 1
    assert Pace(1e6).lines(20_000) == 20_000
    assert Pace(0.0).lines(20_000) == 20_000


def test_no_rate_means_no_wait() -> None:
    """Without a limit nothing waits."""
    pace = Pace(0.0)
    assert pace.ahead(10**9) == 0.0
    assert pace.ahead(1) == 0.0
