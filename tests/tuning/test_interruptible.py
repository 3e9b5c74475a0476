"""Work that its caller can leave."""

from __future__ import annotations

import threading
import time

import pytest

from loader.servers.patience import Stopped
from loader.tuning.interruptible import interruptible


def test_a_result_or_an_error() -> None:
    """Both come through as long as nothing stops."""
    stop = threading.Event()
    assert interruptible(lambda: 5, stop) == 5
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, stop)


def test_work_that_does_not_end_is_left() -> None:
    """At once without grace, and after it otherwise."""
    stop, never = threading.Event(), threading.Event()
    stop.set()
    for grace, least, most in ((0.0, 0.0, 5.0), (0.3, 0.3, 5.0)):
        began = time.monotonic()
        with pytest.raises(Stopped):
            interruptible(lambda: never.wait(30), stop, grace)
        assert least <= time.monotonic() - began < most
    never.set()


def test_a_result_after_the_stop() -> None:
    """With grace it is what was waited for; without, the work may have been cut short by the stop."""
    stop = threading.Event()

    def work() -> int:
        stop.set()
        return 5

    assert interruptible(work, stop, 10.0) == 5
    stop.clear()
    with pytest.raises(Stopped):
        interruptible(work, stop)
