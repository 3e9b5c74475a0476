"""Texts for kernels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loader.encoding.line_protocol.texts import byte_words, join_texts, put_text

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
