"""What happens while a stage, load or verification runs, as frozen values.

Library calls take an ``Observer``; progress bars, plain lines and metrics subscribe. Nothing else prints.
Messages are safe to print, even where they quote foreign text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from loader.printable import MESSAGE, printable


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Started(Event):
    """Work on ``rows`` rows begins; ``rows_done`` of them were finished by an earlier run."""

    activity: str
    rows: int
    rows_done: int = 0


@dataclass(frozen=True)
class Advanced(Event):
    """``rows`` more rows are finished (staged, acknowledged or verified), ``size`` bytes of them written or sent."""

    rows: int
    size: int = 0


@dataclass(frozen=True)
class Answered(Event):
    """The server has answered a request of a load with ``size`` bytes, ``seconds`` after it was begun."""

    seconds: float
    size: int


SERVER_BUSY = "server busy"


@dataclass(frozen=True)
class Waited(Event):
    """A worker waits ``seconds`` because of ``cause``: "retry", "rate", or SERVER_BUSY (an event a second)."""

    cause: str
    seconds: float
    message: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message, MESSAGE))


@dataclass(frozen=True)
class Rejected(Event):
    """``rows`` rows cannot be points, or their lines were refused for good; they are in the rejected file."""

    rows: int


@dataclass(frozen=True)
class Notice(Event):
    """One sentence that the user should see once; a ``warning`` when something may go wrong."""

    message: str
    warning: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message, MESSAGE))

    @property
    def text(self) -> str:
        """The sentence, which says whether it is a warning."""
        return f"warning: {self.message}" if self.warning else self.message


Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Observe nothing."""


def one_at_a_time(observe: Observer) -> Observer:
    """Return ``observe`` made safe for several threads: its calls run one at a time."""
    lock = threading.Lock()

    def observe_alone(event: Event) -> None:
        with lock:
            observe(event)

    return observe_alone
