"""CRC-32 (IEEE) of blocks, eight bytes at a time.

Source: RFC 1952, section 8; Kounavis and Berry, "A systematic approach to building high performance software-based CRC
generators", 2005 ("slicing-by-8"). For blocks of a few dozen bytes it costs a tenth of a call of zlib; for long ones
it takes as long as zlib does.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from loader.encoding.arrays import Bytes
from loader.encoding.compiled import compiled

_POLYNOMIAL = 0xEDB88320
_BYTE = np.uint32(0xFF)
_ONES = np.uint32(0xFFFFFFFF)


def _tables() -> npt.NDArray[np.uint32]:
    """Return for each byte its remainder, followed by 0 to 7 bytes that are zero."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
        tables[0, byte] = remainder
    for number in range(1, 8):
        former = tables[number - 1]
        tables[number] = tables[0][former & _BYTE] ^ former >> np.uint32(8)
    return tables


_TABLES = _tables()


def checksum(data: Bytes, start: int, stop: int) -> np.uint32:
    """Return the CRC-32 of ``data[start:stop]``; compiled code takes ``checksum_by_tables``."""
    return np.uint32(zlib.crc32(data[start:stop].data))


# Runs when Numba compiles, in another run of the tests.
def _by_tables(data: object, start: object, stop: object) -> Callable[..., Any]:  # pragma: no cover
    # Numba takes a plain function here, not a compiled one.
    return lambda data, start, stop: checksum_by_tables(data, start, stop)  # noqa: PLW0108


overload(checksum, strict=False)(_by_tables)


@compiled
def checksum_by_tables(data: Bytes, start: int, stop: int) -> np.uint32:
    """Return the CRC-32 of ``data[start:stop]``."""
    remainder = _ONES
    place, end = np.uint64(start), np.uint64(stop)
    while place + np.uint64(8) <= end:
        word = np.uint32(data[place])
        word |= np.uint32(data[place + np.uint64(1)]) << np.uint32(8)
        word |= np.uint32(data[place + np.uint64(2)]) << np.uint32(16)
        word |= np.uint32(data[place + np.uint64(3)]) << np.uint32(24)
        word ^= remainder
        remainder = (
            _TABLES[7, word & _BYTE]
            ^ _TABLES[6, word >> np.uint32(8) & _BYTE]
            ^ _TABLES[5, word >> np.uint32(16) & _BYTE]
            ^ _TABLES[4, word >> np.uint32(24)]
            ^ _TABLES[3, data[place + np.uint64(4)]]
            ^ _TABLES[2, data[place + np.uint64(5)]]
            ^ _TABLES[1, data[place + np.uint64(6)]]
            ^ _TABLES[0, data[place + np.uint64(7)]]
        )
        place += np.uint64(8)
    while place < end:
        remainder = _TABLES[0, (remainder ^ np.uint32(data[place])) & _BYTE] ^ remainder >> np.uint32(8)
        place += np.uint64(1)
    return remainder ^ _ONES
