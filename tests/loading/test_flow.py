"""Flow control: rates are kept, stops are prompt."""

from __future__ import annotations

import threading
import time

import pytest

from loader.errors import ConfigError
from loader.loading.flow import Flow, Pace, gzip_level


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
