"""simple8b packs as many small numbers of one width as fit into 60 bits of a word; a 4-bit selector gives the width.

Source: Anh and Moffat, "Index compression using 64-bit words", 2010; the selectors are those of
``pkg/encoding/simple8b`` of InfluxDB 2.x. Selectors 0 and 1, runs of 240 and 120 ones, are never written.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.encode.bits import leading_zeros, put_word

PACKED_BITS = 60
"""Numbers of at most so many bits can be packed."""

_PACKED_SHIFT = np.uint64(PACKED_BITS)
_HALF_BITS = np.uint64(PACKED_BITS // 2)
_COUNTS = (60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1)
"""How many numbers a word of selector 2, 3, … holds."""
_SELECTORS = np.array([0] + [2 + _COUNTS.index(n) if n in _COUNTS else 0 for n in range(1, PACKED_BITS + 1)], np.uint64)
"""The selector of a word of n numbers, 0 where there is none."""
_FITTING = np.array([60] + [next(n for n in _COUNTS if PACKED_BITS // n >= width) for width in range(1, 61)])
"""How many numbers of n bits a word holds at the most."""


@compiled
def pack(numbers: Words, start: int, stop: int, out: Bytes, position: int) -> int:
    """Write ``numbers[start:stop]``, each below 2**60, to ``out``; return the position after them."""
    while start < stop:
        if start + 1 == stop or (numbers[start] | numbers[start + 1]) >> _HALF_BITS:
            # Most deltas of nanoseconds are so large that no search is needed.
            position = put_word(out, position, _SELECTORS[1] << _PACKED_SHIFT | numbers[start])
            start += 1
            continue
        most = min(PACKED_BITS, stop - start)
        seen = np.uint64(1)
        count = 1
        for index in range(most):
            seen |= numbers[start + index]
            if _FITTING[64 - leading_zeros(seen)] <= index:
                break
            if _SELECTORS[index + 1]:
                count = index + 1
        width = PACKED_BITS // count
        word = _SELECTORS[count] << _PACKED_SHIFT
        for index in range(count):
            word |= numbers[start + index] << np.uint64(index * width)
        position = put_word(out, position, word)
        start += count
    return position
