"""Reads the deletions that are not yet applied to a storage file: time ranges of its keys, in a file beside it.

Versions 2 to 4 begin with a number; then come, gzipped since version 3, for each range: 4 bytes length of the key,
key, first and last time. Version 4 is several gzip members. Source: ``tombstone.go`` of InfluxDB.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from loader.encoding.tsm.decode.index import damaged

_HEADER = struct.Struct(">I")
_GZIPPED = {0x1502: False, 0x1503: True, 0x1504: True}
_KEY = struct.Struct(">I")
_TIMES = struct.Struct(">qq")


class Tombstone(NamedTuple):
    """The points of ``key`` from ``first`` to ``last`` (nanoseconds, inclusive) are deleted."""

    key: bytes
    first: int
    last: int


def read_tombstones(name: str, data: bytes) -> list[Tombstone]:
    """Read a whole file of tombstones; raises DecodeError. Memory is bounded by its entries."""
    if not data:
        return []
    gzipped = _GZIPPED.get(int.from_bytes(data[: _HEADER.size], "big"))
    if gzipped is None:
        raise damaged(name, 0, "these are no tombstones of version 2, 3 or 4")
    content = data[_HEADER.size :]
    try:
        return list(_entries(gzip.decompress(content) if gzipped else content))
    except (OSError, EOFError, zlib.error, struct.error):
        raise damaged(name, len(data), "the tombstones are cut off or damaged") from None


def _entries(content: bytes) -> Iterator[Tombstone]:
    at = 0
    while at < len(content):
        (length,) = _KEY.unpack_from(content, at)
        at += _KEY.size
        key = content[at : at + length]
        first, last = _TIMES.unpack_from(content, at + length)
        at += length + _TIMES.size
        yield Tombstone(key, first, last)
