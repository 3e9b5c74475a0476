"""Retries: waits grow, wishes are kept, and there is an end."""

from __future__ import annotations

import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import Retryable
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
