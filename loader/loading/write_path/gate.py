"""Lets as many connections send at a time as the server is fit for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loader.loading.write_path.connection_limit import ConnectionLimit
from loader.waiting import SLICE_SECONDS


class Gate:
    """The one ``ConnectionLimit`` of a load's threads, each of which passes the gate with a body and comes back."""

    def __init__(self, limit: ConnectionLimit) -> None:
        self._changed = threading.Condition()
        self._limit = limit
        self._passed = 0
        self._waiting = 0

    @property
    def limit(self) -> int:
        """How many may pass at a time now."""
        with self._changed:
            return self._limit.limit

    @contextmanager
    def passing(self, stopping: Callable[[], bool]) -> Iterator[bool]:
        """Wait for a place and yield True to the block that sends a body; False on a stop."""
        with self._changed:
            self._waiting += 1
            while not (stopped := stopping()) and self._passed >= self._limit.limit:
                self._changed.wait(SLICE_SECONDS)
            self._waiting -= 1
            self._passed += 1
        try:
            yield not stopped
        finally:
            with self._changed:
                self._passed -= 1
                self._changed.notify()

    def answered(self, began: float, size: int, *, waiting: bool) -> None:
        """Count the answer to a body of ``size`` bytes; ``waiting`` tells that other bodies wait for a connection."""
        with self._changed:
            waiting = waiting or self._waiting > 0
            self._set(self._limit.answered(began, time.monotonic(), size, waiting=waiting))

    def refused(self, began: float) -> None:
        """Count a refusal of a body that was sent at ``began``, also a timeout or a reset."""
        with self._changed:
            self._set(self._limit.refused(began, time.monotonic()))

    def _set(self, limit: ConnectionLimit) -> None:
        self._limit = limit
        self._changed.notify_all()
