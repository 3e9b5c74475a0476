"""Texts as the kernel takes them, and the kernels that write them, eight bytes at a time.

Every store is a word of eight bytes. The next store overwrites what is beyond the text, and there is room after the
last one. Words are little-endian, as on every machine that Arrow's buffers are made on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.compiled import compiled, inlined

WORD_SIZE = 8
_WORD = np.dtype([("word", np.uint64)])
_ONES, _SIGNS = np.uint64(0x0101_0101_0101_0101), np.uint64(0x8080_8080_8080_8080)
_QUOTES, _BACKSLASHES = np.uint64(0x2222_2222_2222_2222), np.uint64(0x5C5C_5C5C_5C5C_5C5C)
_BACKSLASH, _CHARACTER = np.uint64(0x5C), np.uint64(0xFF)
_ONE, _BITS, _LAST = np.uint64(1), np.uint64(8), np.uint64(56)

ByteWords: TypeAlias = npt.NDArray[np.void]
"""Bytes as words that overlap: item ``i`` is the eight bytes from byte ``i`` on."""


class Texts(NamedTuple):
    """Text ``i`` is the bytes ``bounds[i]`` to ``bounds[i + 1]`` of ``words``, which has one more word after them."""

    words: ByteWords
    bounds: Integers

    @property
    def lengths(self) -> Integers:
        """Bytes of each text."""
        return np.diff(self.bounds)


def byte_words(data: Bytes) -> ByteWords:
    """Return ``data``, more than eight bytes, as the words that begin at each byte except the last seven.

    They are records, because compiled code assumes that plain numbers are aligned.
    """
    return np.ndarray((len(data) - WORD_SIZE + 1,), _WORD, data, strides=(1,))


def join_texts(arrays: Sequence[pa.LargeStringArray]) -> Texts:
    """Return the texts of ``arrays``, one after another, copied; a null becomes any text."""
    parts = [_offsets_and_data(array) for array in arrays if len(array)]
    sizes = [int(offsets[-1] - offsets[0]) for offsets, _ in parts]
    bounds = np.zeros(1 + sum(len(offsets) - 1 for offsets, _ in parts), np.int64)
    # An array of one word has another layout, for which the kernel would be compiled again.
    padded = np.empty(max(sum(sizes), 1) + WORD_SIZE, np.uint8)
    row = at = 0
    for (offsets, data), size in zip(parts, sizes, strict=True):
        padded[at : at + size] = data[offsets[0] : offsets[-1]]
        bounds[row + 1 : row + len(offsets)] = offsets[1:] + (at - offsets[0])
        row, at = row + len(offsets) - 1, at + size
    padded[at:] = 0
    return Texts(byte_words(padded), bounds)


def _offsets_and_data(array: pa.LargeStringArray) -> tuple[Integers, Bytes]:
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(array) + 1, 8 * array.offset)
    return bounds, np.frombuffer(data or b"", np.uint8)


@inlined
def put_text(words: ByteWords, at: int, texts: Texts, number: int) -> int:
    """Write text ``number`` of ``texts`` at byte ``at`` of ``words``; return where it ends."""
    position, stop = texts.bounds[number], texts.bounds[number + 1]
    end: int = at + stop - position
    # Not a range with a step, which compiles to a division.
    while position < stop:
        words[at]["word"] = texts.words[position]["word"]
        position += 8
        at += 8
    return end


@compiled
def put_string(words: ByteWords, at: int, texts: Texts, number: int) -> int:
    """Write text ``number`` with a backslash before each quote and backslash; return where it ends."""
    position, stop = texts.bounds[number], texts.bounds[number + 1]
    while position < stop:
        word = texts.words[position]["word"]
        words[at]["word"] = word
        special = _zero_bytes(word ^ _QUOTES) | _zero_bytes(word ^ _BACKSLASHES)
        if not special:
            position += 8
            at += 8
            continue
        # The bits below the lowest that is set tell how many bytes are before it.
        before = int(np.int64((((special & (~special + _ONE)) - _ONE) & _ONES) * _ONES >> _LAST)) - 1
        position += before
        at += before
        if position < stop:
            character = (word >> (np.uint64(before) * _BITS)) & _CHARACTER
            words[at]["word"] = _BACKSLASH | character << _BITS
            position += 1
            at += 2
    return int(at + stop - position)


@inlined
def _zero_bytes(word: np.uint64) -> np.uint64:
    """Return a word in which the highest bit of the first byte that is zero is set, and none before it."""
    return (word - _ONES) & ~word & _SIGNS
