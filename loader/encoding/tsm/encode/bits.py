"""Bits and bytes of 64-bit words. Compiled code counts zeros with an instruction of the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.cpython.unsafe import numbers
from numba.extending import overload

from loader.encoding.arrays import Bytes
from loader.encoding.compiled import compiled

_BYTE = np.uint64(0xFF)


def leading_zeros(word: np.uint64) -> int:
    """Return the number of zero bits above the highest one of ``word``."""
    return 64 - int(word).bit_length()


def trailing_zeros(word: np.uint64) -> int:
    """Return the number of zero bits below the lowest one of ``word``, which is not 0."""
    value = int(word)
    return (value & -value).bit_length() - 1


# Both run when Numba compiles, in another run of the tests, where they are compared with the functions above.
def _count_leading(word: object) -> Callable[[Any], Any]:  # pragma: no cover
    return lambda word: np.int64(numbers.leading_zeros(word))


def _count_trailing(word: object) -> Callable[[Any], Any]:  # pragma: no cover
    return lambda word: np.int64(numbers.trailing_zeros(word))


overload(leading_zeros, strict=False)(_count_leading)
overload(trailing_zeros, strict=False)(_count_trailing)


@compiled
def put_word(out: Bytes, position: int, word: np.uint64) -> int:
    """Write ``word`` to ``out`` at ``position``, big-endian; return the position after it."""
    # An unsigned index cannot count from the end, so compiled code stores all bytes at once.
    place = np.uint64(position)
    out[place] = np.uint8(word >> np.uint64(56))
    out[place + np.uint64(1)] = np.uint8(word >> np.uint64(48) & _BYTE)
    out[place + np.uint64(2)] = np.uint8(word >> np.uint64(40) & _BYTE)
    out[place + np.uint64(3)] = np.uint8(word >> np.uint64(32) & _BYTE)
    out[place + np.uint64(4)] = np.uint8(word >> np.uint64(24) & _BYTE)
    out[place + np.uint64(5)] = np.uint8(word >> np.uint64(16) & _BYTE)
    out[place + np.uint64(6)] = np.uint8(word >> np.uint64(8) & _BYTE)
    out[place + np.uint64(7)] = np.uint8(word & _BYTE)
    return position + 8


@compiled
def put_uvarint(out: Bytes, position: int, word: np.uint64) -> int:
    """Write ``word`` as a uvarint: seven bits a byte, low ones first; return the position after it."""
    while word >= np.uint64(128):
        out[position] = np.uint8(word & np.uint64(127) | np.uint64(128))
        word >>= np.uint64(7)
        position += 1
    out[position] = np.uint8(word)
    return position + 1


@compiled
def put_bytes(out: Bytes, position: int, source: Bytes, start: int, stop: int) -> int:
    """Copy ``source[start:stop]`` to ``out`` at ``position``; return the position after it."""
    out[position : position + stop - start] = source[start:stop]
    return position + stop - start
