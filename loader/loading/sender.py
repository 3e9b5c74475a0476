"""Sends payloads over a few connections, each in a thread of its own."""

from __future__ import annotations

import queue
import random
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from loader.errors import LoadError, PartialWrite, Retryable, TooLarge
from loader.events import Waited
from loader.loading.flow import Flow, Retries
from loader.loading.payloads import Payload
from loader.loading.rejected import RejectedLine
from loader.servers.base import Dialect, Reply, Target
from loader.servers.transport import Connection
from loader.waiting import join, take


@dataclass(frozen=True)
class Ack:
    """The server has the rows of ``payload``, but for ``rejected``. ``body_size`` is what went over the wire."""

    payload: Payload
    body_size: int
    rejected: tuple[RejectedLine, ...] = ()


@dataclass(frozen=True)
class NotSent:
    """The load stopped before the server took the payload."""


@dataclass(frozen=True)
class Failed:
    """A payload could not be sent, for good."""

    error: BaseException


Result = Ack | NotSent | Failed


@dataclass
class _Progress:
    """What has become of one payload so far."""

    body_size: int = 0
    rejected: list[RejectedLine] = field(default_factory=list)


def compressed(body: bytes, level: int) -> bytes:
    """Return ``body`` as gzip of ``level``; as it is for level 0."""
    return zlib.compress(body, level, wbits=31) if level else body


class Senders:
    """``connections`` threads that send payloads.

    At most twice as many payloads as connections are alive: one on its way and one waiting, for each.
    ``submit`` and ``drain`` yield waits, and one Result for each payload in the order of the replies;
    ``seconds_waited`` is how long they waited for those, because all connections were busy.
    """

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        flow: Flow,
        *,
        connections: int,
        gzip_level: int,
        retry_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._target = target
        self._dialect = dialect
        self._flow = flow
        self._gzip_level = gzip_level
        self._retry_seconds = retry_seconds
        self._timeout_seconds = timeout_seconds
        self._capacity = 2 * connections
        self._in_flight = 0
        self.seconds_waited = 0.0
        self._work: queue.Queue[Payload | None] = queue.Queue()
        self._results: queue.Queue[Waited | Result] = queue.Queue()
        # Daemons: a second Ctrl-C must not wait for a reply that may take a minute.
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def submit(self, payload: Payload) -> Iterator[Waited | Result]:
        """Hand over ``payload``; first yields what has happened, and waits for a free place."""
        while self._in_flight >= self._capacity or not self._results.empty():
            yield self._next()
        self._in_flight += 1
        self._work.put(payload)

    def drain(self) -> Iterator[Waited | Result]:
        """Yield until no payload is in flight, then end the threads."""
        while self._in_flight:
            yield self._next()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            join(thread)

    def _next(self) -> Waited | Result:
        started = time.monotonic()
        result = take(self._results)
        self.seconds_waited += time.monotonic() - started
        if not isinstance(result, Waited):
            self._in_flight -= 1
        return result

    def _run(self) -> None:
        jitter = random.Random()
        with Connection(self._target, self._timeout_seconds) as connection:
            while (payload := take(self._work)) is not None:
                try:
                    progress = _Progress()
                    done = self._deliver(connection, payload, progress, jitter)
                    ack = Ack(payload, progress.body_size, tuple(progress.rejected))
                    self._results.put(ack if done else NotSent())
                except BaseException as error:
                    self._flow.aborted.set()
                    self._results.put(Failed(error))

    def _deliver(self, connection: Connection, payload: Payload, progress: _Progress, jitter: random.Random) -> bool:
        """Bring ``payload`` to the server, in parts if it must be; return False when the load stops first."""
        try:
            return self._send(connection, payload, progress, jitter)
        except TooLarge as error:
            self._flow.remember_too_large(payload.size)
            if payload.chunk.rows == 1:
                progress.rejected.append(_rejected(payload, error.status, error.message))
                return True
        except PartialWrite as error:
            if payload.chunk.rows == 1:
                progress.rejected.append(_rejected(payload, error.status, error.message))
                return True
        # The server names at most one bad line, so halves find them all; good lines are merely written again.
        return all(self._deliver(connection, half, progress, jitter) for half in payload.halves())

    def _send(self, connection: Connection, payload: Payload, progress: _Progress, jitter: random.Random) -> bool:
        body = compressed(payload.body, self._gzip_level)
        retries = Retries(self._retry_seconds, jitter)
        while self._flow.wait():
            try:
                reply = self._write(connection, body)
                progress.body_size += len(body)
                self._dialect.classify_write(reply)
                return True
            except Retryable as error:
                delay = retries.delay(error)
                if delay is None:
                    raise LoadError(
                        f"{payload.chunk}: {retries.words(error)}",
                        hint="run the same command again when the server is well: it resumes where it stopped",
                    ) from error
                self._results.put(Waited("retry", delay, error.message))
                self._flow.pause(delay)
        return False

    def _write(self, connection: Connection, body: bytes) -> Reply:
        gzipped = self._gzip_level > 0
        request = self._dialect.build_write(self._target, body, gzipped=gzipped)
        return connection.send(request) if request else connection.write(body, gzipped=gzipped)


def _rejected(payload: Payload, status: int, message: str) -> RejectedLine:
    line = payload.body.decode("utf-8").removesuffix("\n")
    return RejectedLine(line, payload.chunk, status, message)
