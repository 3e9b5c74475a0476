"""Encodes the values of blocks of numbers or booleans.

Floats are XORed with the value before them, as in Gorilla, and ended by a NaN. Integers and unsigned integers are
zigzag deltas, as one run, packed or raw. Booleans are one bit each, high bits first.

Source: ``float.go``, ``int.go`` and ``bool.go`` in ``tsdb/engine/tsm1`` of InfluxDB 2.x; Pelkonen et al., "Gorilla:
a fast, scalable, in-memory time series database", 2015.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.encode.bits import leading_zeros, put_uvarint, put_word, trailing_zeros
from loader.encoding.tsm.encode.simple8b import PACKED_BITS, pack
from loader.encoding.tsm.layout import PACKED, RAW, RUN

MOST_BYTES_A_VALUE = 10
"""A float needs at most 77 bits, any other value fewer."""
MOST_BYTES_A_BLOCK = 32
"""Bytes besides the values: type, first value, end."""
_GORILLA = 1 << 4
_BIT_PACKED = 1 << 4
_NAN = np.uint64(0x7FF8000000000001)
_MOST_LEADING = 31
"""Five bits tell the number of leading zeros."""


@compiled
def put_integers(words: Words, start: int, stop: int, deltas: Words, out: Bytes, position: int) -> int:
    """Write ``words[start:stop]``, bit patterns of integers, signed or not; return the position after them.

    ``deltas`` is scratch of BLOCK_POINTS words.
    """
    largest = np.uint64(0)
    equal = True
    count = stop - start - 1
    for index in range(count):
        delta = _zigzag(words[start + 1 + index] - words[start + index])
        deltas[index] = delta
        largest = max(largest, delta)
        equal = equal and delta == deltas[0]
    first = _zigzag(words[start])
    if equal and count > 1:
        out[position] = np.uint8(RUN << 4)
        position = put_word(out, position + 1, first)
        position = put_uvarint(out, position, deltas[0])
        return put_uvarint(out, position, np.uint64(count))
    if largest >> np.uint64(PACKED_BITS):
        out[position] = np.uint8(RAW << 4)
        position = put_word(out, position + 1, first)
        for index in range(count):
            position = put_word(out, position, deltas[index])
        return position
    out[position] = np.uint8(PACKED << 4)
    position = put_word(out, position + 1, first)
    return pack(deltas, 0, count, out, position)


@compiled
def _zigzag(word: np.uint64) -> np.uint64:
    """Return the bits of an integer with the sign in the lowest bit (zigzag), so that small numbers have few bits."""
    return (word << np.uint64(1)) ^ (np.uint64(0) - (word >> np.uint64(63)))


@compiled
def put_booleans(words: Words, start: int, stop: int, out: Bytes, position: int) -> int:
    """Write ``words[start:stop]``, each 0 or 1; return the position after them."""
    out[position] = np.uint8(_BIT_PACKED)
    position = put_uvarint(out, position + 1, np.uint64(stop - start))
    for first in range(start, stop, 8):
        byte = np.uint64(0)
        for index in range(first, min(first + 8, stop)):
            byte |= words[index] << np.uint64(7 - index + first)
        out[position] = np.uint8(byte)
        position += 1
    return position


@compiled
def put_floats(words: Words, start: int, stop: int, out: Bytes, position: int) -> int:
    """Write ``words[start:stop]``, bit patterns of doubles, none a NaN; return the position after them."""
    out[position] = np.uint8(_GORILLA)
    position = put_word(out, position + 1, words[start])
    before = words[start]
    window_leading, window_trailing = 64, 64
    buffer, free = np.uint64(0), 64
    for index in range(start + 1, stop + 1):
        word = words[index] if index < stop else _NAN
        change = word ^ before
        before = word
        if change == np.uint64(0):
            prefix, prefix_bits = np.uint64(0), 1
            bits = 0
        else:
            leading, trailing = min(leading_zeros(change), _MOST_LEADING), trailing_zeros(change)
            if leading >= window_leading and trailing >= window_trailing:
                prefix, prefix_bits = np.uint64(0b10), 2
            else:
                window_leading, window_trailing = leading, trailing
                prefix = np.uint64(0b11 << 11 | leading << 6 | ((64 - leading - trailing) & 63))
                prefix_bits = 13
            bits = 64 - window_leading - window_trailing
            change >>= np.uint64(window_trailing)
        position, buffer, free = _put_bits(prefix, prefix_bits, out, position, buffer, free)
        if bits:
            position, buffer, free = _put_bits(change, bits, out, position, buffer, free)
    put_word(out, position, buffer)
    return position + (64 - free + 7) // 8


@compiled
def _put_bits(
    bits: np.uint64, count: int, out: Bytes, position: int, buffer: np.uint64, free: int
) -> tuple[int, np.uint64, int]:
    """Add the low ``count`` bits to ``buffer``, which has room for ``free`` (1 to 64), and write it when it is full."""
    if count < free:
        return position, buffer | bits << np.uint64(free - count), free - count
    rest = count - free
    position = put_word(out, position, buffer | bits >> np.uint64(rest))
    if rest == 0:
        return position, np.uint64(0), 64
    return position, bits << np.uint64(64 - rest), 64 - rest
