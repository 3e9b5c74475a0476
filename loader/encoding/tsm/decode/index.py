"""Reads the index of a storage file: its keys, and where their blocks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loader.encoding.arrays import Bytes, Integers, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.words import half_word, word
from loader.encoding.tsm.layout import CRC_BYTES, FOOTER, HEADER, INDEX_BLOCK, INDEX_KEY
from loader.errors import DecodeError

LEAST_BLOCK = CRC_BYTES + 2
"""Bytes of a block that has neither timestamps nor values."""
_KEY_REST, _BLOCK_BYTES = INDEX_KEY.size, INDEX_BLOCK.itemsize
_FIRST_BLOCK = len(HEADER)


@dataclass(frozen=True)
class StoredFile:
    """A storage file: ``data`` is all of it, block ``b`` belongs to key ``k`` for ``bounds[k] <= b < bounds[k + 1]``.

    The bytes of key ``k`` are in ``data`` from ``key_starts[k]`` to ``key_stops[k]``.
    ``first`` and ``last`` are times (nanoseconds), ``offsets`` and ``sizes`` bytes with the CRC; all blocks lie
    within ``data`` and have at least eight bytes after them.
    """

    name: str
    data: Bytes
    key_starts: Integers
    key_stops: Integers
    types: npt.NDArray[np.uint8]
    bounds: Integers
    first: Integers
    last: Integers
    offsets: Integers
    sizes: Integers

    def key(self, number: int) -> bytes:
        """Return the bytes of a key."""
        return self.data[self.key_starts[number] : self.key_stops[number]].tobytes()

    def damage(self, what: str, block: int) -> DecodeError:
        """Return the error for a damaged block."""
        key = self.key(int(np.searchsorted(self.bounds, block, "right")) - 1)
        return damaged(f"{self.name}, key {key.decode(errors='backslashreplace')!r}", int(self.offsets[block]), what)


def damaged(where: str, offset: int, what: str) -> DecodeError:
    """Return the error for damage at ``offset``."""
    return DecodeError(
        f"{where}, offset {offset:,}: {what}",
        hint="the file is damaged on the server or on the way: run it again, and `influxd inspect verify-tsm` there",
    )


def read_file(name: str, data: Bytes) -> StoredFile:
    """Read the index of a whole storage file; raises DecodeError. Memory is bounded by the index."""
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
    keys, blocks, at = _count(data, start, stop)
    if at != stop:
        raise damaged(name, int(at), "the index is cut off")
    key_starts, key_stops, bounds = np.empty(keys, np.int64), np.empty(keys, np.int64), np.zeros(keys + 1, np.int64)
    types = np.empty(keys, np.uint8)
    entries = np.empty((4, blocks), np.uint64)
    _fill(data, start, key_starts, key_stops, types, bounds, entries)
    first, last, offsets, sizes = entries.view(np.int64)
    file = StoredFile(name, data, key_starts, key_stops, types, bounds, first, last, offsets, sizes)
    # An offset beyond 63 bits has become negative.
    outside = (offsets < _FIRST_BLOCK) | (sizes < LEAST_BLOCK) | (offsets > start - sizes) | (first > last)
    if outside.any():
        block = int(outside.argmax())
        raise file.damage(f"a block of {sizes[block]:,} bytes cannot be there", block)
    return file


@compiled
def _count(data: Bytes, start: int, stop: int) -> Any:
    """Return the numbers of keys and blocks, and where reading ended: at ``stop`` unless the index is cut off."""
    keys, blocks = 0, 0
    at: Any = start
    number: Any = 0
    while at < stop:
        begin = at
        at += 2
        if at <= stop:
            at += np.int64(data[at - 2]) << 8 | np.int64(data[at - 1])
        if stop - at < _KEY_REST:
            return keys, blocks, begin
        number = np.int64(data[at + 1]) << 8 | np.int64(data[at + 2])
        at += _KEY_REST + number * _BLOCK_BYTES
        if at > stop:
            return keys, blocks, begin
        keys += 1
        blocks += number
    return keys, blocks, at


@compiled
def _fill(
    data: Bytes,
    start: int,
    key_starts: Integers,
    key_stops: Integers,
    types: npt.NDArray[np.uint8],
    bounds: Integers,
    entries: Words,
) -> None:
    """Fill the arrays for the keys and blocks that ``_count`` counted."""
    block = 0
    at: Any = start
    number: Any = 0
    for key in range(len(types)):
        length = np.int64(data[at]) << 8 | np.int64(data[at + 1])
        key_starts[key] = at + 2
        at += 2 + length
        key_stops[key] = at
        types[key] = data[at]
        number = np.int64(data[at + 1]) << 8 | np.int64(data[at + 2])
        at += _KEY_REST
        for _ in range(number):
            entries[0, block] = word(data, at)
            entries[1, block] = word(data, at + 8)
            entries[2, block] = word(data, at + 16)
            entries[3, block] = half_word(data, at + 24)
            at += _BLOCK_BYTES
            block += 1
        bounds[key + 1] = block
