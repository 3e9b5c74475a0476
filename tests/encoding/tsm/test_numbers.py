"""Blocks of storage files: timestamps and values of every type come back bit for bit, in the server's encodings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import FieldType
from loader.encoding.columns import TIME_MAX, TIME_MIN
from tests.storage import SIZES, assert_comes_back, encode_one, parts

FLOAT, INTEGER, UNSIGNED = FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED
BOOLEAN, STRING = FieldType.BOOLEAN, FieldType.STRING
SUBNORMAL, LEAST_NORMAL, LARGEST = 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308
SELECTORS = [
    *((2, 60, 1), (3, 30, 2), (4, 20, 3), (5, 15, 4), (6, 12, 5), (7, 10, 6), (8, 8, 7)),
    *((9, 7, 8), (10, 6, 10), (11, 5, 12), (12, 4, 15), (13, 3, 20), (14, 2, 30), (15, 1, 60)),
]
"""Of simple8b: how many numbers of how many bits a word holds."""
FEW = settings(max_examples=40, deadline=None)


def unzigzag(number: int) -> int:
    """Return 0, -1, 1, -2 for 0, 1, 2, 3."""
    return -(number + 1) // 2 if number % 2 else number // 2


def signed(number: int) -> int:
    """Return the low 64 bits of ``number`` as two's complement."""
    return (number + 2**63) % 2**64 - 2**63


def assert_times_come_back(times: Sequence[int]) -> None:
    """Have ``times`` encoded and decoded."""
    assert_comes_back(BOOLEAN, [True] * len(times), list(times))


@FEW
@given(st.lists(st.integers(TIME_MIN, TIME_MAX), min_size=1, max_size=40, unique=True))
def test_any_times(times: list[int]) -> None:
    """Times come back wherever they are, with deltas of any size."""
    assert_times_come_back(sorted(times))


@FEW
@given(st.integers(-(2**62), 2**61), st.lists(st.integers(1, 2**20), min_size=1, max_size=150), st.integers(0, 12))
def test_times_in_steps_of_a_power_of_ten(first: int, steps: list[int], scale: int) -> None:
    """Times whose deltas have a power of ten in common come back."""
    assert_times_come_back(list(accumulate((step * 10**scale for step in steps), initial=first)))


@pytest.mark.parametrize("size", SIZES)
def test_times_of_whole_blocks_and_others(size: int) -> None:
    """Equal and unequal deltas come back in blocks that are full and not."""
    assert_times_come_back(range(-5, size - 5))
    assert_times_come_back([number * number * 1_000 for number in range(size)])


@pytest.mark.parametrize("power", range(19))
def test_equal_deltas_are_a_run(power: int) -> None:
    """Equal deltas are one delta, divided by the power of ten in it up to 10**12, and their count."""
    times = [number * 10**power for number in range(9)]
    assert_times_come_back(times)
    scale = min(power, 12)
    ((encoded, _),) = parts(encode_one(BOOLEAN, [True] * 9, times), BOOLEAN)
    delta = {0: "01", 1: "0a", 2: "64", 3: "e8 07", 4: "90 4e", 5: "a0 8d 06", 6: "c0 84 3d"}[power - scale]
    assert encoded == f"2{scale:x} 00 00 00 00 00 00 00 00 {delta} 09"


@pytest.mark.parametrize(
    ("times", "encoded"),
    [
        ([5], "1c 00 00 00 00 00 00 00 05"),
        ([-2, -1], "20 ff ff ff ff ff ff ff fe 01 02"),
        ([TIME_MIN, TIME_MAX + 1], "20 80 00 00 00 00 00 00 02 fc ff ff ff ff ff ff ff ff 01 02"),
        ([0, 1, 3], "10 00 00 00 00 00 00 00 00 e0 00 00 00 80 00 00 01"),
        ([0, 10, 30], "11 00 00 00 00 00 00 00 00 e0 00 00 00 80 00 00 01"),
        (
            [0, 2**60 - 1, 2**60],
            "10 00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff f0 00 00 00 00 00 00 01",
        ),
        (
            [0, 2**60, 2**60 + 1],
            "00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01",
        ),
        (
            [TIME_MIN, 2, 3],
            "00 80 00 00 00 00 00 00 02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01",
        ),
        ([0, 2**60, 2**61], "20 00 00 00 00 00 00 00 00 80 80 80 80 80 80 80 80 10 03"),
    ],
)
def test_times_byte_by_byte(times: list[int], encoded: str) -> None:
    """Times are encoded as the format says, and come back."""
    assert parts(encode_one(BOOLEAN, [True] * len(times), times), BOOLEAN)[0][0] == encoded
    assert_times_come_back(times)


@pytest.mark.parametrize(("selector", "count", "width"), SELECTORS)
def test_packed_words(selector: int, count: int, width: int) -> None:
    """Numbers of one width fill a word of the selector for it."""
    numbers = [2**width - 1, 0] * 30
    word = sum(number << (width * at) for at, number in enumerate(numbers[:count]))
    values = list(accumulate((signed(unzigzag(number)) for number in numbers[:count]), initial=0))
    ((_, encoded),) = parts(encode_one(INTEGER, values), INTEGER)
    assert encoded == "10 " + (bytes(8) + (selector << 60 | word).to_bytes(8)).hex(" ")
    assert_comes_back(INTEGER, values)


@FEW
@given(st.lists(st.one_of(*(st.integers(0, 2**width - 1) for _, _, width in SELECTORS)), max_size=200))
def test_packed_numbers_of_mixed_widths(numbers: list[int]) -> None:
    """Deltas of many widths come back from packed words."""
    assert_comes_back(INTEGER, [signed(value) for value in accumulate(map(unzigzag, numbers), initial=3)])


@FEW
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1, max_size=100))
def test_any_integers(values: list[int]) -> None:
    """Integers come back, signed and unsigned, over all 64 bits."""
    assert_comes_back(INTEGER, values)
    assert_comes_back(UNSIGNED, [value % 2**64 for value in values])


@FEW
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(1, 100))
def test_integers_in_equal_steps(first: int, step: int, count: int) -> None:
    """Equal steps come back, where they wrap too."""
    values = [signed(first + number * step) for number in range(count)]
    assert_comes_back(INTEGER, values)
    assert_comes_back(UNSIGNED, [value % 2**64 for value in values])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", list(FieldType))
def test_values_of_whole_blocks_and_others(kind: FieldType, size: int) -> None:
    """Every type comes back in blocks that are full and not: all equal, and all sorts."""
    sorts = {
        FLOAT: [0.0, -0.0, 1.5, 0.1 + 0.2, LARGEST, -SUBNORMAL],
        INTEGER: [0, 2**63 - 1, -(2**63), 5],
        UNSIGNED: [0, 2**64 - 1, 2**63, 7],
        BOOLEAN: [True, False, False],
        STRING: ["", "é€😀", "plain"],
    }[kind]
    assert_comes_back(kind, (sorts * size)[:size])
    assert_comes_back(kind, sorts[-1:] * size)


@pytest.mark.parametrize(
    ("kind", "values", "encoded"),
    [
        (INTEGER, [-1], "10 00 00 00 00 00 00 00 01"),
        (INTEGER, [1, 2], "10 00 00 00 00 00 00 00 02 f0 00 00 00 00 00 00 02"),
        (INTEGER, [1, 2, 3], "20 00 00 00 00 00 00 00 02 02 02"),
        (INTEGER, [7] * 300, "20 00 00 00 00 00 00 00 0e 00 ab 02"),
        (INTEGER, [0, 2**59], "00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00"),
        (INTEGER, [0, -(2**59)], "10 00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff"),
        (INTEGER, [2**63 - 1, -(2**63)], "10 ff ff ff ff ff ff ff fe f0 00 00 00 00 00 00 02"),
        (UNSIGNED, [2**64 - 1, 0], "10 00 00 00 00 00 00 00 01 f0 00 00 00 00 00 00 02"),
        (BOOLEAN, [True, False, True], "10 03 a0"),
        (BOOLEAN, [True] * 9, "10 09 ff 80"),
        (STRING, ["a", ""], "10 03 08 01 61 00"),
        (STRING, [""], "10 01 00 00"),
    ],
)
def test_values_byte_by_byte(kind: FieldType, values: list[object], encoded: str) -> None:
    """Values are encoded as the format says, and come back."""
    assert parts(encode_one(kind, values), kind)[0][1] == encoded
    assert_comes_back(kind, values)


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        # the end, a NaN, differs from 1.0 in the low 63 bits
        ([1.0], f"11 00001 111111 {0x4008000000000001:063b}"),
        # equal, then the end
        ([1.0, 1.0], f"0 11 00001 111111 {0x4008000000000001:063b}"),
        # bit 51 changes, and changes back within the same window
        ([1.0, 1.5, 1.0], f"11 01100 000001 1 10 1 11 00001 111111 {0x4008000000000001:063b}"),
        # the lowest bit changes: more zeros lead than can be told; all 64 bits change: their number is 0
        (
            [1.0, 1.0000000000000002, -1.0],
            f"11 11111 100001 {1:033b} 11 00000 000000 1{1:063b} 10 {0xC008000000000001:064b}",
        ),
    ],
)
def test_floats_bit_by_bit(values: list[float], bits: str) -> None:
    """Floats are encoded as the format says, and come back."""
    digits = bits.replace(" ", "")
    digits += "0" * (-len(digits) % 8)
    first = "3f f0 00 00 00 00 00 00"
    expected = f"10 {first} {int(digits, 2).to_bytes(len(digits) // 8).hex(' ')}"
    assert parts(encode_one(FLOAT, values), FLOAT)[0][1] == expected
    assert_comes_back(FLOAT, values)


@FEW
@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([0.0, -0.0, 1.0, SUBNORMAL, -SUBNORMAL, LEAST_NORMAL, LARGEST, -LARGEST]),
        min_size=1,
        max_size=100,
    )
)
def test_any_floats(values: list[float]) -> None:
    """Every double comes back with the same 64 bits: zeros of both signs, subnormals, the largest."""
    assert_comes_back(FLOAT, values)


@FEW
@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_any_booleans(values: list[bool]) -> None:
    """Booleans come back, whatever their number."""
    assert_comes_back(BOOLEAN, values)


@FEW
@given(st.lists(st.text(max_size=300), min_size=1, max_size=20))
def test_any_strings(values: list[str]) -> None:
    """Strings come back: empty ones, and any character."""
    assert_comes_back(STRING, values)


def test_long_strings() -> None:
    """Strings of 64 KiB come back, alone and beside empty ones."""
    assert_comes_back(STRING, ["x" * (1 << 16)])
    assert_comes_back(STRING, ["", "€" * (1 << 14), "", "y" * 127, "z" * 128])
