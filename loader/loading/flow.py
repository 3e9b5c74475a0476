"""Flow control: when to wait, how much to send, when to stop. Shared by all connections of a load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loader.errors import ConfigError
from loader.servers.address import is_loopback
from loader.waiting import pause

CATCH_UP_SECONDS = 1.0
_BODY_SECONDS = 0.25


def gzip_level(compress: str, url: str) -> int:
    """Return the gzip level for ``compress`` ("auto", "none", "gzip", "gzip:LEVEL") and ``url``; 0 is none.

    "auto" spares loopback the work and uses level 1 elsewhere. Raises ConfigError.
    """
    kind, _, level = compress.partition(":")
    if compress == "auto":
        return 0 if is_loopback(url) else 1
    if compress == "none":
        return 0
    if kind == "gzip" and (level or "1") in "123456789":
        return int(level or "1")
    raise ConfigError(f"unknown compression {compress!r}", hint="use auto, none, gzip or gzip:1 to gzip:9")


class Flow:
    """State that the connections share: a common pause, the largest body that the server accepts, the stop signals.

    ``stop`` is the user's: finish what is in flight, begin nothing new. ``aborted`` is the load's own, after an error;
    it also cuts off uploads of the restore path. ``stopping`` is true when either is set.
    """

    def __init__(self, batch_bytes: int, stop: threading.Event, rejections_left: int = 0) -> None:
        self.stop = stop
        self._rejections_left = rejections_left
        self.aborted = threading.Event()
        self._lock = threading.Lock()
        self._body_limit = batch_bytes
        self._resume_at = 0.0

    @property
    def stopping(self) -> bool:
        """Whether nothing new should begin."""
        return self.stop.is_set() or self.aborted.is_set()

    @property
    def body_limit(self) -> int:
        """Largest size in bytes of the line protocol in one body."""
        with self._lock:
            return self._body_limit

    def remember_too_large(self, size: int) -> None:
        """Remember that the server refused a body of ``size`` bytes."""
        with self._lock:
            self._body_limit = min(self._body_limit, max(1, size // 2))

    @property
    def rejections_left(self) -> int:
        """How many more rows may be rejected; -1 when there were too many."""
        with self._lock:
            return self._rejections_left

    def count_rejected(self, rows: int = 1) -> None:
        """Count rejected rows; the load stops when there are more than allowed."""
        with self._lock:
            self._rejections_left = max(-1, self._rejections_left - rows)
            if self._rejections_left < 0:
                self.aborted.set()

    def pause(self, seconds: float) -> None:
        """Let no connection send for ``seconds``."""
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def wait(self) -> bool:
        """Wait until the common pause is over; return False at once when the load stops."""
        while not self.stopping:
            with self._lock:
                left = self._resume_at - time.monotonic()
            if left <= 0:
                return True
            # The pause may grow meanwhile, and a stop should not wait for its end.
            pause(min(left, 0.1), self.stop)
        return False


class Pace:
    """Keeps a rate of ``rate`` points a second, 0 for no limit, by a ``clock`` in seconds.

    What was counted is never more than the rate allows since the start. A load that was kept waiting catches up with
    CATCH_UP_SECONDS at most: others use the server, too.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._due = clock()

    def lines(self, most: int) -> int:
        """Return the lines of a body, ``most`` at most: a quarter of a second's, so that the rate is even."""
        return max(1, min(most, int(self._rate * _BODY_SECONDS))) if self._rate else most

    def ahead(self, points: int) -> float:
        """Count ``points`` and return the seconds to wait before they may be sent."""
        if not self._rate:
            return 0.0
        now = self._clock()
        self._due = max(self._due, now - CATCH_UP_SECONDS) + points / self._rate
        return max(0.0, self._due - now)
