"""Texts that kernels write."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.encoding.line_protocol.texts import byte_words, join_texts, put_string, put_text

WORDS = pa.array(["one", None, "", "twenty-two bytes of it", "é"], pa.large_string())


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([], []),
        ([WORDS], ["one", "", "", "twenty-two bytes of it", "é"]),
        ([WORDS[3:]], ["twenty-two bytes of it", "é"]),
        ([WORDS[4:], WORDS[:0], WORDS[:2]], ["é", "one", ""]),
    ],
)
def test_texts_are_written_one_behind_the_other(arrays: list[pa.Array], expected: list[str]) -> None:
    """Texts of several arrays, also of parts of them, are numbered through, and come back byte for byte."""
    texts = join_texts(arrays)
    assert texts.lengths.tolist() == [len(text.encode()) for text in expected]
    out = np.zeros(100, np.uint8)
    at = 5
    for number, text in enumerate(expected):
        end = put_text(byte_words(out), at, texts, number)
        assert out[at:end].tobytes().decode() == text
        at = end


@settings(max_examples=300, deadline=None)
@example(strings=["", '"', "\\" * 9, '1234567"', '12345678"', 'a"b\\c' * 5])
@given(strings=st.lists(st.text(st.sampled_from('"\\ !#[]\t\nab\u0122é\U0001f600'), max_size=30), max_size=4))
def test_strings_get_a_backslash_before_quotes_and_backslashes(strings: list[str]) -> None:
    """Wherever in a word of eight bytes these are, and whatever follows the string, nothing else is changed."""
    texts = join_texts([pa.array(strings, pa.large_string())])
    out = np.zeros(2 * sum(map(len, strings)) * 4 + 8, np.uint8)
    at = 0
    for number, string in enumerate(strings):
        end = put_string(byte_words(out), at, texts, number)
        assert out[at:end].tobytes().decode() == string.replace("\\", r"\\").replace('"', r"\"")
        at = end
