"""Decodes the floats of blocks from Gorilla compression to the bits of doubles.

Bit 0 repeats the value before. Bits 10 are followed by the bits of the current window. Bits 11 first set the window, by
five bits of leading zeros and six of length (0 is 64). Window bits are XORed with the value before. A NaN ends a block.

Source: ``batch_float.go`` of InfluxDB.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loader.encoding.arrays import Bytes, Integers, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.words import U0, U1, U7, U8, word

_END = np.uint64(0x7FF8000000000001)
_GORILLA = 1
_WORD = 64
_TOP, _LEAD_SHIFT, _LENGTH_SHIFT = np.uint64(63), np.uint64(57), np.uint64(51)
_SECOND = np.uint64(62)
_LEAD, _LENGTH = np.uint64(0x1F), np.uint64(0x3F)


@compiled
def decode_floats(data: Bytes, starts: Integers, sizes: Integers, counts: Integers, to: Integers, out: Words) -> int:
    """Decode like the kernels of :mod:`loader.encoding.tsm.decode.numbers`; eight bytes follow each block."""
    for block in range(len(starts)):
        at, begin, count = starts[block], to[block], counts[block]
        end = (at + sizes[block]) * 8
        if sizes[block] < 9 or np.int64(data[at]) >> 4 != _GORILLA:
            return block
        value = word(data, at + 1)
        bit = (at + 9) * 8
        trailing: Any = 0
        length: Any = _WORD
        number = 0
        while value != _END:
            if number == count:
                return block
            out[begin + number] = value
            number += 1
            if bit >= end:
                return block
            head = word(data, bit >> 3) << (np.uint64(bit) & U7)
            if head >> _TOP == U0:
                bit += 1
                continue
            if head >> _SECOND & U1 == U0:
                bit += 2
            else:
                leading = np.int64(head >> _LEAD_SHIFT & _LEAD)
                length = np.int64(head >> _LENGTH_SHIFT & _LENGTH)
                if length == 0:
                    length = _WORD
                trailing = _WORD - leading - length
                bit += 13
            # a whole word has no room for leading zeros
            if trailing < 0 or bit + length > end:
                return block
            offset = np.uint64(bit) & U7
            body = word(data, bit >> 3) << offset
            body |= np.uint64(data[(bit >> 3) + 8]) >> (U8 - offset)
            value ^= body >> np.uint64(_WORD - length) << np.uint64(trailing)
            bit += length
        if number != count:
            return block
    return -1
