"""The restore path: loads a dataset into a new bucket of InfluxDB 2.x, as storage files over its restore API.

Shards are planned from the partitions' times. A few threads make their files and send them; the coordinator keeps
the ledger. A shard is acknowledged when the server has counted its points, because the reply to an upload proves
nothing. A shard that is tried again gets files of a new generation.

Memory is bounded by ``connections`` storage files and the rows that they are made of, see ``encode_shard``.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from queue import SimpleQueue

from loader.dataset.adopt import keep_manifest
from loader.dataset.instant import instant
from loader.dataset.manifest import Manifest
from loader.dataset.policy import OnDuplicate
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import LoadError, Retryable, StageError
from loader.events import Notice, Observer, Started, Waited
from loader.loading.flow import Flow
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger, opened_ledger
from loader.loading.look import look_through
from loader.loading.rejected import Rejections
from loader.loading.restore_path.bucket import BucketMaker, RestoredBucket
from loader.loading.restore_path.sender import Restored, ShardClosed, ShardSender
from loader.loading.restore_path.shards import DEFAULT_DURATION, Shard, check_duration, plan_shards
from loader.loading.restore_path.storage_files import encode_shard, prepare_encoders
from loader.loading.settings import LoadReport, LoadSettings
from loader.loading.tally import DRY_RUN, Tally
from loader.quantities import counted
from loader.servers.patience import Patience, find_server
from loader.servers.retries import Retries
from loader.servers.transport import Connection
from loader.waiting import pause, take


def restore(settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event) -> LoadReport:
    """Load the dataset of ``manifest`` as :func:`loader.loading.load` promises."""
    check_duration(settings.shard_duration)
    tally = Tally(settings, observe)
    flow = Flow(0, stop)
    if settings.dry_run:
        return _encode_all(manifest, tally, flow)
    with opened_ledger(settings.place.state) as database, Connection(settings.target, settings.timeout_seconds) as link:
        # Marks and attempts must be on disk before what they announce is done.
        database.execute("PRAGMA synchronous = FULL")
        patience = Patience(settings.retry_seconds, tally.wait, stop)
        server = find_server(link, observe, patience)
        maker = BucketMaker(settings, manifest, database, link, server, observe, patience)
        # The marks of buckets know which rows are moved.
        moving = settings.on_duplicate == OnDuplicate.NUDGE
        bucket = None if moving else maker.find()
        manifest, known = look_through(tally, manifest, stop)
        if stop.is_set():
            return tally.report(server.name, manifest, stopped=True)
        if moving:
            maker = replace(maker, manifest=manifest)
            bucket = maker.find()
        keep_manifest(settings.place, manifest)
        tally.started += prepare_encoders(observe)
        try:
            made = maker.prepare(bucket, afresh=settings.restart)
            resumed, rejections = _fill(made, manifest, database, known, tally, flow)
        except ShardClosed as error:
            # A request that was cut off by a kill may have closed the shard, too: the same command must still work.
            observe(Notice(f"{error.message}: the bucket, which this load made, is made anew"))
            tally.begin_again()
            made = maker.prepare(maker.find(), afresh=True)
            resumed, rejections = _fill(made, manifest, database, known, tally, flow)
    return tally.report(
        server.name,
        manifest,
        resumed,
        stopped=stop.is_set(),
        rejections=rejections,
        rows_replaced=known.rows_superseded,
    )


def _fill(
    made: RestoredBucket,
    manifest: Manifest,
    database: sqlite3.Connection,
    known: KnownRows,
    tally: Tally,
    flow: Flow,
) -> tuple[int, Rejections]:
    """Restore the shards of ``made`` that are not acknowledged yet; return the rows of the others, and the rejections.

    Raises ShardClosed, and the errors of a load.
    """
    settings = tally.settings
    ledger = Ledger.begin(database, settings.target, made.bucket.id, manifest.fingerprint, restart=False)
    rejections = Rejections.of_load(settings.place.state, ledger, settings.max_rejected)
    restored = ledger.restored
    resumed = sum(restored.values())
    tally.observe(Started("load", manifest.rows, resumed))
    pending = [shard for shard in made.shards if shard.start not in restored]
    sender = ShardSender(settings, manifest, made.ids, flow, known)
    _Restorer(settings, ledger, rejections, tally, flow, sender).run(pending)
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


class _Restorer:
    """Restores shards, several at a time, and records which are done."""

    def __init__(
        self,
        settings: LoadSettings,
        ledger: Ledger,
        rejections: Rejections,
        tally: Tally,
        flow: Flow,
        sender: ShardSender,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._rejections = rejections
        self._tally = tally
        self._flow = flow
        self._sender = sender
        self._jitter = random.Random()
        self._orders: SimpleQueue[tuple[_Attempt, int] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[tuple[_Attempt, Restored | BaseException | None]] = SimpleQueue()
        self._error: BaseException | None = None

    def run(self, shards: Iterable[Shard]) -> None:
        """Restore ``shards``; raises the first error that is not retried, once the running attempts have ended."""
        waiting = deque(_Attempt(shard, Retries(self._settings.retry_seconds, self._jitter)) for shard in shards)
        # Daemons: a second Ctrl-C must not wait for a reply that may take a minute.
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._settings.connections)]
        for thread in threads:
            thread.start()
        running = 0
        try:
            while running or (waiting and not self._flow.stopping and not self._error):
                while waiting and running < len(threads) and not self._flow.stopping and not self._error:
                    attempt = waiting.popleft()
                    self._orders.put((attempt, self._ledger.begin_shard(attempt.shard.start)))
                    running += 1
                attempt, outcome = take(self._outcomes)
                running -= 1
                waiting.extendleft(self._record(attempt, outcome))
        except BaseException:
            # Nothing may go on once the ledger is closed: its lock is what keeps other loads out.
            self._flow.aborted.set()
            raise
        finally:
            for _ in threads:
                self._orders.put(None)
        if self._error:
            raise self._error

    def _work(self) -> None:
        workspace = Workspace()  # kept from one shard to the next
        while (order := take(self._orders)) is not None:
            attempt, generation = order
            try:
                self._outcomes.put((attempt, self._restore(attempt, generation, workspace)))
            except BaseException as error:
                self._outcomes.put((attempt, error))

    def _record(self, attempt: _Attempt, outcome: Restored | BaseException | None) -> list[_Attempt]:
        """Record how ``attempt`` ended; return what is to be tried again."""
        match outcome:
            case Restored(rows, size, rejected, answers):
                for answer in answers:
                    self._tally.observe(answer)
                self._rejections.keep(rejected)
                self._ledger.acknowledge_shard(attempt.shard.start, rows, len(rejected))
                self._error = self._error or self._rejections.excess
                self._tally.reject(len(rejected))
                self._tally.advance(rows, size, size)
            case Retryable():
                return self._again(attempt, outcome)
            case BaseException():
                self._error = self._error or outcome
        return []

    def _again(self, attempt: _Attempt, error: Retryable) -> list[_Attempt]:
        delay = attempt.retries.delay(error)
        if delay is None:
            self._error = self._error or LoadError(
                f"the shard of {instant(attempt.shard.start)}: {attempt.retries.words(error)}",
                hint=error.hint or "run the same command again when the server is well: it resumes where it stopped",
            )
            return []
        self._tally.wait(Waited("retry", delay, error.message))
        return [replace(attempt, delay=delay)]

    def _restore(self, attempt: _Attempt, generation: int, workspace: Workspace) -> Restored | None:
        """Restore a shard; return None when the load stops first."""
        if attempt.retries.failures and pause(attempt.delay, self._flow.stop):
            return None
        return self._sender.restore(attempt.shard, generation, workspace)


def _encode_all(manifest: Manifest, tally: Tally, flow: Flow) -> LoadReport:
    """Do everything that a load does except sending, and keep nothing."""
    settings = tally.settings
    rejections = Rejections(settings.place.state, "none", settings.max_rejected, 0)
    manifest, known = look_through(tally, manifest, flow.stop)
    tally.started += prepare_encoders(tally.observe)
    workspace = Workspace()
    tally.observe(Started("dry run", manifest.rows))
    duration = settings.shard_duration or DEFAULT_DURATION
    files = (
        file
        for shard in plan_shards(settings.place.root, manifest, duration)
        for file in encode_shard(settings.place.root, manifest, shard, 1, workspace, known)
    )
    for file in files:
        rejections.count(file.rejected)
        tally.reject(len(file.rejected))
        tally.advance(file.rows, file.content.size, file.content.size)
        if flow.stopping:
            break
    return tally.report(
        DRY_RUN, manifest, stopped=flow.stop.is_set(), rejections=rejections, rows_replaced=known.rows_superseded
    )
