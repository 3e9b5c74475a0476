"""What happens while a stage, load or verification runs, as frozen values.

Library calls take an ``Observer``; progress bars, plain lines and metrics subscribe. Nothing else prints.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Started(Event):
    """Work of ``rows`` rows begins; ``rows_done`` of them were finished by an earlier run."""

    activity: str
    rows: int
    rows_done: int = 0


@dataclass(frozen=True)
class Advanced(Event):
    """``rows`` more rows are finished (staged, acknowledged or verified), ``size`` bytes of them written or sent."""

    rows: int
    size: int = 0


SERVER_BUSY = "server busy"


@dataclass(frozen=True)
class Waited(Event):
    """A worker waits ``seconds`` because of ``cause``: "retry", "rate", or SERVER_BUSY, said once at the end."""

    cause: str
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class Rejected(Event):
    """``lines`` lines were refused for good and written to the rejected-lines file."""

    lines: int


@dataclass(frozen=True)
class Noted(Event):
    """One sentence that the user should see once."""

    message: str


Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Observe nothing."""


def one_at_a_time(observe: Observer) -> Observer:
    """Return ``observe`` for the use of several threads."""
    lock = threading.Lock()

    def observe_alone(event: Event) -> None:
        with lock:
            observe(event)

    return observe_alone
