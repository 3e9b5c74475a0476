"""Reads the index of a storage file: its keys, and where their blocks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.words import half_word, word
from loader.encoding.tsm.layout import CRC_BYTES, FOOTER, HEADER, INDEX_BLOCK, INDEX_KEY
from loader.errors import DecodeError

LEAST_BLOCK = CRC_BYTES + 2
"""Bytes of a block that has neither timestamps nor values."""
_KEY_REST, _BLOCK_BYTES = INDEX_KEY.size, INDEX_BLOCK.itemsize
_FIRST_BLOCK = len(HEADER)
_LAST, _OFFSET, _SIZE = (int(INDEX_BLOCK.fields[name][1]) for name in ("last", "offset", "size"))  # type: ignore[index]


@dataclass(frozen=True)
class StoredFile:
    """A storage file: ``data`` is all of it, with ``keys`` keys and ``blocks`` blocks in its index.

    The index stays where it is, from ``start`` to ``stop`` of ``data``. A block is known by its place: there its entry
    begins. All blocks lie within ``data`` and have at least eight bytes after them.
    """

    name: str
    data: Bytes
    start: int
    stop: int
    keys: int
    blocks: int

    def ranges(self, places: Integers) -> tuple[Integers, Integers]:
        """Return first and last time (nanoseconds) of the blocks at ``places``."""
        first, last = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
        _read_ranges(self.data, places, first, last)
        return first, last

    def extents(self, places: Integers) -> tuple[Integers, Integers]:
        """Return offset and size (bytes, with the CRC) of the blocks at ``places``."""
        offsets, sizes = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
        _read_extents(self.data, places, offsets, sizes)
        return offsets, sizes

    def damage(self, what: str, place: int) -> DecodeError:
        """Return the error for a damaged block."""
        begin, stop = _key_of(self.data, self.start, place)
        key = self.data[begin:stop].tobytes().decode(errors="backslashreplace")
        offsets, _ = self.extents(np.array([place]))
        return damaged(f"{self.name}, key {key!r}", int(offsets[0]), what)


def damaged(where: str, offset: int, what: str) -> DecodeError:
    """Return the error for damage at ``offset``."""
    return DecodeError(
        f"{where}, offset {offset:,}: {what}",
        hint="the file is damaged on the server or on the way: run it again, and `influxd inspect verify-tsm` there",
    )


def read_file(name: str, data: Bytes) -> StoredFile:
    """Check the index of a whole storage file; raises DecodeError. Nothing of it is copied."""
    data, size = data.view(), len(data)
    # Kernels would be compiled again for writable arrays.
    data.flags.writeable = False
    if size < _FIRST_BLOCK + FOOTER.size:
        raise damaged(name, size, f"the file ends after {size:,} bytes, too early")
    if data[:_FIRST_BLOCK].tobytes() != HEADER:
        raise damaged(name, 0, "this is no storage file of version 1")
    stop = size - FOOTER.size
    (start,) = FOOTER.unpack(data[stop:].tobytes())
    if not _FIRST_BLOCK <= start <= stop:
        raise damaged(name, stop, f"the index should begin at {start:,}, the file has {size:,} bytes")
    keys, blocks, at, outside = _count(data, start, stop)
    if at != stop:
        raise damaged(name, int(at), "the index is cut off")
    file = StoredFile(name, data, start, stop, int(keys), int(blocks))
    if outside >= 0:
        _, sizes = file.extents(np.array([outside]))
        raise file.damage(f"a block of {sizes[0]:,} bytes cannot be there", int(outside))
    return file


@compiled
def _count(data: Bytes, start: int, stop: int) -> Any:
    """Return the numbers of keys and blocks, where reading ended, and the place of the first impossible block or -1.

    Reading ends at ``stop`` unless the index is cut off.
    """
    keys, blocks, outside = 0, 0, -1
    at: Any = start
    number: Any = 0
    while at < stop:
        begin = at
        at += 2
        if at <= stop:
            at += np.int64(data[at - 2]) << 8 | np.int64(data[at - 1])
        if stop - at < _KEY_REST:
            return keys, blocks, begin, outside
        number = np.int64(data[at + 1]) << 8 | np.int64(data[at + 2])
        at += _KEY_REST
        if number * _BLOCK_BYTES > stop - at:
            return keys, blocks, begin, outside
        for _ in range(number):
            first, last = np.int64(word(data, at)), np.int64(word(data, at + _LAST))
            offset, size = np.int64(word(data, at + _OFFSET)), np.int64(half_word(data, at + _SIZE))
            # An offset beyond 63 bits has become negative.
            wrong = offset < _FIRST_BLOCK or size < LEAST_BLOCK or offset > start - size or first > last
            if wrong and outside < 0:
                outside = at
            at += _BLOCK_BYTES
        keys += 1
        blocks += number
    return keys, blocks, at, outside


@compiled
def _key_of(data: Bytes, start: int, place: int) -> Any:
    """Return where the key begins and ends that the block at ``place`` belongs to; the index begins at ``start``."""
    at: Any = start
    begin, stop = at, at
    while at < place:
        begin = at + 2
        stop = begin + (np.int64(data[at]) << 8 | np.int64(data[at + 1]))
        at = stop + _KEY_REST + (np.int64(data[stop + 1]) << 8 | np.int64(data[stop + 2])) * _BLOCK_BYTES
    return begin, stop


@compiled
def _read_ranges(data: Bytes, places: Integers, first: Integers, last: Integers) -> None:
    for number in range(len(places)):
        first[number] = np.int64(word(data, places[number]))
        last[number] = np.int64(word(data, places[number] + _LAST))


@compiled
def _read_extents(data: Bytes, places: Integers, offsets: Integers, sizes: Integers) -> None:
    for number in range(len(places)):
        offsets[number] = np.int64(word(data, places[number] + _OFFSET))
        sizes[number] = np.int64(half_word(data, places[number] + _SIZE))
