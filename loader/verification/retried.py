"""Asks a server again while it is busy or away."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from loader.errors import Retryable, ServerError
from loader.events import Observer, Waited
from loader.loading.flow import Retries
from loader.waiting import pause

Answer = TypeVar("Answer")


def retried(ask: Callable[[], Answer], retry_seconds: float, observe: Observer, closed: threading.Event) -> Answer:
    """Return the answer of ``ask``, which is tried again for ``retry_seconds``, unless ``closed`` is set.

    Raises what ``ask`` raises, and ServerError when it is given up.
    """
    retries = Retries(retry_seconds, random.Random())
    while True:
        try:
            return ask()
        except Retryable as error:
            delay = retries.delay(error)
            if delay is None or closed.is_set():
                hint = error.hint or "run it again when the server is well, or with a longer --retry-seconds"
                raise ServerError(retries.words(error), status=error.status, hint=hint) from error
            observe(Waited("retry", delay, error.message))
            pause(delay, closed)
