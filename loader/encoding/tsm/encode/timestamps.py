"""Encodes the timestamps of blocks: deltas, as one run, packed or raw.

Source: ``tsdb/engine/tsm1/timestamp.go`` of InfluxDB 2.x.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.encode.bits import put_uvarint, put_word
from loader.encoding.tsm.encode.simple8b import PACKED_BITS, pack
from loader.encoding.tsm.layout import PACKED, RAW, RUN

_LARGEST_SCALE = 12


@compiled
def put_times(times: Words, start: int, stop: int, deltas: Words, out: Bytes, position: int) -> int:
    """Write the timestamps of one block, which increase strictly; return the position after them.

    ``times`` are bit patterns of nanoseconds; ``deltas`` is scratch of BLOCK_POINTS words. Eight bytes a point and
    nine more are needed at most.
    """
    scale = _LARGEST_SCALE
    divisor = np.uint64(10**_LARGEST_SCALE)
    largest = np.uint64(0)
    equal = True
    count = stop - start - 1
    for index in range(count):
        delta = times[start + 1 + index] - times[start + index]
        deltas[index] = delta
        largest = max(largest, delta)
        equal = equal and delta == deltas[0]
        while scale > 0 and delta % divisor != np.uint64(0):
            divisor //= np.uint64(10)
            scale -= 1
    if equal and count > 0:
        out[position] = np.uint8(RUN << 4 | scale)
        position = put_word(out, position + 1, times[start])
        position = put_uvarint(out, position, deltas[0] // divisor)
        return put_uvarint(out, position, np.uint64(count + 1))
    if largest >> np.uint64(PACKED_BITS):
        out[position] = np.uint8(RAW << 4)
        position = put_word(out, position + 1, times[start])
        for index in range(count):
            position = put_word(out, position, deltas[index])
        return position
    out[position] = np.uint8(PACKED << 4 | scale)
    position = put_word(out, position + 1, times[start])
    if scale > 0:
        for index in range(count):
            deltas[index] //= divisor
    return pack(deltas, 0, count, out, position)
