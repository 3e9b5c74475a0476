"""Timestamps of blocks: deltas as one run, packed or raw.

Source: ``tsdb/engine/tsm1/timestamp.go`` of InfluxDB 2.x.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.tsm.bits import Bytes, Integers, Words, put_uvarint, put_word
from loader.encoding.tsm.compiled import compiled
from loader.encoding.tsm.layout import BLOCK_POINTS, PACKED, RAW, RUN
from loader.encoding.tsm.simple8b import PACKED_BITS, pack

MOST_BYTES = 9 + 8 * BLOCK_POINTS
"""Most bytes of a block's timestamps."""
_LARGEST_SCALE = 12


def encode_times(times: Integers) -> tuple[Bytes, Integers]:
    """Return the encoded timestamps of all blocks of a series, and where each block's end.

    ``times`` increase strictly. Memory is eight bytes a point, and as much again at the most.
    """
    blocks = -(-len(times) // BLOCK_POINTS)
    words = np.empty(len(times), np.uint64)
    np.subtract(times[1:], times[:-1], out=words[1:].view(np.int64))
    words[::BLOCK_POINTS] = times[::BLOCK_POINTS].view(np.uint64)
    out = np.empty(8 * len(times) + 9 * blocks, np.uint8)
    ends = np.empty(blocks, np.int64)
    size = _encode_times(words, out, ends)
    return out[:size], ends


@compiled
def _encode_times(words: Words, out: Bytes, ends: Integers) -> int:
    """Encode blocks of ``words``: each block's first is its first timestamp, the others are deltas; scaled in place."""
    position = 0
    for block in range(len(ends)):
        start = block * BLOCK_POINTS
        position = _encode_block(words, start, min(start + BLOCK_POINTS, len(words)), out, position)
        ends[block] = position
    return position


@compiled
def _encode_block(words: Words, start: int, stop: int, out: Bytes, position: int) -> int:
    scale = _LARGEST_SCALE
    divisor = np.uint64(10**_LARGEST_SCALE)
    largest = np.uint64(0)
    equal = stop - start > 1
    for index in range(start + 1, stop):
        delta = words[index]
        largest = max(largest, delta)
        equal = equal and delta == words[start + 1]
        while scale > 0 and delta % divisor != np.uint64(0):
            divisor //= np.uint64(10)
            scale -= 1
    if equal:
        out[position] = np.uint8(RUN << 4 | scale)
        position = put_word(out, position + 1, words[start])
        position = put_uvarint(out, position, words[start + 1] // divisor)
        return put_uvarint(out, position, np.uint64(stop - start))
    if largest >> np.uint64(PACKED_BITS):
        out[position] = np.uint8(RAW << 4)
        position += 1
        for index in range(start, stop):
            position = put_word(out, position, words[index])
        return position
    out[position] = np.uint8(PACKED << 4 | scale)
    position = put_word(out, position + 1, words[start])
    if scale > 0:
        for index in range(start + 1, stop):
            words[index] //= divisor
    return pack(words, start + 1, stop, out, position)
