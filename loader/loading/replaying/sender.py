"""Sends lines of rejected rows, and tells which of them the server has taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from loader.dataset.chunk import Chunk
from loader.encoding.line_protocol.encode import EncodedLines
from loader.events import Advanced, Answered, Observer, Waited
from loader.loading.flow import Flow, gzip_level
from loader.loading.ledger import Ledger
from loader.loading.rejected import RejectedLine
from loader.loading.replaying.entries import time_of
from loader.loading.replaying.settings import ReplaySettings
from loader.loading.settings import Sending
from loader.loading.write_path.connection_limit import adaptive
from loader.loading.write_path.first_writes import FirstWrites
from loader.loading.write_path.payloads import NO_ROWS, Payload
from loader.loading.write_path.results import Results
from loader.loading.write_path.sender import Ack, Senders
from loader.servers.base import Bucket, Dialect

_ANY_NUMBER = 1 << 62


@dataclass(frozen=True)
class ReplayedLine:
    """The line of a row that is sent again; ``edited`` tells whether it is another than that of the dataset's row."""

    partition: str
    row: int
    line: bytes
    edited: bool


@dataclass
class ReplaySender:
    """Sends lines over a few connections, and records in ``ledger`` what the server has taken; counts what it did.

    Memory is two bodies for each connection, and the refused lines of one call of ``send``.
    """

    settings: ReplaySettings
    dialect: Dialect
    bucket: Bucket
    ledger: Ledger
    observe: Observer
    stop: threading.Event
    rows: int = 0
    edited: int = 0
    payload_size: int = 0
    body_size: int = 0
    retries: int = 0
    refused: dict[tuple[str, int], RejectedLine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Any number of lines may be refused again: the limit was that of the load.
        rules = self.dialect.write_rules
        self._sending = Sending.by(self.settings.write, self.settings.connections, rules)
        self._flow = Flow(self._sending.batch_bytes, self.stop, _ANY_NUMBER)
        self._first_writes = FirstWrites(self.bucket.shard_duration, alone=rules.first_alone)
        self._edited: set[tuple[str, int]] = set()
        self._results = Results(self._flow, self._acknowledge, self._tell)

    def send(self, lines: Sequence[ReplayedLine]) -> None:
        """Send ``lines``; afterwards ``refused`` has those of them that were refused, by partition and row.

        Raises the first error, once what was on its way is recorded.
        """
        self.refused.clear()
        self._edited = {(line.partition, line.row) for line in lines if line.edited}
        senders = Senders(
            self.settings.target,
            self.dialect,
            self._flow,
            self._first_writes,
            adaptive(self._sending.connections),
            gzip_level=gzip_level(self.settings.write.compress, self.settings.target.url),
            retry_seconds=self.settings.retry_seconds,
            timeout_seconds=self.settings.timeout_seconds,
        )
        try:
            for payload in self._payloads(lines):
                if self._flow.stopping:
                    break
                self._results.record(senders.submit(payload))
        except KeyboardInterrupt:
            self._flow.aborted.set()
            raise
        self._results.record(senders.drain())
        if self._results.error:
            raise self._results.error

    def _payloads(self, lines: Sequence[ReplayedLine]) -> Iterator[Payload]:
        for partition, group in groupby(lines, key=lambda line: line.partition):
            held: list[ReplayedLine] = []
            size = 0
            for line in group:
                full = len(held) == self._sending.batch_lines
                if held and (full or size + len(line.line) > self._flow.body_limit):
                    yield _payload(partition, held)
                    held, size = [], 0
                held.append(line)
                size += len(line.line) + 1
            yield _payload(partition, held)

    def _tell(self, event: Answered | Waited) -> None:
        self.retries += isinstance(event, Waited) and event.cause == "retry"
        self.observe(event)

    def _acknowledge(self, ack: Ack) -> None:
        partition = ack.payload.chunk.partition
        refused = {(partition, each.chunk.start): each for each in ack.rejected}
        self.refused |= refused
        rows = [row for row in ack.payload.line_rows.tolist() if (partition, row) not in refused]
        taken = {row: (partition, row) in self._edited for row in rows}
        self.ledger.acknowledge_replayed(partition, taken)
        self.rows += len(taken)
        self.edited += sum(taken.values())
        self.payload_size += ack.payload.size
        self.body_size += ack.body_size
        self.observe(Advanced(len(taken), ack.body_size))


def _payload(partition: str, lines: Sequence[ReplayedLine]) -> Payload:
    data = b"".join(line.line + b"\n" for line in lines)
    offsets = np.cumsum([0, *(len(line.line) + 1 for line in lines)])
    rows = np.array([line.row for line in lines], np.int64)
    times = np.array([time_of(line.line) or 0 for line in lines], np.int64)
    chunk = Chunk(partition, int(rows.min()), int(rows.max()) + 1)
    return Payload(chunk, EncodedLines(data, offsets, rows, times), 0, len(lines), lineless=NO_ROWS)
