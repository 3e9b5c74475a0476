"""Repeats requests to a server while it is busy or unreachable, from the first request on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from loader.errors import Retryable, ServerError, Unreachable
from loader.events import Observer, Waited
from loader.servers.probe import Server, introduction, probe
from loader.servers.retries import Retries
from loader.servers.transport import Connection
from loader.waiting import pause

Answer = TypeVar("Answer")


class Stopped(ServerError):
    """A wait was ended by its stop event before there was an answer."""


@dataclass(frozen=True)
class Patience:
    """How long a request is repeated (``seconds``), who is told of the waits, and the event that ends them."""

    seconds: float
    tell: Callable[[Waited], None]
    closed: threading.Event

    def ask(self, question: Callable[[], Answer], *, first: bool = False) -> Answer:
        """Return the answer to ``question``, which is repeated for ``seconds``.

        It waits after 429, 5xx, resets and timeouts. For the ``first`` question, an address that refuses connections,
        or is unknown, is more likely wrong than temporarily unreachable: that is an error at once.
        Raises what ``question`` raises, ServerError when it gives up, and Stopped once ``closed`` is set.
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
    """Announce the server and bucket of ``connection``, then find out the version of the server.

    Raises ConfigError when it is not an InfluxDB that the loader knows, and what ``Patience.ask`` raises.
    """
    for notice in introduction(connection.target):
        observe(notice)
    return patience.ask(lambda: probe(connection), first=True)
