"""The kernels that write numbers, eight bytes at a time: there is room for a word beyond them."""

from __future__ import annotations

import numpy as np

from loader.encoding.compiled import compiled, inlined
from loader.encoding.line_protocol.shortest import shortest_decimal
from loader.encoding.line_protocol.texts import ByteWords

MOST_DIGITS = 20
"""Most characters of a 64-bit integer, its sign included."""
MOST_OF_FLOAT = 24
"""Most characters of a float: 17 digits, two signs, point, and an exponent of three digits with its letter."""
DECIMALS = 4
_SCALE, _MOST_SCALED = float(10**DECIMALS), 1e15
_MOST_WHOLE = float(2**53)
"""Below it, a double that is whole has no shorter form than its integer."""
_LEAST_PLAIN, _MOST_DECIMALS = 1e-4, 19
"""Floats that are less, or have more decimals, are written with an exponent."""
_E4, _E8, _E16, _TEN = np.uint64(10**4), np.uint64(10**8), np.uint64(10**16), np.uint64(10)
_TENS = np.array([10**power for power in range(_MOST_DECIMALS + 1)], np.uint64)
_HALF, _SIGN, _CHARACTER = np.uint64(32), np.uint64(63), np.uint64(8)
_MAGNITUDE, _BUT_FIRST = np.uint64(2**63 - 1), np.uint64(2**64 - 2**8)
_MINUS, _POINT = np.uint64(ord("-")), np.uint64(ord("."))
_POINT_ZERO, _E, _E_MINUS = (np.uint64(int.from_bytes(text, "little")) for text in (b".0", b"e", b"e-"))
_QUADS = np.frombuffer("".join(f"{number:04}" for number in range(10**4)).encode(), np.uint32)
"""Every number below 10,000 as four digits, the first one in the lowest byte."""
_LEADING = np.array([4 - len(str(number)) for number in range(10**4)], np.uint8)
_TRAILING = np.array([3 - len(f"{number:04}"[1:].rstrip("0")) for number in range(10**4)], np.uint8)
"""The zeros before the first digit of a number, and after its last; at least one digit stays."""


@inlined
def put_signed(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number``, the bits of a signed one, in decimal at byte ``at``; return where it ends."""
    if number >> _SIGN:
        words[at]["word"] = _MINUS
        return put_unsigned(words, at + 1, np.uint64(0) - number)
    return put_unsigned(words, at, number)


@compiled
def put_float(words: ByteWords, at: int, bits: np.uint64, value: float) -> int:
    """Write ``value``, a finite double, in the shortest form that reads back as it; return where it ends.

    ``bits`` are its own. A decimal of up to 15 digits is the shortest form of the double nearest to it, since no two of
    them share a double: so prices, for example, need no search.
    """
    if bits >> _SIGN:
        words[at]["word"] = _MINUS
        at += 1
    value = abs(value)
    scaled = np.rint(value * _SCALE)
    if scaled < _MOST_SCALED and scaled / _SCALE == value:
        return _put_decimal(words, at, np.uint64(scaled))
    return _put_shortest(words, at, bits & _MAGNITUDE, value)


@compiled
def _put_shortest(words: ByteWords, at: int, bits: np.uint64, value: float) -> int:
    """Write ``value``, a positive finite double of these bits."""
    if value < _MOST_WHOLE and value == np.floor(value):
        at = _put_digits(words, at, np.uint64(value))
        words[at]["word"] = _POINT_ZERO
        return at + 2
    digits, power = shortest_decimal(bits)
    while digits % _TEN == 0:
        digits //= _TEN
        power += 1
    if value >= _LEAST_PLAIN and -_MOST_DECIMALS <= power < 0:
        return _put_point(words, at, digits, -power)
    decimals = 0
    while digits >= _TENS[decimals + 1]:
        decimals += 1
    at = _put_point(words, at, digits, decimals) if decimals else _put_digits(words, at, digits)
    power += decimals
    if power < 0:
        words[at]["word"] = _E_MINUS
        return _put_digits(words, at + 2, np.uint64(-power))
    words[at]["word"] = _E
    return _put_digits(words, at + 1, np.uint64(power))


@compiled
def _put_point(words: ByteWords, at: int, digits: np.uint64, decimals: int) -> int:
    """Write ``digits`` with a point before the last ``decimals`` of them; return where it ends."""
    scale = _TENS[decimals]
    whole = digits // scale
    at = _put_digits(words, at, whole)
    # A one before the decimals keeps their zeros, and gives way to the point.
    end = _put_digits(words, at, scale + (digits - whole * scale))
    words[at]["word"] = words[at]["word"] & _BUT_FIRST | _POINT
    return end


@compiled
def _put_digits(words: ByteWords, at: int, number: np.uint64) -> int:
    """Do what ``put_unsigned`` does, compiled once for all that call it."""
    return put_unsigned(words, at, number)


@inlined
def _put_decimal(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ten-thousandths with one to DECIMALS decimals; return where it ends."""
    whole = number // _E4
    part = number - whole * _E4
    at = put_unsigned(words, at, whole)
    words[at]["word"] = _POINT | np.uint64(_QUADS[part]) << _CHARACTER
    return int(at + 1 + DECIMALS - np.int64(_TRAILING[part]))


@inlined
def put_unsigned(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number`` in decimal at byte ``at``; return where it ends."""
    if number < _E8:
        return _put_first(words, at, number)
    if number < _E16:
        upper = number // _E8
        return _put_eight(words, _put_first(words, at, upper), number - upper * _E8)
    upper = number // _E16
    at = _put_first(words, at, upper)
    number -= upper * _E16
    upper = number // _E8
    return _put_eight(words, _put_eight(words, at, upper), number - upper * _E8)


@inlined
def _put_eight(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number``, below 10**8, with leading zeros."""
    upper = number // _E4
    words[at]["word"] = np.uint64(_QUADS[upper]) | np.uint64(_QUADS[number - upper * _E4]) << _HALF
    return at + 8


@inlined
def _put_first(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number``, below 10**8, without leading zeros."""
    if number < _E4:
        upper, digits, width = number, np.uint64(_QUADS[number]), 4
    else:
        upper, width = number // _E4, 8
        digits = np.uint64(_QUADS[upper]) | np.uint64(_QUADS[number - upper * _E4]) << _HALF
    zeros = np.int64(_LEADING[upper])
    words[at]["word"] = digits >> np.uint64(8 * zeros)
    return int(at + width - zeros)
