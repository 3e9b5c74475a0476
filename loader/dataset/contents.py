"""Checks that the files of a dataset are what its manifest says, by their SHA-256; each file is read once.

Compared files are remembered in ``.loader/checksums.json``, in the way of git's index: a file whose size, times and
inode have not changed since need not be read again. So a dataset that was just staged costs nothing, and a file that
was copied or replaced is read once. Where nothing can be written, files are read each time.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from loader.dataset.beneath import look, open_file
from loader.dataset.footers import find_changed
from loader.dataset.manifest import Partition
from loader.dataset.state import read_json, write_json
from loader.errors import StageError
from loader.events import Notice, Observer
from loader.quantities import counted
from loader.waiting import Workers

Identity = tuple[int, int, int, int]
"""Size, times of change of content and of status (nanoseconds), inode: they differ once a file was changed."""

_FILE = "checksums.json"
_CHUNK = 1 << 20
_MENTIONED = 1 << 30
"""To read so many bytes takes long enough for a notice."""
_SETTLED = 2_000_000_000
"""Nanoseconds after which a change shows in the times of any file system."""
_THREADS = 4
_POLL_SECONDS = 0.5


def identify(status: os.stat_result) -> Identity:
    """Return the identity of a file's content."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def identities(root: Path, partitions: Iterable[Partition]) -> dict[str, Identity | None]:
    """Return the identity of each partition's file by its path, None for one that is missing."""
    found = ((partition.path, look(root, partition.path)) for partition in partitions)
    return {path: identify(status) if status else None for path, status in found}


def differing(
    root: Path, partitions: Sequence[Partition], observe: Observer, stop: threading.Event | None = None
) -> tuple[Partition, ...]:
    """Return those of ``partitions`` whose files have other content than the manifest says; all files must be there.

    Adopted files are compared by their footers. Others are read in pieces, in a few threads. Setting ``stop`` ends that
    early: files that are not read by then are not compared. Raises StageError when a file cannot be read.
    """
    adopted = [partition for partition in partitions if partition.modified]
    if adopted:
        return tuple(find_changed(root, adopted))
    known = _recall(root)
    began = time.time_ns()
    unknown = [
        partition
        for partition, identity in zip(partitions, identities(root, partitions).values(), strict=True)
        if known.get(partition.path) != (identity, partition.checksum)
    ]
    size = sum(partition.size for partition in unknown)
    if size >= _MENTIONED:
        observe(
            Notice(
                f"comparing {counted(len(unknown), 'file')} ({size / 1e9:,.1f} GB) with the checksums of the manifest"
            )
        )
    found = {}
    wrong = []
    for partition, identity, checksum in _read(root, unknown, stop):
        if checksum == partition.checksum:
            found[partition.path] = identity, checksum
        else:
            wrong.append(partition)
    if found:
        remember(root, partitions, found, began)
    return tuple(wrong)


def remember(root: Path, partitions: Iterable[Partition], found: Mapping[str, tuple[Identity, str]], now: int) -> None:
    """Add identities and checksums ``found``, by path, to what is remembered of ``partitions``.

    Where nothing can be written, nothing is remembered. A file that was changed just before ``now``, the time of the
    comparison (nanoseconds since 1970), could change again within the same timestamp: it is not remembered.
    """
    known = _recall(root)
    settled = {path: entry for path, entry in found.items() if max(entry[0][1], entry[0][2]) < now - _SETTLED}
    kept = {partition.path: known[partition.path] for partition in partitions if partition.path in known} | settled
    with suppress(OSError, StageError):
        write_json(root, _FILE, {path: [*identity, checksum] for path, (identity, checksum) in kept.items()})


def _recall(root: Path) -> dict[str, tuple[Identity, str]]:
    """Return what is remembered; nothing when it is damaged, so that files are read again."""
    with suppress(OSError, StageError, ValueError, TypeError, AttributeError):
        entries: dict[str, Any] = read_json(root, _FILE)
        return {
            path: ((size, changed, status, inode), checksum)
            for path, (size, changed, status, inode, checksum) in entries.items()
        }
    return {}


def _read(
    root: Path, partitions: Sequence[Partition], stop: threading.Event | None
) -> Iterator[tuple[Partition, Identity, str]]:
    """Yield each partition with identity and checksum of its file."""
    halt = threading.Event()
    with Workers(_THREADS) as workers:
        answers = [workers.submit(_checksum, root, partition.path, halt) for partition in partitions]
        try:
            for partition, answer in zip(partitions, answers, strict=True):
                while not answer.done():
                    if stop and stop.is_set():
                        return
                    with suppress(TimeoutError):
                        answer.result(_POLL_SECONDS)
                yield partition, *answer.result()
        finally:
            halt.set()


def _checksum(root: Path, path: str, halt: threading.Event) -> tuple[Identity, str]:
    """Return identity and SHA-256 of a file, or part of it once ``halt`` is set."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    try:
        with os.fdopen(open_file(root, path, os.O_RDONLY), "rb", buffering=0) as file:
            identity = identify(os.fstat(file.fileno()))
            while not halt.is_set() and (size := file.readinto(buffer)):
                digest.update(buffer[:size])
    except OSError as error:
        raise StageError(f"{root / path}: cannot be read: {error.strerror}", hint="check the disk") from error
    return identity, digest.hexdigest()
