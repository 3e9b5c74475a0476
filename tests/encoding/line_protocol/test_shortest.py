"""The shortest decimals of doubles, against those of Python."""

from __future__ import annotations

import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.encoding.line_protocol.shortest import shortest_decimal


def shortest(value: float) -> tuple[int, int]:
    """Return digits without zeros at the end, and the power of ten."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    digits, power = shortest_decimal(np.uint64(bits))
    return _stripped(int(digits), int(power))


def of_python(value: float) -> tuple[int, int]:
    """Return the same of the decimal that Python writes."""
    _, digits, power = Decimal(repr(value)).as_tuple()
    assert isinstance(power, int)
    return _stripped(int("".join(map(str, digits))), power)


def _stripped(digits: int, power: int) -> tuple[int, int]:
    while digits % 10 == 0:
        digits, power = digits // 10, power + 1
    return digits, power


@settings(max_examples=1_000, deadline=None)
@given(bits=st.integers(1, 0x7FEF_FFFF_FFFF_FFFF))
def test_any_positive_double(bits: int) -> None:
    """Every pattern of bits has the digits that Python finds."""
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    assert shortest(value) == of_python(value)


@settings(max_examples=500, deadline=None)
@given(digits=st.integers(1, 10**17), power=st.integers(-30, 20))
def test_numbers_that_people_write(digits: int, power: int) -> None:
    """Numbers of few digits, which lie near middles between doubles more often than random bits do."""
    value = float(f"{digits}e{power}")
    assert shortest(value) == of_python(value)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_beside_every_power_of_two(step: int) -> None:
    """Doubles are half as far apart below a power of two as above it."""
    for exponent in range(1, 2_047):
        (value,) = struct.unpack("<d", struct.pack("<Q", (exponent << 52) + step))
        assert shortest(value) == of_python(value)


@pytest.mark.parametrize(
    "value", [5e-324, 1e-323, 2.2250738585072014e-308, 9007199254740993.0, 9.5367431640625e-07, 2e23]
)
def test_ends_and_middles(value: float) -> None:
    """The least doubles, and some whose neighbours' middles are decimals themselves."""
    assert shortest(value) == of_python(value)
