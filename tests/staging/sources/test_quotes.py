"""Quotes of CSV, against Python's own strict reader."""

from __future__ import annotations

import csv
import io
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.staging.sources.quotes import QuoteScanner


def fault(text: bytes, sizes: list[int]) -> int:
    """Return the line of the first fault of ``text``, which comes in pieces of ``sizes`` again and again."""
    scanner = QuoteScanner()
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        if line := scanner.find_fault(text[at : at + size]):
            return line
        at, turn = at + size, turn + 1
    return 0


def refused(text: str) -> bool:
    """Tell whether Python's reader finds something behind a closing quote."""
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return "expected after" in str(error)
    return False


@settings(max_examples=1_000, deadline=None)
@given(st.text('a",\n\r', max_size=30), st.lists(st.integers(1, 5), min_size=1, max_size=3))
@example('a,"b\n\nc"d', [1])
def test_what_python_refuses(text: str, sizes: list[int]) -> None:
    """The same texts are refused, however they are cut, and never with a line that is not there."""
    line = fault(text.encode(), sizes)
    assert bool(line) == refused(text)
    assert line <= text.count("\n") + 1


@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_well(seed: int) -> None:
    """What a writer of CSV makes has no fault."""
    chance = random.Random(seed)
    file = io.StringIO(newline="")
    rows = [["".join(chance.choices('a",\n é', k=5)) for _ in range(3)] for _ in range(200)]
    csv.writer(file).writerows(rows)
    assert fault(file.getvalue().encode(), [64]) == 0


def test_the_line_is_that_of_an_editor() -> None:
    """Lines count from 1, those within values too, over all pieces."""
    text = b'h,v\na,1\n"b\nb",2\nc,"3"4\n'
    assert {fault(text, [size]) for size in range(1, 30)} == {5}
