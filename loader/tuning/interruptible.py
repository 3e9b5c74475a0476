"""Work that waits for a server, and that its caller can leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from loader.servers.patience import Stopped
from loader.waiting import SLICE_SECONDS, Workers

Item = TypeVar("Item")


def interruptible(work: Callable[[], Item], stop: threading.Event, grace_seconds: float = 0.0) -> Item:
    """Return the result of ``work``, which runs in a thread, or raise what it raises.

    Once ``stop`` is set it has ``grace_seconds`` left. Then the thread is left, whatever it waits for: raises Stopped.
    Without grace, a result that came after the stop is dropped, too, for it may be that of work that was cut short.
    """
    try:
        with Workers(1) as workers:
            answer = workers.submit(work)
            deadline = None
            while not answer.done():
                if stop.is_set():
                    deadline = deadline or time.monotonic() + grace_seconds
                    if time.monotonic() >= deadline:
                        raise _Left
                with suppress(TimeoutError):
                    answer.result(SLICE_SECONDS if deadline is None else min(SLICE_SECONDS, grace_seconds))
            result = answer.result()
            if stop.is_set() and not grace_seconds:
                raise _Left
            return result
    except _Left:
        raise Stopped("there was no answer before the stop") from None


class _Left(BaseException):
    """Leaves a thread that may wait for a reply, without waiting for the thread: no Exception does that."""
