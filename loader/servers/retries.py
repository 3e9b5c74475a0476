"""Decides how long to wait before a request is sent again, and when to give up."""

from __future__ import annotations

import random
import time

from loader.errors import Retryable

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_LONGEST_WISH = 86_400.0


def backoff(attempt: int, retry_after: float | None, jitter: random.Random) -> float:
    """Return the seconds to wait before attempt ``attempt`` + 1, counted from 1.

    It doubles from half a second to half a minute; the upper half of it is random, so that connections do not return
    at the same time. It is never less than the server's Retry-After.
    """
    delay: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(attempt - 1, 16))
    return max(delay * jitter.uniform(0.5, 1.0), retry_after or 0.0)


class Retries:
    """Counts the failures of one request, which is tried again until ``retry_seconds`` after the first failure.

    Every loop that retries something gets its delays from here.
    """

    def __init__(self, retry_seconds: float, jitter: random.Random) -> None:
        self._retry_seconds = retry_seconds
        self._jitter = jitter
        self._first: float | None = None
        self.failures = 0

    def delay(self, error: Retryable) -> float | None:
        """Count a failure and return the seconds to wait for the next attempt, None when it is time to give up.

        It gives up at once when the server's Retry-After is longer than the time that is left.
        """
        now = time.monotonic()
        self.failures += 1
        self._first = now if self._first is None else self._first
        delay = backoff(self.failures, error.retry_after, self._jitter)
        return delay if delay <= min(self._retry_seconds - (now - self._first), _LONGEST_WISH) else None

    def words(self, error: Retryable) -> str:
        """Return the message when a request is given up because of ``error``."""
        wish = error.retry_after or 0.0
        asked = f"; it wants to be asked again in {wish:,.0f} s" if wish > _LONGEST_DELAY else ""
        attempts = f"{self.failures} attempt{'s' * (self.failures != 1)}"
        return f"gave up after {attempts} in {self._retry_seconds:g} s: {error.message}{asked}"
