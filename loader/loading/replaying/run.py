"""Goes through a rejected file: encodes what is to be encoded, sends it, and keeps what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loader.dataset.chunk import RejectedRow
from loader.dataset.manifest import Manifest
from loader.dataset.rejected_file import RejectedFile
from loader.events import Rejected, Started, ignore
from loader.loading.identities import look_at_identities
from loader.loading.known_rows import KnownRows
from loader.loading.ledger import Ledger
from loader.loading.rejected import describe, entry_of
from loader.loading.replaying.encode import encode_rows
from loader.loading.replaying.entries import Entry, read_entries
from loader.loading.replaying.sender import ReplayedLine, ReplaySender

_MOST_REMEMBERED = 1_000_000
"""Replayed rows in the ledger, after which the rejected file is replaced and the replay goes on with the rest."""


@dataclass
class ReplayRun:
    """Sends the rows of a rejected file. Afterwards it has ``kept`` entries, and ``left`` of them were not sent.

    ``other`` is the manifest by which rows are encoded again, ``manifest`` that of the dataset.
    """

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
        form = self.sender.dialect.write_rules.form
        return encode_rows(self.root, manifest.schema_of(path), partition, rows, known, form)

    @cached_property
    def _known(self) -> KnownRows:
        return look_at_identities(self.root, self.manifest, ignore, self.sender.stop)

    @cached_property
    def _other_known(self) -> KnownRows:
        return look_at_identities(self.root, self.other, ignore, self.sender.stop)
