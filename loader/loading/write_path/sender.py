"""Sends payloads over several connections, each in a thread of its own, as many at a time as the server is fit for."""

from __future__ import annotations

import queue
import random
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from loader.errors import LoadError, PartialWrite, Retryable, TooLarge
from loader.events import Answered, Waited
from loader.loading.flow import Flow
from loader.loading.rejected import RejectedLine
from loader.loading.write_path.connection_limit import ConnectionLimit
from loader.loading.write_path.first_writes import FirstWrites
from loader.loading.write_path.gate import Gate
from loader.loading.write_path.payloads import Payload
from loader.servers.base import Dialect, Reply, Target
from loader.servers.retries import Retries
from loader.servers.transport import Connection
from loader.waiting import join, take

MOST_BYTES_IN_FLIGHT = 128 << 20
"""Bytes of line protocol that wait, or are on their way, at most; one payload may be larger."""
_SAMPLE = 8
"""Lines of a refused body that are tried alone."""
_FEW = 64
"""A refused body of up to so many lines is halved without trying a sample first."""


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
    """A payload could not be sent and is not retried; ``ack`` is for its first lines, if the server took some."""

    error: BaseException
    ack: Ack | None = None


Result = Ack | NotSent | Failed


@dataclass
class _Progress:
    """What has become of one payload so far: its first ``lines`` lines are done, ``rejected`` are among them."""

    lines: int = 0
    body_size: int = 0
    rejected: list[RejectedLine] = field(default_factory=list)
    looked_ahead: bool = False

    def ack(self, payload: Payload) -> Ack | None:
        """Return the acknowledgement of the lines of ``payload`` that are done, None for none."""
        if not self.lines:
            return None
        done = payload if self.lines == len(payload) else payload.before(self.lines)
        return Ack(done, self.body_size, tuple(self.rejected))


def compressed(body: bytes, level: int) -> bytes:
    """Return ``body`` as gzip of ``level``; as it is for level 0."""
    return zlib.compress(body, level, wbits=31) if level else body


class Senders:
    """Threads that send payloads, as many at a time as ``limit`` says after each answer.

    In memory are at most twice as many payloads as connections, one in flight and one waiting for each, and of these
    at most MOST_BYTES_IN_FLIGHT, or one. ``submit`` and ``drain`` yield waits and answers, and one Result for each
    payload in the order of the replies; ``seconds_waited`` is how long they waited for these, because all connections
    were busy.
    """

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        flow: Flow,
        first_writes: FirstWrites,
        limit: ConnectionLimit,
        *,
        gzip_level: int,
        retry_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._target = target
        self._dialect = dialect
        self._flow = flow
        self._first_writes = first_writes
        self._gzip_level = gzip_level
        self._retry_seconds = retry_seconds
        self._timeout_seconds = timeout_seconds
        self._gate = Gate(limit)
        self._in_flight = 0
        self._bytes_in_flight = 0
        self.seconds_waited = 0.0
        self._work: queue.Queue[Payload | None] = queue.Queue()
        self._results: queue.Queue[tuple[Answered | Waited | Result, int]] = queue.Queue()
        self._threads: list[threading.Thread] = []

    @property
    def connections(self) -> int:
        """How many connections there have been at most."""
        return len(self._threads)

    def submit(self, payload: Payload) -> Iterator[Answered | Waited | Result]:
        """Queue ``payload``, after yielding the results that are there and waiting for a free place."""
        while self._is_full(payload) or not self._results.empty():
            yield self._next()
        if len(self._threads) < min(self._in_flight + 1, self._gate.limit):
            # A daemon: a second Ctrl-C must not wait for a reply that may take a minute.
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()
        self._in_flight += 1
        self._bytes_in_flight += payload.size
        self._work.put(payload)

    def _is_full(self, payload: Payload) -> bool:
        """Tell whether ``payload`` has to wait for a free place."""
        full = self._in_flight >= 2 * self._gate.limit
        return full or (self._in_flight > 0 and self._bytes_in_flight + payload.size > MOST_BYTES_IN_FLIGHT)

    def drain(self) -> Iterator[Answered | Waited | Result]:
        """Yield until no payload is in flight, then end the threads."""
        while self._in_flight:
            yield self._next()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            join(thread)

    def _next(self) -> Answered | Waited | Result:
        started = time.monotonic()
        result, size = take(self._results)
        self.seconds_waited += time.monotonic() - started
        if not isinstance(result, Answered | Waited):
            self._in_flight -= 1
            self._bytes_in_flight -= size
        return result

    def _run(self) -> None:
        jitter = random.Random()
        with Connection(self._target, self._timeout_seconds) as connection:
            while (payload := take(self._work)) is not None:
                self._results.put((self._bring(connection, payload, jitter), payload.size))

    def _bring(self, connection: Connection, payload: Payload, jitter: random.Random) -> Result:
        """Deliver ``payload`` to the server and return the result."""
        progress = _Progress()
        try:
            self._deliver(connection, payload, progress, jitter)
        except BaseException as error:
            self._flow.aborted.set()
            return Failed(error, progress.ack(payload))
        return progress.ack(payload) or NotSent()

    def _deliver(self, connection: Connection, payload: Payload, progress: _Progress, jitter: random.Random) -> bool:
        """Deliver ``payload`` to the server, in parts if necessary; return False when the load stops first."""
        try:
            if not self._send(connection, payload, progress, jitter):
                return False
        except (TooLarge, PartialWrite) as error:
            if isinstance(error, TooLarge):
                self._flow.remember_too_large(payload.size)
            elif _names_rows(error, payload):
                for line, words in sorted(error.lines.items()):
                    progress.rejected.append(_rejected(payload.slice(line, line + 1), error.status, words))
                progress.lines += len(payload)
                self._flow.count_rejected(len(error.lines))
                return True
            if len(payload) > 1:
                most = max(self._flow.rejections_left, _FEW)
                if not progress.looked_ahead and len(payload) > most:
                    progress.looked_ahead = True
                    self._look_ahead(connection, payload, jitter)
                # InfluxDB 1 and 2 name at most one bad line, so halves find them; good lines are written again.
                return all(self._deliver(connection, half, progress, jitter) for half in payload.halves())
            progress.rejected.append(_rejected(payload, error.status, error.message))
            progress.lines += 1
            self._flow.count_rejected()
            return True
        progress.lines += len(payload)
        return True

    def _look_ahead(self, connection: Connection, payload: Payload, jitter: random.Random) -> None:
        """Raise LoadError when every line of a sample is refused; for payloads of more lines than may be rejected.

        Otherwise, when a field has another type in the bucket, halving would find the lines of a body one by one.
        """
        last: PartialWrite | TooLarge | None = None
        for number in range(_SAMPLE):
            line = number * (len(payload) - 1) // (_SAMPLE - 1)
            try:
                self._send(connection, payload.slice(line, line + 1), _Progress(), jitter)
            except (TooLarge, PartialWrite) as error:
                last = error
            else:
                return
        assert last is not None
        raise LoadError(
            f"{payload.chunk}: the server refused all {_SAMPLE} lines that were tried of these, more than"
            f" the {self._flow.rejections_left:,} that may still be rejected; it said {last.status}: {last.message}",
            hint="mend what the server does not like, load into another bucket, or allow more with --max-rejected",
        )

    def _send(self, connection: Connection, payload: Payload, progress: _Progress, jitter: random.Random) -> bool:
        body = compressed(payload.body, self._gzip_level)
        spans = self._first_writes.spans(payload.times)
        retries = Retries(self._retry_seconds, jitter)
        while self._flow.wait():
            began = time.monotonic()
            try:
                with self._gate.passing(self._is_stopping) as passed:
                    if not passed:
                        break
                    with self._first_writes.sending(spans, self._is_stopping) as free:
                        if not free:
                            break
                        began = time.monotonic()
                        reply = self._write(connection, body)
                        progress.body_size += len(body)
                        self._dialect.classify_write(reply)
                self._gate.answered(began, payload.size, waiting=not self._work.empty())
                return True
            except Retryable as error:
                self._gate.refused(began)
                delay = retries.delay(error)
                if delay is None:
                    raise LoadError(
                        f"{payload.chunk}: {retries.words(error)}",
                        hint="run the same command again when the server is well: it resumes where it stopped",
                    ) from error
                self._results.put((Waited("retry", delay, error.message), 0))
                self._flow.pause(delay)
        return False

    def _write(self, connection: Connection, body: bytes) -> Reply:
        began = time.monotonic()
        reply = connection.send(self._dialect.build_write(self._target, body, gzipped=self._gzip_level > 0))
        self._results.put((Answered(time.monotonic() - began, len(body)), 0))
        return reply

    def _is_stopping(self) -> bool:
        return self._flow.stopping


def _names_rows(error: PartialWrite, payload: Payload) -> bool:
    """Tell whether ``error`` names the refused lines, and each number is that of a line of ``payload``.

    A server counts lines; a newline within a string would make its numbers doubtful.
    """
    lines = error.lines
    return (
        error.rest_stored
        and bool(lines)
        and 0 <= min(lines) <= max(lines) < len(payload)
        and payload.body.count(b"\n") == len(payload)
    )


def _rejected(payload: Payload, status: int, words: str) -> RejectedLine:
    line = payload.body.decode("utf-8").removesuffix("\n")
    return RejectedLine(line, payload.first_row, status, words)
