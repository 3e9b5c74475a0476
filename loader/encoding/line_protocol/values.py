"""Kernels that read values of fields and times from their text.

They check no bounds: after the text of a block there is a newline, at which every number ends.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes
from loader.encoding.compiled import inlined
from loader.encoding.line_protocol.scanned import Values
from loader.encoding.line_protocol.texts import ByteWords

FLOAT, INTEGER, UNSIGNED, BOOLEAN, STRING, LONG_FLOAT = 1, 2, 3, 4, 5, 6
"""Kinds of values. The bits of a string or long float are the start and the size of its text."""
NO_NUMBER, NO_BOOLEAN, TOO_LARGE, OPEN_STRING = -1, -2, -3, -4
"""Results for texts that are no values."""
ZERO, NINE, POINT, MINUS, PLUS = ord("0"), ord("9"), ord("."), ord("-"), ord("+")
NEWLINE, RETURN, SPACE, COMMA = ord("\n"), ord("\r"), ord(" "), ord(",")
START = np.uint64(32)
"""In the bits of a text, its start is shifted by so much, above its size."""
_E_SMALL, _E_LARGE, _I, _U = ord("e"), ord("E"), ord("i"), ord("u")
_TEN = np.uint64(10)
MOST_DIGITS = 19
"""Every number of so many digits fits into 64 bits."""
_MOST_UNSIGNED, MOST_SIGNED = np.uint64(2**64 - 1), np.uint64(2**63 - 1)
_MOST_EXACT = np.uint64(2**53)
_POWERS = np.float64(10.0) ** np.arange(23)
"""The powers of ten that are exact doubles: a product with one is rounded once, so it is the nearest double."""
_MOST_EXPONENT = np.uint64(2**32)
_FOUR, _FIVE = np.uint64(0xFFFF_FFFF), np.uint64(0xFF_FFFF_FFFF)
_TRUE = tuple(np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"True", b"TRUE"))
_FALSE = tuple(np.uint64(int.from_bytes(word, "little")) for word in (b"false", b"False", b"FALSE"))
_T = (ord("t"), ord("T"))


@inlined
def at_end(data: Bytes, at: int) -> bool:
    """Tell whether a line may end at ``at``: at a newline, or a carriage return before it."""
    return bool(data[at] == NEWLINE or (data[at] == RETURN and data[at + 1] == NEWLINE))


@inlined
def read_digits(data: Bytes, at: int, value: np.uint64, count: int) -> tuple[np.uint64, int, int]:
    """Read decimal digits; return their value, how many there are without leading zeros, and where they end.

    They continue the ``count`` digits of ``value``. Only the first 19 digits after leading zeros go into the value.
    """
    while True:
        digit = int(data[at]) - ZERO
        if digit < 0 or digit > 9:
            return value, count, at
        if digit > 0 or count > 0:
            count += 1
            if count <= MOST_DIGITS:
                value = value * _TEN + np.uint64(digit)
        at += 1


@inlined
def read_number(data: Bytes, start: int, values: Values, item: int) -> tuple[int, int]:
    """Read the number at ``start`` as ``item`` of ``values``; return its kind, or what is wrong, and where it ends."""
    negative = data[start] == MINUS
    first = start + 1 if negative or data[start] == PLUS else start
    value, count, at = read_digits(data, first, np.uint64(0), 0)
    if data[at] == _I or data[at] == _U:
        if at == first or (negative and data[at] == _U):
            return NO_NUMBER, start
        return _put_integer(data, at, value, count, negative, values, item), at + 1
    exponent, digits = 0, at - first
    if data[at] == POINT:
        first = at + 1
        value, count, at = read_digits(data, first, value, count)
        exponent = first - at
        digits -= exponent
    if digits == 0:
        return NO_NUMBER, start
    if data[at] == _E_SMALL or data[at] == _E_LARGE:
        first = at + 2 if data[at + 1] == MINUS or data[at + 1] == PLUS else at + 1
        digits_of_power, _, stop = read_digits(data, first, np.uint64(0), 0)
        if stop == first:
            return NO_NUMBER, start
        power = int(np.int64(min(digits_of_power, _MOST_EXPONENT)))
        exponent += -power if data[at + 1] == MINUS else power
        at = stop
    if count > MOST_DIGITS or value > _MOST_EXACT or exponent < -22 or exponent > 22:
        values.bits[item] = np.uint64(start) << START | np.uint64(at - start)
        return LONG_FLOAT, at
    number = np.float64(value)
    number = number / _POWERS[-exponent] if exponent < 0 else number * _POWERS[exponent]
    values.floats[item] = -number if negative else number
    return FLOAT, at


@inlined
def _put_integer(data: Bytes, at: int, value: np.uint64, count: int, negative: bool, values: Values, item: int) -> int:
    """Keep the integer that ends at ``at``; return its kind, or what is wrong."""
    kind = INTEGER if data[at] == _I else UNSIGNED
    if kind == UNSIGNED and count == MOST_DIGITS + 1:
        last = np.uint64(int(data[at - 1]) - ZERO)
        if value > (_MOST_UNSIGNED - last) // _TEN:
            return TOO_LARGE
        value = value * _TEN + last
    elif count > MOST_DIGITS or (kind == INTEGER and value > MOST_SIGNED + np.uint64(negative)):
        return TOO_LARGE
    values.bits[item] = np.uint64(0) - value if negative else value
    return kind


@inlined
def read_boolean(data: Bytes, words: ByteWords, start: int, values: Values, item: int) -> tuple[int, int]:
    """Read the boolean at ``start`` as ``item`` of ``values``; return its kind, or NO_BOOLEAN, and where it ends."""
    values.bits[item] = np.uint64(data[start] in _T)
    if data[start + 1] in (COMMA, SPACE) or at_end(data, start + 1):
        return BOOLEAN, start + 1
    word = words[start]["word"]
    if word & _FOUR in _TRUE:
        return BOOLEAN, start + 4
    if word & _FIVE in _FALSE:
        return BOOLEAN, start + 5
    return NO_BOOLEAN, start
