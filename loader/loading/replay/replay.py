"""Sends the rejected rows of a load again, after a fix of the server, of their lines, or of the mapping.

Rows that the server takes are acknowledged in the ledger, and leave the rejected file; others stay there, with their
new reason. What the server has taken is recorded body by body, and the file is replaced as a whole: so a replay that
was killed is run again, and sends nothing twice but what was on its way.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loader.dataset.adopt import keep_manifest
from loader.dataset.chunk import RejectedRow
from loader.dataset.manifest import Manifest
from loader.dataset.opened import opened_dataset
from loader.dataset.rejected_file import RejectedFile
from loader.errors import ConfigError
from loader.events import Notice, Observer, Rejected, Started, Waited, ignore
from loader.loading.identities import look_at_identities
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger, has_ledger, opened_ledger
from loader.loading.rejected import describe, entry_of
from loader.loading.replay.encode import encode_rows
from loader.loading.replay.entries import Entry, read_entries
from loader.loading.replay.remapping import is_relaxed, remap
from loader.loading.replay.sender import ReplayedLine, ReplaySender
from loader.loading.replay.settings import ReplayReport, ReplaySettings
from loader.servers.base import Bucket
from loader.servers.patience import Patience, find_server
from loader.servers.probe import Server
from loader.servers.transport import Connection

_MOST_REMEMBERED = 1_000_000
"""Replayed rows in the ledger, after which the rejected file is replaced and the replay goes on with the rest."""


def replay(settings: ReplaySettings, observe: Observer = ignore, stop: threading.Event | None = None) -> ReplayReport:
    """Send the rejected rows of the load of a dataset into a bucket again, from where an earlier replay stopped.

    A row whose line in the rejected file was edited is sent as that line; other rows are encoded again, by the
    settings' mapping if there is one. Setting ``stop`` finishes what is in flight, records it and returns a report that
    says ``interrupted``. Memory is bounded by BATCH_ENTRIES or BATCH_BYTES of the file, and one batch of the dataset.
    Raises ConfigError, before anything is sent, where there is no such load, and for an entry of the file that is no
    rejected row; StageError, ServerError, EncodeError and LoadError as a load does.
    """
    started = time.monotonic()
    stop = stop or threading.Event()
    for name, value, least in (("connections", settings.connections, 1), ("retry seconds", settings.retry_seconds, 0)):
        if not value >= least:  # also for NaN
            raise ConfigError(f"{name} of {value}", hint=f"use {least} or more")
    place = settings.place
    waits: list[Waited] = []

    def wait(event: Waited) -> None:
        waits.append(event)
        observe(event)

    if not has_ledger(place.state):
        raise ConfigError(f"{settings.dataset}: nothing of it was loaded", hint="load it first: loader load")
    with opened_dataset(place.root, observe, stop, place.state) as former:
        server, bucket = _find(settings, observe, Patience(settings.retry_seconds, wait, stop))
        with opened_ledger(place.state) as database:
            other = remap(place, former, settings.mapping, observe) if settings.mapping else None
            ledger, manifest = _load_of(database, settings, bucket, former, other, observe)
            file = RejectedFile(place.state, ledger.name)
            sender = ReplaySender(settings, server.dialect, bucket, ledger, observe, stop)
            run = _Replay(settings.place.root, manifest, other or manifest, ledger, file, sender)
            run.run()
            rejected, done = ledger.rejected, ledger.rows_done
            skipped = ledger.skipped
    return ReplayReport(
        server=server.name,
        rows=manifest.rows,
        rows_replayed=sender.rows,
        rows_edited=sender.edited,
        rows_acknowledged=done - rejected - skipped,
        rows_rejected=rejected,
        rows_absent=max(0, rejected - run.kept),
        rows_skipped=skipped,
        rows_left=manifest.rows - done,
        payload_size=sender.payload_size,
        body_size=sender.body_size,
        seconds=time.monotonic() - started,
        retries=sender.retries + len(waits),
        interrupted=stop.is_set() and run.left > 0,
        rejected_path=str(file.path) if run.kept else "",
        first_rejected=run.first,
        fingerprint=manifest.fingerprint,
    )


def _find(settings: ReplaySettings, observe: Observer, patience: Patience) -> tuple[Server, Bucket]:
    with Connection(settings.target, settings.timeout_seconds) as link:
        server = find_server(link, observe, patience)
        bucket = patience.ask(lambda: server.dialect.find_bucket(link.send, settings.target))
    if bucket is None:
        raise ConfigError(
            f"bucket {settings.target.bucket!r} does not exist", hint="name the bucket of the load: --bucket"
        )
    return server, bucket


def _load_of(
    database: sqlite3.Connection,
    settings: ReplaySettings,
    bucket: Bucket,
    manifest: Manifest,
    other: Manifest | None,
    observe: Observer,
) -> tuple[Ledger, Manifest]:
    """Return the ledger of the load into ``bucket``, and the manifest by which its rows are points from now on.

    That is ``other`` where it makes points of rejected rows only. Raises ConfigError when there is no such load.
    """
    ledger = Ledger.find(database, settings.target, bucket.id, manifest.fingerprint)
    if other and is_relaxed(manifest, other):
        former = Ledger.find(database, settings.target, bucket.id, other.fingerprint)
        if former is None and ledger:
            ledger.rename(other.fingerprint)
        if former is None or ledger is None:  # without the latter, a replay was killed after the line above
            keep_manifest(settings.place, other)
            observe(Notice("this mapping is kept: it makes the same points of all other rows"))
            ledger, manifest = ledger or former, other
    if ledger is None:
        raise ConfigError(
            f"{settings.dataset}: was not loaded into bucket {bucket.name!r} as it is now: nothing of it is rejected",
            hint="loader status shows the last load; name its bucket: --bucket",
        )
    return ledger, manifest


@dataclass
class _Replay:
    """Goes through the rejected file. Afterwards it has ``kept`` entries, and ``left`` of them were not sent."""

    root: Path
    manifest: Manifest
    other: Manifest
    ledger: Ledger
    file: RejectedFile
    sender: ReplaySender
    kept: int = 0
    left: int = 0
    first: str = ""

    def run(self) -> None:
        """Send all entries of the file, and replace it."""
        entries = sum(map(len, self._entries()))  # an entry that is none costs no other one its sending
        self.sender.observe(Started("replay", entries))
        done, more = 0, entries > 0
        while more:
            done, more = self._pass(done)
            self.ledger.replayed.settle()

    def _entries(self) -> Iterator[list[Entry]]:
        return read_entries(self.file, {partition.path: partition for partition in self.manifest.partitions})

    def _pass(self, done: int) -> tuple[int, bool]:
        """Send entries behind the first ``done`` ones, and replace the file; return how many are done, and if more are.

        Those that are done stay in the file, before the others.
        """
        most = self.sender.rows + _MOST_REMEMBERED
        seen, more = 0, False
        self.kept, self.left = done, 0
        with self.file.replaced() as write:
            for entries in self._entries():
                behind = max(0, done - seen)
                seen += len(entries)
                for entry in entries[:behind]:
                    write(entry.text)
                batch = entries[behind:]
                more = more or (self.sender.rows >= most and bool(batch))
                if more or self.sender.stop.is_set():
                    texts = [entry.text for entry in batch]
                    self.left += len(batch)
                else:
                    texts = self._send(batch)
                for text in texts:
                    write(text)
                self.kept += len(texts)
        return self.kept - self.left, more

    def _send(self, batch: Sequence[Entry]) -> list[bytes]:
        """Send the rows of ``batch``; return the entries that stay, with their new reasons."""
        pending = [entry for entry in batch if entry.address not in self.ledger.replayed]
        found = self._encode(pending)
        lines = []
        for entry in pending:
            line, edited = found[entry]
            if isinstance(line, bytes):
                lines.append(ReplayedLine(*entry.address, line, edited))
            elif line is None:
                self.ledger.acknowledge_replayed(entry.partition, {entry.row: False}, skipped=True)
        self.sender.send(sorted(lines, key=lambda line: line.partition))
        texts = []
        rejected = 0
        for entry in pending:
            line, _ = found[entry]
            refused = line if isinstance(line, RejectedRow) else self.sender.refused.get(entry.address)
            if refused is not None:
                rejected += 1
                self.first = self.first or describe(refused)
                texts.append(json.dumps(entry_of(refused)).encode() + b"\n")
            elif entry.address not in self.ledger.replayed:
                self.left += 1
                texts.append(entry.text)
        if rejected:
            self.sender.observe(Rejected(rejected))
        return texts

    def _encode(self, entries: Sequence[Entry]) -> dict[Entry, tuple[bytes | RejectedRow | None, bool]]:
        """Return for each entry the line to send or why there is none, and whether it is not that of the dataset."""
        found = {}
        for path in dict.fromkeys(entry.partition for entry in entries):
            mine = [entry for entry in entries if entry.partition == path]
            lines = self._lines(self.manifest, KnownRows(), path, mine)
            # Which values later rows replace is a search through the dataset, which lines that are as they were spare.
            if any(isinstance(lines[entry.row], bytes) and entry.line != lines[entry.row] for entry in mine):
                lines = self._lines(self.manifest, self._known, path, mine)
            others = lines
            if self.other is not self.manifest:
                others = self._lines(self.other, self._other_known, path, mine)
            for entry in mine:
                same = entry.line is None or entry.line == lines[entry.row]
                line = others[entry.row] if same else entry.line
                found[entry] = line, line != lines[entry.row]
        return found

    def _lines(
        self, manifest: Manifest, known: KnownRows, path: str, entries: Sequence[Entry]
    ) -> Mapping[int, bytes | RejectedRow | None]:
        partition = next(each for each in self.manifest.partitions if each.path == path)
        rows = sorted({entry.row for entry in entries})
        return encode_rows(self.root, manifest.schema_of(path), partition, rows, known)

    @cached_property
    def _known(self) -> KnownRows:
        return look_at_identities(self.root, self.manifest, ignore, self.sender.stop)

    @cached_property
    def _other_known(self) -> KnownRows:
        return look_at_identities(self.root, self.other, ignore, self.sender.stop)
