"""An attempt to give storage files to a shard of a bucket that the load did not make."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from loader.loading.restore_path.storage_files import FULLY_COMPACTED, ShardFile, file_name
from loader.loading.shard_files import list_files
from loader.servers.backup import second_before
from loader.servers.base import Request
from loader.servers.transport import Connection

_FIRST_SECOND = 1_600_000_000
_MOST_FILES = 1_000
_LOTS = 900_000
"""Sequence numbers of nine digits, in lots of _MOST_FILES: each attempt draws one of them."""


def generation_now() -> int:
    """Return a generation number that grows with time, above those that a server reaches by itself, until 2051."""
    return int(time.time()) - _FIRST_SECOND


@dataclass(frozen=True)
class SentFile:
    """A storage file that was sent; ``checksum`` is the CRC-32 of its content."""

    name: str
    size: int
    checksum: int


@dataclass(frozen=True)
class Attempt:
    """An attempt at shard ``shard_id``, whose files are named by ``generation`` and ``sequence``.

    No other load has drawn this ``sequence`` in the same second. ``since`` is a time before the attempt, by the
    server's clock. ``occupied`` tells that counts cannot prove anything.
    """

    shard_id: int
    since: str
    generation: int
    sequence: int
    occupied: bool

    def named(self, file: ShardFile, number: int) -> ShardFile:
        """Return ``file``, number ``number`` of the attempt, with its name."""
        return replace(file, name=file_name(self.generation, self.sequence + number))


def begin_attempt(link: Connection, shard_id: int, generation: int, *, occupied: bool) -> Attempt:
    """Have the server write to a file what it holds of the shard in memory, and return the attempt that follows.

    So these points are older than those of the attempt, whose generation is above all that the server has: the file
    that it writes tells the last one. Raises ServerError.
    """
    since = second_before(link.send(Request("GET", "/ping")).headers)
    newest = max((_generation(name) for name in list_files(link, shard_id, since)), default=0)
    sequence = FULLY_COMPACTED + _MOST_FILES * random.randrange(_LOTS)
    return Attempt(shard_id, since, max(generation, newest + 1), sequence, occupied)


def _generation(name: str) -> int:
    digits = name.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


def checksum(pieces: Iterable[bytes | memoryview]) -> int:
    """Return the CRC-32 of ``pieces`` together."""
    found = 0
    for piece in pieces:
        found = zlib.crc32(piece, found)
    return found
