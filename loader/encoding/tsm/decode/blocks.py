"""Checks blocks of one storage file, splits them into timestamps and values, and decodes these, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loader.dataset.schema import FieldType
from loader.encoding.arrays import Bytes, Integers, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.checksum import checksum
from loader.encoding.tsm.decode.floats import decode_floats
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.decode.numbers import (
    MOST_POINTS,
    count_numbers,
    decode_booleans,
    decode_integers,
    decode_times,
)
from loader.encoding.tsm.decode.strings import decode_strings
from loader.encoding.tsm.decode.words import half_word, uvarint
from loader.encoding.tsm.layout import BLOCK_TYPES, CRC_BYTES

_KERNELS: Mapping[FieldType, Callable[..., int]] = {
    FieldType.FLOAT: decode_floats,
    FieldType.INTEGER: decode_integers,
    FieldType.UNSIGNED: decode_integers,
    FieldType.BOOLEAN: decode_booleans,
}


@dataclass(frozen=True)
class Parts:
    """The ``blocks`` of ``file``, by place: where timestamps and values are, their bytes, and the numbers of points."""

    file: StoredFile
    blocks: Integers
    times_at: Integers
    times_sizes: Integers
    values_at: Integers
    values_sizes: Integers
    counts: Integers

    def same_times(self, other: Parts) -> bool:
        """Tell whether the timestamps of ``other`` are encoded in the same bytes, block by block."""
        return bool(
            np.array_equal(self.counts, other.counts)
            and np.array_equal(self.times_sizes, other.times_sizes)
            and _same(self.file.data, self.times_at, other.file.data, other.times_at, self.times_sizes)
        )


def part_blocks(file: StoredFile, blocks: Integers, kind: FieldType) -> Parts:
    """Check the checksums of ``blocks``, which hold values of ``kind``, and split them; raises DecodeError."""
    offsets, sizes = file.extents(blocks)
    bad = _first_wrong(file.data, offsets, sizes)
    if bad >= 0:
        raise file.damage("the checksum of the block is wrong", int(blocks[bad]))
    parts = Parts(file, blocks, *(np.empty(len(blocks), np.int64) for _ in range(5)))
    bad = _part(
        file.data,
        offsets,
        sizes,
        BLOCK_TYPES[kind],
        parts.times_at,
        parts.times_sizes,
        parts.values_at,
        parts.values_sizes,
        parts.counts,
    )
    if bad >= 0:
        raise file.damage(f"the timestamps of the block are damaged, or it is not of type {kind}", int(blocks[bad]))
    return parts


def read_times(parts: Parts, to: Integers, out: Words) -> None:
    """Decode the timestamps of each block to ``out`` from ``to`` on; raises DecodeError.

    The first and last timestamps must be those of the index, since these decide what is read, and in which order.
    """
    file = parts.file
    decode_times(file.data, parts.times_at, parts.times_sizes, parts.counts, to, out)
    first, last = out[to].view(np.int64), out[to + parts.counts - 1].view(np.int64)
    expected_first, expected_last = file.ranges(parts.blocks)
    wrong = (first != expected_first) | (last != expected_last)
    if wrong.any():
        raise file.damage("the timestamps of the block are not those of the index", int(parts.blocks[wrong.argmax()]))


def read_numbers(parts: Parts, kind: FieldType, to: Integers, out: npt.NDArray[Any]) -> None:
    """Decode the values of each block, which are not strings, to ``out`` from ``to`` on; raises DecodeError."""
    bad = _KERNELS[kind](parts.file.data, parts.values_at, parts.values_sizes, parts.counts, to, out)
    if bad >= 0:
        raise _damaged_values(parts, kind, bad)


def read_strings(parts: Parts, to: Integers, lengths: Integers) -> list[Bytes]:
    """Return the bytes of the strings of each block, and write their ``lengths`` from ``to`` on; raises DecodeError."""
    texts = []
    for number in range(len(parts.blocks)):
        place = lengths[to[number] : to[number] + parts.counts[number]]
        text = decode_strings(parts.file.data, int(parts.values_at[number]), int(parts.values_sizes[number]), place)
        if text is None:
            raise _damaged_values(parts, FieldType.STRING, number)
        texts.append(text)
    return texts


def _damaged_values(parts: Parts, kind: FieldType, number: int) -> Exception:
    points = parts.counts[number]
    return parts.file.damage(f"the values of the block are not {points:,} of type {kind}", int(parts.blocks[number]))


@compiled
def _first_wrong(data: Bytes, offsets: Integers, sizes: Integers) -> int:
    """Return the first block whose checksum is wrong, -1 for none."""
    for block in range(len(offsets)):
        body = offsets[block] + CRC_BYTES
        if checksum(data, body, offsets[block] + sizes[block]) != np.uint32(half_word(data, offsets[block])):
            return block
    return -1


@compiled
def _part(
    data: Bytes,
    offsets: Integers,
    sizes: Integers,
    kind: int,
    times_at: Integers,
    times_sizes: Integers,
    values_at: Integers,
    values_sizes: Integers,
    counts: Integers,
) -> int:
    """Find the parts of each block and count its points; return the first damaged block, -1 for none."""
    for block in range(len(offsets)):
        stop = offsets[block] + sizes[block]
        at = offsets[block] + CRC_BYTES
        if data[at] != kind:
            return block
        length, begin = uvarint(data, at + 1, stop)
        if begin < 0 or length > np.uint64(stop - begin):
            return block
        size = np.int64(length)
        count = count_numbers(data, begin, size, 0)
        if count < 1 or count > MOST_POINTS:
            return block
        times_at[block], times_sizes[block] = begin, size
        values_at[block], values_sizes[block] = begin + size, stop - begin - size
        counts[block] = count
    return -1


@compiled
def _same(left: Bytes, left_at: Integers, right: Bytes, right_at: Integers, sizes: Integers) -> bool:
    """Tell whether the bytes at ``left_at`` of ``left`` are those at ``right_at`` of ``right``."""
    for block in range(len(sizes)):
        # With unsigned indices, and no early exit within a block, compiled code compares many bytes at a time.
        one, other = np.uint64(left_at[block]), np.uint64(right_at[block])
        differing = np.uint8(0)
        for number in range(np.uint64(sizes[block])):
            differing |= left[one + number] ^ right[other + number]
        if differing:
            return False
    return True
