"""Decodes timestamps, integers and booleans of blocks. Each kernel decodes many blocks at a time.

For each block, a decoding kernel takes the start and size of its bytes, its number of values, which was counted before,
and the position of these in ``out``. It returns the first block that is damaged, -1 for none.

Sources: ``batch_timestamp.go``, ``batch_integer.go``, ``batch_boolean.go`` and ``pkg/encoding/simple8b`` of InfluxDB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from loader.encoding.arrays import Bytes, Integers, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.words import U0, U1, uvarint, word
from loader.encoding.tsm.layout import PACKED, RAW, RUN

MOST_POINTS = 1_000_000
"""More points than any block has: the largest of the server have 10,000."""
_HEAD = 9
"""Bytes before packed words or runs: one for the encoding, eight for the first number."""

# By selector, the first four bits of a word: how many numbers it holds, of how many bits each.
_NUMBERS = np.array([240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1], np.int64)
_BITS = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60], np.uint64)
_SCALES = np.array([10**power for power in range(16)], np.uint64)
_SELECTOR = np.uint64(60)


@compiled
def count_numbers(data: Bytes, at: int, size: Any, run_less: int) -> Any:
    """Return how many timestamps (``run_less`` 0) or integers (1) the ``size`` bytes at ``at`` hold, -1 if damaged."""
    count: Any = -1
    if size < _HEAD:
        return count
    encoding = data[at] >> 4
    if encoding == RUN:
        stop = at + size
        _, position = uvarint(data, at + _HEAD, stop)
        if position >= 0:
            number, position = uvarint(data, position, stop)
            if position >= 0 and number <= np.uint64(MOST_POINTS):
                count = np.int64(number) + run_less
    elif (size - 1) % 8 == 0:
        if encoding == RAW:
            count = (size - 1) // 8
        elif encoding == PACKED:
            count = 1
            for position in range(at + _HEAD, at + size, 8):
                count += _NUMBERS[data[position] >> 4]
    return count


@compiled
def decode_times(data: Bytes, starts: Integers, sizes: Integers, counts: Integers, to: Integers, out: Words) -> int:
    """Decode timestamps, which ``count_numbers`` counted."""
    for block in range(len(starts)):
        at, size, begin = starts[block], sizes[block], to[block]
        end = begin + counts[block]
        encoding = np.int64(data[at]) >> 4
        scale = _SCALES[np.int64(data[at]) & 15]
        last = word(data, at + 1)
        if encoding == RUN:
            delta, _ = uvarint(data, at + _HEAD, at + size)
            _fill_run(begin, end, last, delta * scale, out)
        elif encoding == PACKED:
            _unpack(data, at + _HEAD, at + size, begin + 1, out)
            out[begin] = last
            for position in range(begin + 1, end):
                last = last + out[position] * scale
                out[position] = last
        else:
            last = U0
            for position in range(begin, end):
                last = last + word(data, at + 1 + (position - begin) * 8)
                out[position] = last
    return -1


@compiled
def decode_integers(data: Bytes, starts: Integers, sizes: Integers, counts: Integers, to: Integers, out: Words) -> int:
    """Decode integers, signed or unsigned."""
    for block in range(len(starts)):
        at, size, begin = starts[block], sizes[block], to[block]
        end = begin + counts[block]
        if count_numbers(data, at, size, 1) != counts[block]:
            return block
        encoding = np.int64(data[at]) >> 4
        last = _signed(word(data, at + 1))
        if encoding == RUN:
            value, _ = uvarint(data, at + _HEAD, at + size)
            _fill_run(begin, end, last, _signed(value), out)
        elif encoding == PACKED:
            _unpack(data, at + _HEAD, at + size, begin + 1, out)
            out[begin] = last
            for position in range(begin + 1, end):
                last = last + _signed(out[position])
                out[position] = last
        else:
            last = U0
            for position in range(begin, end):
                last = last + _signed(word(data, at + 1 + (position - begin) * 8))
                out[position] = last
    return -1


@compiled
def decode_booleans(
    data: Bytes, starts: Integers, sizes: Integers, counts: Integers, to: Integers, out: npt.NDArray[np.uint8]
) -> int:
    """Decode booleans to 0 and 1."""
    for block in range(len(starts)):
        stop = starts[block] + sizes[block]
        count, bits = uvarint(data, starts[block] + 1, stop)
        if bits < 0 or np.int64(data[starts[block]]) >> 4 != 1:
            return block
        if count != np.uint64(counts[block]) or (stop - bits) * 8 < counts[block]:
            return block
        for number in range(counts[block]):
            out[to[block] + number] = (data[bits + (number >> 3)] >> (7 - (number & 7))) & 1
    return -1


@compiled
def _signed(value: Any) -> Any:
    """Undo zigzag: 0, 1, 2, 3 are 0, -1, 1, -2, as two's complement."""
    return (value >> U1) ^ (U0 - (value & U1))


@compiled
def _fill_run(begin: int, end: int, first: Any, delta: Any, out: Words) -> None:
    """Write ``first``, and then values that grow by ``delta``, to ``out`` between ``begin`` and ``end``."""
    for position in range(begin, end):
        out[position] = first
        first = first + delta


@compiled
def _unpack(data: Bytes, at: int, stop: int, to: int, out: Words) -> None:
    """Write the numbers of the words between ``at`` and ``stop`` to ``out`` from ``to`` on."""
    for position in range(at, stop, 8):
        packed = word(data, position)
        selector = packed >> _SELECTOR
        numbers = _NUMBERS[selector]
        bits = _BITS[selector]
        if bits == U0:
            for number in range(numbers):
                out[to + number] = U1
        else:
            mask = (U1 << bits) - U1
            for number in range(numbers):
                out[to + number] = (packed >> (bits * np.uint64(number))) & mask
        to += numbers
