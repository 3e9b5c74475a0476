"""Identifies an adopted file by its size, the time of its last change, and its footer; nothing else of it is read.

The footer has sizes and statistics of all row groups, so it differs once the file is written anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from loader.dataset.beneath import open_file
from loader.dataset.manifest import Partition
from loader.errors import StageError

_TAIL = 8
"""Bytes behind the footer: its length, and the mark of Parquet."""
_LARGEST = 256 << 20
_PIECE = 1 << 20


def footer_checksum(root: Path, path: str) -> tuple[int, int, str]:
    """Return size, time of change (nanoseconds) and the SHA-256 of the footer of the file ``path`` below ``root``.

    The footer is read in pieces. Raises StageError for a file that cannot be read or is not Parquet.
    """
    try:
        with os.fdopen(open_file(root, path, os.O_RDONLY), "rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - _TAIL))
            tail = file.read(_TAIL)
            length = int.from_bytes(tail[:4], "little") + _TAIL
            if tail[4:] != b"PAR1" or not _TAIL < length <= min(status.st_size, _LARGEST):
                raise StageError(
                    f"{root / path}: is not Parquet, or was cut short", hint="name Parquet files, and whole ones"
                )
            digest = hashlib.sha256(str(status.st_size).encode())
            file.seek(status.st_size - length)
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise StageError(
            f"{root / path}: cannot be read: {error.strerror}", hint="check the file and its permissions"
        ) from error
    return status.st_size, max(1, status.st_mtime_ns), digest.hexdigest()  # 0 stands for a staged file


def refuse_changed(root: Path, partitions: Iterable[Partition]) -> None:
    """Raise StageError for the first of the adopted ``partitions`` whose file is not what it was."""
    for partition in find_changed(root, partitions):
        raise StageError(
            f"{root / partition.path}: has changed since it was loaded first",
            hint="put back the file that was there, or load everything as it is now: loader load --restart",
        )


def find_changed(root: Path, partitions: Iterable[Partition]) -> Iterator[Partition]:
    """Yield those of the adopted ``partitions`` whose files are not what they were; raises as ``footer_checksum``."""
    for partition in partitions:
        if footer_checksum(root, partition.path) != (partition.size, partition.modified, partition.checksum):
            yield partition
