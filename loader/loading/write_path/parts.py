"""Writes a dataset as line protocol into files, for servers that cannot be reached from here.

A part is a gzip file of up to PART_BYTES bytes of whole lines, which every server takes as one request. It has its
name once it is whole and on disk; then its rows are acknowledged, all in one step. So a run that was killed leaves at
most one part that the ledger does not know: the next run gives another part its name, which begins with the same rows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from loader.dataset.adopt import keep_manifest
from loader.dataset.atomic import write_whole
from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest
from loader.encoding.warm import compile_ahead, compile_line_encoder
from loader.errors import ConfigError, LoadError, StageError
from loader.events import Notice, Observer, Started
from loader.loading.flow import gzip_level
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger
from loader.loading.look import look_through
from loader.loading.rejected import Rejections, most_rejected
from loader.loading.settings import FolderTarget, LoadReport, LoadSettings
from loader.loading.tally import Tally
from loader.loading.write_path.payloads import Payload, payloads
from loader.loading.write_path.sender import compressed
from loader.quantities import counted
from loader.servers.base import WriteRules
from loader.servers.load_method import LoadMethod

PART_BYTES = 10_000_000
"""Most bytes of a part before compression, unless a line is longer: InfluxDB 3 takes 10 MiB, others more."""
SUFFIX = ".lp.gz"


def write_parts(settings: LoadSettings, manifest: Manifest, observe: Observer, stop: threading.Event) -> LoadReport:
    """Write the dataset of ``manifest`` as :func:`loader.loading.load` promises; memory is three parts and a batch.

    Raises ConfigError for a compression other than gzip, LoadError when a part cannot be written.
    """
    level = gzip_level(settings.write.compress, settings.target.url)
    if not level:
        raise ConfigError("parts without compression", hint="leave it out, or use gzip:1 to gzip:9")
    assert isinstance(settings.target, FolderTarget)
    folder = settings.target.folder
    tally = Tally(replace(settings, via=LoadMethod.WRITE), observe)
    manifest, known = look_through(tally, manifest, stop)
    if stop.is_set():
        return tally.report(str(folder), manifest, stopped=True)
    ledger_key = (settings.place.state, settings.target, "", manifest.fingerprint)
    with Ledger.opened(*ledger_key, restart=settings.restart) as ledger:
        keep_manifest(settings.place, manifest)
        most = most_rejected(settings.max_rejected, manifest.rows)
        rejections = Rejections.of_load(settings.place.state, ledger, most)
        tally.rows_skipped = ledger.skipped
        pending = [chunk for partition in manifest.partitions for chunk in ledger.rows.pending(partition)]
        resumed = manifest.rows - sum(chunk.rows - ledger.rows.count_scattered(chunk) for chunk in pending)
        writer = _PartWriter(folder, f"part-{manifest.fingerprint[:8]}", level, ledger, rejections, tally)
        writer.tell_others()
        tally.started += compile_ahead(compile_line_encoder, "encoder", tally.observe)
        observe(Started("load", manifest.rows, resumed))
        for payload in _encoded(settings, manifest, pending, known, ledger):
            writer.add(payload)
            if stop.is_set():
                break
        writer.write()
        if resumed + tally.rows == manifest.rows:
            ledger.finish()
        name = f"{counted(ledger.parts, 'part')} in {folder}"
    return tally.report(name, manifest, resumed, stopped=stop.is_set(), rejections=rejections)


def _encoded(
    settings: LoadSettings, manifest: Manifest, pending: list[Chunk], known: KnownRows, ledger: Ledger
) -> Iterator[Payload]:
    partitions = {partition.path: partition for partition in manifest.partitions}
    sending = settings.sending(WriteRules())
    return chain.from_iterable(
        payloads(
            settings.place.root,
            manifest.schema_of(chunk.partition),
            partitions[chunk.partition],
            chunk,
            sending.batch_lines,
            lambda: sending.batch_bytes,
            known,
            ledger.rows.mask,
        )
        for chunk in pending
    )


class _PartWriter:
    """Gathers payloads, and writes each part of them once it is full."""

    def __init__(
        self, folder: Path, prefix: str, level: int, ledger: Ledger, rejections: Rejections, tally: Tally
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._level = level
        self._ledger = ledger
        self._rejections = rejections
        self._tally = tally
        self._held: list[Payload] = []
        self._size = 0

    def tell_others(self) -> None:
        """Say how many parts of this load are gone, and which other files there are, which are not of this load."""
        there = {path.name for path in self._folder.glob(f"*{SUFFIX}")}
        mine = {self._name(number) for number in range(1, self._ledger.parts + 1)}
        if gone := len(mine - there):
            words = counted(gone, "part of an earlier run is", "parts of earlier runs are")
            self._tally.observe(Notice(f"{words} not in {self._folder} any more; --restart writes all parts again"))
        others = {name for name in there - mine if not name.startswith(self._prefix)}
        if others:
            words = counted(len(others), "file", "files")
            self._tally.observe(
                Notice(f"{self._folder} holds {words} of other loads, such as {min(others)}", warning=True)
            )

    def add(self, payload: Payload) -> None:
        """Add ``payload``, after writing what is held if both are too large for one part."""
        if self._size + payload.size > PART_BYTES:
            self.write()
        self._held.append(payload)
        self._size += payload.size
        if sum(len(each.rejected) for each in self._held) > self._rejections.left:
            self.write()

    def write(self) -> None:
        """Write what is held as a part, and acknowledge its rows; raises LoadError, also for too many rejected rows."""
        held, self._held, self._size = self._held, [], 0
        body = b"".join(payload.body for payload in held)
        packed = compressed(body, self._level) if body else b""
        if packed:
            self._write_file(self._name(self._ledger.parts + 1), packed)
        self._rejections.keep([row for payload in held for row in payload.rejected])
        counts = [(payload.rows, len(payload.rejected), payload.skipped) for payload in held]
        self._ledger.acknowledge_part(counts, parts=1 if packed else 0)
        self._tally.reject(sum(rejected for _, rejected, _ in counts))
        rows, skipped = sum(rows.count for rows, _, _ in counts), sum(each for _, _, each in counts)
        if held:
            self._tally.advance(rows, len(body), len(packed), skipped)
        if error := self._rejections.excess:
            raise error

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number:06}{SUFFIX}"

    def _write_file(self, name: str, content: bytes) -> None:
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, content, self._folder)
        except (OSError, StageError) as error:
            why = error.message if isinstance(error, StageError) else error.strerror
            raise LoadError(
                f"{path}: cannot be written: {why}",
                hint="check space and permissions, then run the same command again: it resumes where it stopped",
            ) from error
