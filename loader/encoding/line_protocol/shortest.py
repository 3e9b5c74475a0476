"""The shortest decimal of a double: Schubfach, by Raffaello Giulietti, "The Schubfach way to render doubles" (2020).

A decimal is read back as a double when it lies between the middles to its neighbours; on a middle only if the fraction
is even. A power of ten is chosen so that at most two of its multiples lie there beside at most one of ten times the
power. Double, middles and multiples are compared as multiples of a quarter of the power, rounded to odd: each is a
product with a power of ten in 128 bits, which is exact enough for all doubles.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Words
from loader.encoding.compiled import compiled, inlined

LEAST_POWER, MOST_POWER = -292, 324
"""The powers of ten that some double is multiplied by."""
_FRACTION, _EXPONENTS, _BIAS = np.uint64(52), np.uint64(0x7FF), 1_075
_HIDDEN = np.uint64(1 << 52)
_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)
_ONE, _TWO, _TEN, _FORTY = np.uint64(1), np.uint64(2), np.uint64(10), np.uint64(40)


def _powers() -> Words:
    """Return the powers of ten as 128 bits of which the first is set, rounded up: a row each, the upper half first."""
    rows = []
    for power in range(LEAST_POWER, MOST_POWER + 1):
        over, under = 10 ** max(power, 0), 10 ** max(-power, 0)
        shift = 128 + under.bit_length() - over.bit_length()
        bits = (over << max(shift, 0)) // (under << max(-shift, 0))
        bits >>= bits.bit_length() - 128
        rows.append(divmod(bits + 1, 2**64))
    return np.array(rows, np.uint64)


_POWERS = _powers()


@inlined
def _product(left: np.uint64, right: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the upper and the lower 64 bits of a product."""
    left_upper, left_lower = left >> _HALF, left & _LOW
    right_upper, right_lower = right >> _HALF, right & _LOW
    lower = left_lower * right_lower
    middle = left_upper * right_lower + (lower >> _HALF)
    other = left_lower * right_upper + (middle & _LOW)
    return left_upper * right_upper + (middle >> _HALF) + (other >> _HALF), (other << _HALF) | (lower & _LOW)


@compiled
def _scaled(upper: np.uint64, lower: np.uint64, number: np.uint64) -> np.uint64:
    """Return ``number`` times the power of ten, rounded to odd: the last bit is set when any bit was cut off."""
    carry, _ = _product(lower, number)
    whole, part = _product(upper, number)
    part += carry
    if part < carry:
        whole += _ONE
    return whole | np.uint64(part > _ONE)


@compiled
def shortest_decimal(bits: np.uint64) -> tuple[np.uint64, int]:
    """Return digits and power of ten of a positive finite double, by its bits; of equally short ones, the nearest.

    The digits may end with zeros.
    """
    fraction, exponent = bits & (_HIDDEN - _ONE), int(np.int64((bits >> _FRACTION) & _EXPONENTS))
    # Below a power of two, doubles are half as far apart as above it.
    closer = fraction == 0 and exponent > 1
    number = fraction | _HIDDEN if exponent > 0 else fraction
    binary = max(exponent, 1) - _BIAS
    # log10(2) and log10(4/3) times 2**22, and log2(10) times 2**19: floors are exact for all exponents of doubles.
    power = (binary * 1_262_611 - (524_031 if closer else 0)) >> 22
    shift = np.uint64(binary + ((-power * 1_741_647) >> 19) + 1)
    upper, lower = _POWERS[-power - LEAST_POWER, 0], _POWERS[-power - LEAST_POWER, 1]
    number <<= _TWO
    middle = _scaled(upper, lower, number << shift)
    first = _scaled(upper, lower, (number - (_ONE if closer else _TWO)) << shift)
    last = _scaled(upper, lower, (number + _TWO) << shift)
    if fraction & _ONE:
        first += _ONE
        last -= _ONE
    digits = middle >> _TWO
    if digits >= _TEN:
        tens = digits // _TEN
        below, above = first <= _FORTY * tens, _FORTY * tens + _FORTY <= last
        if below != above:
            return tens + np.uint64(above), power + 1
    below, above = first <= digits << _TWO, (digits + _ONE) << _TWO <= last
    if below != above:
        return digits + np.uint64(above), power
    half = (digits << _TWO) + _TWO
    return digits + np.uint64(middle > half or (middle == half and digits & _ONE > 0)), power
