"""Where blocks of lines may be cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.encoding.line_protocol.decode import Decoder
from loader.encoding.line_protocol.line_ends import find_end
from tests.decoded import decode
from tests.encoding.line_protocol.test_decode import lines, mutated


@pytest.mark.parametrize(
    ("whole", "rest"),
    [
        (b"", b""),
        (b"", b"m v=1 1"),
        (b"m v=1 1\n", b""),
        (b"m v=1 1\n\n", b"m v=1"),
        (b"", b'm v="a\nb\n'),
        (b'm v="a\nb" 1\n', b'm v="a\nb'),
        (b'm v="a\\"\nb",w=1 1\n', b'm v="\\\\\\"\n'),
        (b'm v="a\\\\" 1\n', b'm v="\n'),
        (b'm,t="a v=1 1\n', b""),
        (b'm a"b=1,c"=2 1\n', b""),
        (b"# it's v=\"x\n# ends with \\\n", b"m v=1"),
        (b"", b"m,t=a\\\nb v=1 1"),
        (b"m,t=a\\\\\n", b"m"),
        (b"m v=1 1\\\\\n", b"m"),
        (b'\t \0m v="\\\n" 1\n', b'm v="\\'),
    ],
)
def test_ends_of_whole_lines(whole: bytes, rest: bytes) -> None:
    """A newline in a string, or behind a backslash, ends no line; one in a comment does."""
    for buffer in (whole + rest, bytearray(whole + rest), memoryview(whole + rest)):
        assert find_end(buffer) == len(whole)


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(lines | mutated(), max_size=6), cut=st.integers(0, 200))
def test_a_block_may_be_cut_where_lines_end(texts: list[str], cut: int) -> None:
    """Lines that are decoded in two blocks are the same points and bad lines as in one."""
    data = "\n".join(texts).encode()
    end = find_end(data[:cut])
    assert decode(data[:end], data[end:]) == decode(data)


def test_every_cut_of_good_lines() -> None:
    """A cut ahead of any byte finds the end of the line before it, strings with newlines included."""
    ends = [0]
    text = b""
    for line in (b'm s="a\n\\"\n",t="\n" 1\n', b"m,t=a\\ \\\\b v=1 2\n", b'm "q"=1,s="=, " 3\n', b"\n", b"# c\n"):
        text += line
        ends.append(len(text))
    for cut in range(len(text) + 1):
        assert find_end(text[:cut]) == max(end for end in ends if end <= cut)
    assert [piece.lines.tolist() for piece in Decoder().decode(text)[0]] == [[1, 5, 6]]
