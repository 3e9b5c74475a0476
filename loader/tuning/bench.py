"""One trial: sends the sample into a new scratch bucket by the code of a load, and measures how long that takes.

What is measured begins when the bucket has all its shards, because their making weighs little in a load and much in a
sample; it ends with the last acknowledgement. On the write path, rows are read from Parquet and encoded anew for each
trial, as in a load. Only where orders of rows are compared are lines sent from memory, in each order alike.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from loader.encoding.arrays import Integers
from loader.errors import LoadError
from loader.events import Answered, Waited
from loader.loading.flow import Flow, gzip_level
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.shards import plan_shards
from loader.loading.settings import LoadSettings
from loader.loading.shard_numbers import DEFAULT_DURATION
from loader.loading.write_path.connection_limit import fixed
from loader.loading.write_path.first_writes import FirstWrites
from loader.loading.write_path.payloads import Payload
from loader.loading.write_path.sender import Ack, Failed, Result, Senders
from loader.servers.backup import list_shards
from loader.servers.load_method import LoadMethod
from loader.servers.restore import ShardGroup
from loader.servers.transport import Connection
from loader.tuning.interruptible import interruptible
from loader.tuning.sample import Sample
from loader.tuning.scratch import Scratch
from loader.tuning.settings import TunedSettings, TuneSettings
from loader.waiting import Workers

RETRY_SECONDS = 10.0


@dataclass(frozen=True)
class Measured:
    """``rows`` points were acknowledged in ``seconds``, for which the loader took ``cpu_seconds`` of processors.

    The server refused ``refused`` lines.
    """

    rows: int
    seconds: float
    cpu_seconds: float
    refused: int = 0

    @property
    def rate(self) -> float:
        """Points a second."""
        return self.rows / self.seconds


@dataclass(frozen=True)
class Bench:
    """Runs trials; ``link`` is for questions. Setting ``stop`` ends one early.

    Memory is that of a load with the same settings, and of the sample.
    """

    settings: TuneSettings
    scratch: Scratch
    link: Connection
    stop: threading.Event

    def send(
        self, sample: Sample, chosen: TunedSettings, most_seconds: float, order: Integers | None = None
    ) -> Measured:
        """Send ``sample`` by the write path, from memory if there is an ``order``.

        After ``most_seconds`` no more is sent. Raises LoadError when the server takes nothing, Stopped, and the
        errors of a load.
        """
        with self.scratch.bucket(lambda: self.scratch.create(self.link.send)) as bucket:
            first_writes = FirstWrites(bucket.shard_duration)
            flow = Flow(chosen.batch_bytes, self.stop, len(sample.lines))

            def limit() -> int:
                return flow.body_limit

            if order is None:
                payloads = sample.payloads(chosen.batch_lines, limit)
            else:
                payloads = sample.replayed(order, chosen.batch_lines, limit)
            try:
                opening = iter([sample.opening()])
                interruptible(lambda: self._send(opening, TunedSettings(connections=1), flow, first_writes), self.stop)
                measured = interruptible(
                    lambda: self._send(payloads, chosen, flow, first_writes, most_seconds), self.stop
                )
            finally:
                flow.aborted.set()
        if not measured.rows:
            raise LoadError(
                f"{self.scratch.target.url}: the server took none of the lines that were sent",
                hint="loader load says which lines it does not take, and why",
            )
        return measured

    def _send(
        self,
        payloads: Iterator[Payload],
        chosen: TunedSettings,
        flow: Flow,
        first_writes: FirstWrites,
        most_seconds: float = 3_600.0,
    ) -> Measured:
        started, cpu = time.monotonic(), time.process_time()
        senders = Senders(
            self.scratch.target,
            self.scratch.server.dialect,
            flow,
            first_writes,
            fixed(chosen.connections),
            gzip_level=gzip_level(chosen.compress, self.scratch.target.url),
            retry_seconds=RETRY_SECONDS,
            timeout_seconds=self.scratch.timeout_seconds,
        )
        acknowledged = _Acknowledged()
        sent = 0
        for payload in payloads:
            # A trial that sent nothing would say nothing.
            if flow.stopping or (sent and time.monotonic() - started > most_seconds):
                break
            if len(payload):
                acknowledged.add(senders.submit(payload))
                sent += 1
        acknowledged.add(senders.drain())
        seconds = time.monotonic() - started
        if acknowledged.error:
            raise acknowledged.error
        return Measured(acknowledged.rows, seconds, time.process_time() - cpu, acknowledged.refused)

    def restore(self, sample: Sample, connections: int) -> Measured:
        """Send ``sample`` by the restore path; raises Stopped, and the errors of a load."""
        # Imported when they are used: they bring compiled encoders.
        from loader.encoding.tsm.encode.buffer import Workspace  # noqa: PLC0415
        from loader.loading.restore_path.sender import ShardSender  # noqa: PLC0415

        shards = plan_shards(sample.root, sample.manifest, DEFAULT_DURATION)
        groups = [ShardGroup(shard.start, shard.stop) for shard in shards]
        with self.scratch.bucket(
            lambda: self.scratch.create_with_shards(self.link.send, DEFAULT_DURATION, groups)
        ) as bucket:
            ids = {shard.start: shard.id for shard in list_shards(self.link.send, bucket)}
            told = self.settings
            settings = LoadSettings(told.dataset, self.scratch.target, LoadMethod.RESTORE, state=told.state)
            flow = Flow(0, self.stop)
            sender = ShardSender(settings, sample.manifest, ids, flow, KnownRows())

            def work() -> Measured:
                started, cpu = time.monotonic(), time.process_time()
                with Workers(connections) as workers:
                    answers = [workers.submit(sender.restore, shard, 1, Workspace()) for shard in shards]
                    restored = [answer.result() for answer in answers]
                rows = sum(each.rows - len(each.rejected) for each in restored)
                return Measured(rows, time.monotonic() - started, time.process_time() - cpu)

            try:
                return interruptible(work, self.stop)
            finally:
                flow.aborted.set()  # cuts off the uploads that a stop has left


class _Acknowledged:
    """Counts the points that the server has, and keeps the first error."""

    def __init__(self) -> None:
        self.rows = 0
        self.refused = 0
        self.error: BaseException | None = None

    def add(self, results: Iterator[Answered | Waited | Result]) -> None:
        """Count ``results`` as they come: each holds the lines of its payload."""
        for result in results:
            match result:
                case Ack():
                    self.rows += len(result.payload) - len(result.rejected)
                    self.refused += len(result.rejected)
                case Failed():
                    self.error = self.error or result.error
                case _:
                    pass
