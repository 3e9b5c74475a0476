"""The values of fields and times, read from their text; kernels.

Nothing here looks at bounds: behind the text of a block stands a newline, at which every number ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loader.encoding.arrays import Bytes, Integers, Words
from loader.encoding.compiled import compiled, inlined
from loader.encoding.line_protocol.lines import ByteWords

FLOAT, INTEGER, UNSIGNED, BOOLEAN, STRING, LONG_FLOAT = 1, 2, 3, 4, 5, 6
"""Kinds of values. Of a string and a long float, the bits are where the text begins and its size."""
NO_NUMBER, NO_BOOLEAN, TOO_LARGE = -1, -2, -3
"""What is no value."""
ZERO, NINE, POINT, MINUS, PLUS = ord("0"), ord("9"), ord("."), ord("-"), ord("+")
NEWLINE, RETURN, SPACE, COMMA = ord("\n"), ord("\r"), ord(" "), ord(",")
START = np.uint64(32)
"""How far the place of a text lies above its size in the bits."""
_E_SMALL, _E_LARGE, _I, _U = ord("e"), ord("E"), ord("i"), ord("u")
_TEN = np.uint64(10)
_MOST_DIGITS = 19
"""Digits of which every number fits into 64 bits."""
_MOST_UNSIGNED, _MOST_SIGNED = np.uint64(2**64 - 1), np.uint64(2**63 - 1)
_MOST_EXACT = np.uint64(2**53)
_POWERS = np.float64(10.0) ** np.arange(23)
"""The powers of ten that are doubles: one rounding, and so the nearest double, is what a product with them has."""
_MOST_EXPONENT = 100_000
_FOUR, _FIVE = np.uint64(0xFFFF_FFFF), np.uint64(0xFF_FFFF_FFFF)
_TRUE = tuple(np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"True", b"TRUE"))
_FALSE = tuple(np.uint64(int.from_bytes(word, "little")) for word in (b"false", b"False", b"FALSE"))
_TRUE_0, _TRUE_1, _TRUE_2 = _TRUE
_FALSE_0, _FALSE_1, _FALSE_2 = _FALSE
_T = (ord("t"), ord("T"))
_T_0, _T_1 = _T


class Values(NamedTuple):
    """The values of fields, one item each: their field's name, their kind and bits, and where their key begins.

    ``floats`` are the bits again. About 25 bytes a value.
    """

    fields: Integers
    kinds: Bytes
    bits: Words
    floats: npt.NDArray[np.float64]
    starts: Integers


@inlined
def at_end(data: Bytes, at: int) -> bool:
    """Tell whether a line may end at ``at``: at a newline, or a carriage return before it."""
    return bool(data[at] == NEWLINE or (data[at] == RETURN and data[at + 1] == NEWLINE))


@compiled
def read_digits(data: Bytes, at: int) -> tuple[np.uint64, int, int]:
    """Read decimal digits; return their value, how many count (leading zeros do not), and where they end.

    The value is that of the first 19 digits that count.
    """
    value, count = np.uint64(0), 0
    while True:
        digit = int(data[at]) - ZERO
        if digit < 0 or digit > 9:
            return value, count, at
        if digit > 0 or count > 0:
            count += 1
            if count <= _MOST_DIGITS:
                value = value * _TEN + np.uint64(digit)
        at += 1


@compiled
def read_number(data: Bytes, start: int, values: Values, item: int) -> tuple[int, int]:
    """Read the number at ``start`` as ``item`` of ``values``; return its kind, or what is wrong, and where it ends."""
    negative = data[start] == MINUS
    at = start + 1 if negative or data[start] == PLUS else start
    first = at
    value, count, at = read_digits(data, at)
    digits = at - first
    suffix = data[at]
    if digits > 0 and (suffix in (_I, _U)):
        kind = INTEGER if suffix == _I else UNSIGNED
        if kind == UNSIGNED and negative:
            return NO_NUMBER, start
        if count > _MOST_DIGITS:
            last = np.uint64(int(data[at - 1]) - ZERO)
            if kind == INTEGER or count > _MOST_DIGITS + 1 or value > (_MOST_UNSIGNED - last) // _TEN:
                return TOO_LARGE, start
            value = value * _TEN + last
        if kind == INTEGER and value > _MOST_SIGNED + np.uint64(negative):
            return TOO_LARGE, start
        values.bits[item] = np.uint64(0) - value if negative else value
        return kind, at + 1
    exponent = 0
    if data[at] == POINT:
        at += 1
        first = at
        while True:
            digit = int(data[at]) - ZERO
            if digit < 0 or digit > 9:
                break
            if digit > 0 or count > 0:
                count += 1
                if count <= _MOST_DIGITS:
                    value = value * _TEN + np.uint64(digit)
            at += 1
        exponent = first - at
        digits += at - first
    if digits == 0:
        return NO_NUMBER, start
    if data[at] == _E_SMALL or data[at] == _E_LARGE:
        at += 1
        down = data[at] == MINUS
        if down or data[at] == PLUS:
            at += 1
        power, first = 0, at
        while data[at] >= ZERO and data[at] <= NINE:
            power = min(power * 10 + int(data[at]) - ZERO, _MOST_EXPONENT)
            at += 1
        if at == first:
            return NO_NUMBER, start
        exponent += -power if down else power
    if count > _MOST_DIGITS or value > _MOST_EXACT or exponent < -22 or exponent > 22:
        values.bits[item] = np.uint64(start) << START | np.uint64(at - start)
        return LONG_FLOAT, at
    number = np.float64(value)
    number = number / _POWERS[-exponent] if exponent < 0 else number * _POWERS[exponent]
    values.floats[item] = -number if negative else number
    return FLOAT, at


@compiled
def read_boolean(data: Bytes, words: ByteWords, start: int, values: Values, item: int) -> tuple[int, int]:
    """Read the boolean at ``start`` likewise."""
    following = data[start + 1]
    true = data[start] == _T_0 or data[start] == _T_1
    values.bits[item] = np.uint64(true)
    if following in (COMMA, SPACE) or at_end(data, start + 1):
        return BOOLEAN, start + 1
    word = words[start]["word"]
    four, five = word & _FOUR, word & _FIVE
    if four in (_TRUE_0, _TRUE_1, _TRUE_2):
        return BOOLEAN, start + 4
    if five in (_FALSE_0, _FALSE_1, _FALSE_2):
        return BOOLEAN, start + 5
    return NO_BOOLEAN, start
