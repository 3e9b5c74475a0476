"""Reads numbers from a byte array, for kernels. Only ``uvarint`` checks bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from loader.encoding.arrays import Bytes
from loader.encoding.compiled import compiled

U0, U1, U7, U8 = np.uint64(0), np.uint64(1), np.uint64(7), np.uint64(8)
_U2, _U3, _U4, _U5, _U6 = np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(5), np.uint64(6)
_U16, _U24, _U32, _U40, _U48, _U56 = (np.uint64(bits) for bits in (16, 24, 32, 40, 48, 56))
_CONTINUES, _LOW = np.uint64(0x80), np.uint64(0x7F)


@compiled
def word(data: Bytes, at: int) -> Any:
    """Return the eight bytes at ``at`` as a number."""
    # An unsigned index cannot count from the end, so compiled code loads all bytes at once.
    place = np.uint64(at)
    return (
        np.uint64(data[place]) << _U56
        | np.uint64(data[place + U1]) << _U48
        | np.uint64(data[place + _U2]) << _U40
        | np.uint64(data[place + _U3]) << _U32
        | np.uint64(data[place + _U4]) << _U24
        | np.uint64(data[place + _U5]) << _U16
        | np.uint64(data[place + _U6]) << U8
        | np.uint64(data[place + U7])
    )


@compiled
def half_word(data: Bytes, at: int) -> Any:
    """Return the four bytes at ``at`` as a number."""
    place = np.uint64(at)
    return (
        np.uint64(data[place]) << _U24
        | np.uint64(data[place + U1]) << _U16
        | np.uint64(data[place + _U2]) << U8
        | np.uint64(data[place + _U3])
    )


@compiled
def uvarint(data: Bytes, at: int, stop: int) -> Any:
    """Return the varint at ``at`` and where it ends; the end is -1 when that is beyond ``stop`` or 64 bits."""
    value, shift = U0, U0
    for position in range(at, min(stop, at + 10)):
        byte = np.uint64(data[position])
        if shift == np.uint64(63) and byte > U1:
            return U0, -1
        value |= (byte & _LOW) << shift
        if byte < _CONTINUES:
            return value, position + 1
        shift += U7
    return U0, -1
