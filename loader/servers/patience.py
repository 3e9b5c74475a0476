"""Asks a server again while it is busy or away, from the first question on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from loader.errors import Retryable, ServerError, Unreachable
from loader.events import Notice, Observer, Waited
from loader.servers.probe import Server, introduction, probe
from loader.servers.retries import Retries
from loader.servers.transport import Connection
from loader.waiting import pause

Answer = TypeVar("Answer")


class Stopped(ServerError):
    """A wait was ended from outside before there was an answer."""


@dataclass(frozen=True)
class Patience:
    """For how long a question is asked again, who is told of the waits, and what ends them."""

    seconds: float
    tell: Callable[[Waited], None]
    closed: threading.Event

    def ask(self, question: Callable[[], Answer], *, first: bool = False) -> Answer:
        """Return the answer to ``question``, which is asked again for ``seconds``.

        429, 5xx, resets and timeouts are worth a wait. When nothing has answered yet (``first``), an address that
        refuses the connection, or is unknown, is more likely wrong than away: that is an error at once.
        Raises what ``question`` raises, ServerError when it is given up, Stopped once ``closed`` is set.
        """
        retries = Retries(self.seconds, random.Random())
        while True:
            try:
                return question()
            except Retryable as error:
                if first and not retries.failures and isinstance(error, Unreachable):
                    raise
                delay = retries.delay(error)
                if delay is None:
                    hint = error.hint or "run it again when the server is well, or with a longer --retry-seconds"
                    raise ServerError(retries.words(error), status=error.status, hint=hint) from error
                self.tell(Waited("retry", delay, error.message))
                if pause(delay, self.closed):
                    raise Stopped(f"stopped while waiting: {error.message}", status=error.status) from error


def find_server(connection: Connection, observe: Observer, patience: Patience) -> Server:
    """Say which server and bucket ``connection`` speaks to, then ask the server what it is.

    Raises ConfigError when it is no InfluxDB that is known here, and what ``Patience.ask`` raises.
    """
    for sentence in introduction(connection.target):
        observe(Notice(sentence))
    return patience.ask(lambda: probe(connection), first=True)
