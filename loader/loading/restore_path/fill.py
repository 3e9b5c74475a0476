"""Fills the shards of a bucket, several at a time.

A few threads make the files of shards and send them; another one has the server prove what was sent, for several
shards together; the coordinator keeps the ledger. A shard is acknowledged when it is proven. A shard that is tried
again gets files of a new generation.

Memory is bounded by ``shards_at_a_time`` storage files and the rows that they are made of, see ``encode_shard``.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from queue import SimpleQueue

from loader.dataset.instant import instant
from loader.dataset.manifest import Manifest
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import LoadError, Retryable, StageError
from loader.events import Started, Waited
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger
from loader.loading.rejected import Rejections, most_rejected
from loader.loading.restore_path.attempt import generation_now
from loader.loading.restore_path.bucket import RestoredBucket
from loader.loading.restore_path.counting import SentShard
from loader.loading.restore_path.proving import prove_shards
from loader.loading.restore_path.sender import ShardSender
from loader.loading.restore_path.shards import Shard
from loader.loading.tally import Tally
from loader.quantities import counted
from loader.servers.retries import Retries
from loader.servers.transport import Connection
from loader.waiting import pause, take, take_within

_MOST_UNCOUNTED = 16
"""Shards that were sent and are not counted yet, beside which no other is begun."""
_GATHER_SECONDS = 0.1
"""How long a shard that was sent waits for others, to be counted together."""


def fill(
    made: RestoredBucket,
    manifest: Manifest,
    ledger: Ledger,
    known: KnownRows,
    tally: Tally,
    flow: Flow,
) -> tuple[int, Rejections]:
    """Restore the shards of ``made`` that are not acknowledged yet; return the rows of the others, and the rejections.

    Raises ShardClosed, and the errors of a load.
    """
    settings = tally.settings
    rejections = Rejections.of_load(settings.place.state, ledger, most_rejected(settings.max_rejected, manifest.rows))
    tally.rows_skipped = ledger.skipped
    restored = ledger.restored
    resumed = sum(restored.values())
    tally.observe(Started("load", manifest.rows, resumed))
    pending = [shard for shard in made.shards if shard.start not in restored]
    # Where there are fewer shards than connections, the files of a large one are made beside each other.
    threads = settings.shards_at_a_time // max(1, len(pending))
    sender = ShardSender(settings, manifest, made.ids, flow, known, made.existing, threads)
    first_generation = generation_now if made.existing is not None else lambda: 1
    _Restorer(ledger, rejections, tally, flow, sender, first_generation).run(pending)
    done = resumed + tally.rows
    if done == manifest.rows:
        ledger.finish()
    elif not flow.stop.is_set():
        rows = counted(manifest.rows - done, "row is", "rows are")
        raise StageError(
            f"{settings.dataset}: {rows} in no shard: times are not those that the manifest says of their partition",
            hint="stage the dataset again",
        )
    return resumed, rejections


@dataclass(frozen=True)
class _Attempt:
    """A shard to restore, ``delay`` seconds from now; ``retries`` knows how often it has failed."""

    shard: Shard
    retries: Retries
    delay: float = 0.0


@dataclass(frozen=True)
class _Sending:
    """How the sending of a shard ended: ``outcome`` is an error, or None when the load stops first."""

    attempt: _Attempt
    outcome: SentShard | BaseException | None


@dataclass(frozen=True)
class _Counting:
    """What the counts of ``sent`` shards say: for each an error, or None when all is there."""

    sent: Sequence[tuple[_Attempt, SentShard]]
    errors: Sequence[BaseException | None]


class _Restorer:
    """Restores shards, several at a time, and records which are done."""

    def __init__(
        self,
        ledger: Ledger,
        rejections: Rejections,
        tally: Tally,
        flow: Flow,
        sender: ShardSender,
        first_generation: Callable[[], int],
    ) -> None:
        self._settings = tally.settings
        self._ledger = ledger
        self._rejections = rejections
        self._tally = tally
        self._flow = flow
        self._sender = sender
        self._first_generation = first_generation
        self._jitter = random.Random()
        self._orders: SimpleQueue[tuple[_Attempt, int] | None] = SimpleQueue()
        self._to_count: SimpleQueue[Sequence[tuple[_Attempt, SentShard]] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[_Sending | _Counting] = SimpleQueue()
        self._sending = 0
        self._sent: list[tuple[_Attempt, SentShard]] = []
        self._counting: Sequence[tuple[_Attempt, SentShard]] = ()
        self._due = 0.0
        self._error: BaseException | None = None

    def run(self, shards: Iterable[Shard]) -> None:
        """Restore ``shards``; raises the first error that is not retried, once the running attempts have ended."""
        retry_seconds = self._settings.retry_seconds
        waiting = deque(_Attempt(shard, Retries(retry_seconds, self._jitter)) for shard in shards)
        links = [self._sender.connection() for _ in range(self._settings.shards_at_a_time + 1)]
        # Daemons: a second Ctrl-C must not wait for a reply that may take a minute.
        for link, work in zip(links, (self._count, *[self._send] * self._settings.shards_at_a_time), strict=True):
            threading.Thread(target=work, args=(link,), daemon=True).start()
        try:
            while self._sending or self._sent or self._counting or (waiting and not self._ending):
                while waiting and not self._ending and self._has_room:
                    attempt = waiting.popleft()
                    generation = self._ledger.begin_shard(attempt.shard.start, self._first_generation())
                    self._orders.put((attempt, generation))
                    self._sending += 1
                self._count_when_due()
                waiting.extendleft(self._record(take_within(self._outcomes, self._seconds_left)))
        except BaseException:
            # Nothing may go on once the ledger is closed: its lock is what keeps other loads out.
            self._flow.aborted.set()
            raise
        finally:
            for _ in range(self._settings.shards_at_a_time):
                self._orders.put(None)
            self._to_count.put(None)
        if self._error:
            raise self._error

    @property
    def _ending(self) -> bool:
        return self._flow.stopping or self._error is not None

    @property
    def _has_room(self) -> bool:
        """Whether another shard may begin."""
        return self._sending < self._settings.shards_at_a_time and not self._is_full([*self._sent, *self._counting])

    @property
    def _seconds_left(self) -> float:
        """Seconds until what was sent is to be counted; infinite when that is not for the time to decide."""
        return self._due - time.monotonic() if self._sent and not self._counting else inf

    def _is_full(self, uncounted: Sequence[tuple[_Attempt, SentShard]]) -> bool:
        """Tell whether no shard may begin before those that are ``uncounted`` are counted.

        With one connection, one shard is restored at a time. Rejected rows are kept in memory until they are counted.
        """
        most = _MOST_UNCOUNTED if self._settings.shards_at_a_time > 1 else 1
        return len(uncounted) >= most or any(sent.rejected for _, sent in uncounted)

    def _count_when_due(self) -> None:
        """Have what was sent counted, unless others will soon be counted with it."""
        due = not self._sending or self._is_full(self._sent) or self._seconds_left <= 0
        if self._sent and not self._counting and due:
            self._counting, self._sent = self._sent, []
            self._to_count.put(self._counting)

    def _send(self, link: Connection) -> None:
        """Send shards over ``link`` as ordered: the work of a thread."""
        workspace = Workspace()  # kept from one shard to the next
        with link:
            while (order := take(self._orders)) is not None:
                attempt, generation = order
                self._outcomes.put(_Sending(attempt, self._try(attempt, generation, link, workspace)))

    def _try(
        self, attempt: _Attempt, generation: int, link: Connection, workspace: Workspace
    ) -> SentShard | BaseException | None:
        """Send a shard, or return why not; None when the load stops first."""
        if attempt.retries.failures and pause(attempt.delay, self._flow.stop):
            return None
        try:
            return self._sender.send(link, attempt.shard, generation, workspace)
        except BaseException as error:
            return error

    def _count(self, link: Connection) -> None:
        """Have shards counted over ``link``: the work of a thread."""
        with link:
            while (sent := take(self._to_count)) is not None:
                errors: Sequence[BaseException | None]
                try:
                    errors = prove_shards(link, [shard for _, shard in sent])
                except BaseException as error:
                    errors = [error] * len(sent)
                self._outcomes.put(_Counting(sent, errors))
                del sent  # otherwise rejected rows would stay in memory until the next ones come

    def _record(self, outcome: _Sending | _Counting | None) -> list[_Attempt]:
        """Record ``outcome``, if there is one; return what is to be tried again."""
        match outcome:
            case _Sending(attempt, SentShard() as sent):
                self._sending -= 1
                if not self._sent:
                    self._due = time.monotonic() + _GATHER_SECONDS
                self._sent.append((attempt, sent))
            case _Sending(attempt, (BaseException() | None) as error):
                self._sending -= 1
                return self._fail(attempt, error)
            case _Counting(sent_shards, errors):
                self._counting = ()
                pairs = zip(sent_shards, errors, strict=True)
                return [again for (attempt, sent), error in pairs for again in self._judge(attempt, sent, error)]
        return []

    def _judge(self, attempt: _Attempt, sent: SentShard, error: BaseException | None) -> list[_Attempt]:
        """Acknowledge a shard in whose counts there is no error; otherwise return what is to be tried again."""
        if error:
            return self._fail(attempt, error)
        for answer in sent.answers:
            self._tally.observe(answer)
        self._rejections.keep(sent.rejected)
        self._ledger.acknowledge_shard(sent.shard.start, sent.rows, len(sent.rejected), sent.skipped)
        self._error = self._error or self._rejections.excess
        self._tally.reject(len(sent.rejected))
        self._tally.advance(sent.rows, sent.size, sent.size, sent.skipped)
        return []

    def _fail(self, attempt: _Attempt, error: BaseException | None) -> list[_Attempt]:
        """Return the next attempt after ``error``, if there is to be one; otherwise keep the error."""
        if not isinstance(error, Retryable):
            self._error = self._error or error
            return []
        delay = attempt.retries.delay(error)
        if delay is None:
            self._error = self._error or LoadError(
                f"the shard of {instant(attempt.shard.start)}: {attempt.retries.words(error)}",
                hint=error.hint or "run the same command again when the server is well: it resumes where it stopped",
            )
            return []
        self._tally.wait(Waited("retry", delay, error.message))
        return [replace(attempt, delay=delay)]
