"""The kernel that writes lines, and its parts: it writes texts and digits eight bytes at a time.

Every store is a word of eight bytes. The next store overwrites what is beyond the text, and there is room after the
last one. Words are little-endian, as on every machine that Arrow's buffers are made on. Everything that the kernel
calls is in this module, because compiled code on disk is made again only when its own module changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.encoding.arrays import Bytes, Integers, Mask, Words
from loader.encoding.compiled import compiled, inlined

TEXT, DECIMAL = 0, 1
SIGNED, UNSIGNED, STRING = ord("i"), ord("u"), ord('"')
"""How a field is written: text and decimals without a suffix, the others with their own character after them."""
_SPACE, _COMMA, _NEWLINE = np.uint64(ord(" ")), np.uint64(ord(",")), np.uint64(ord("\n"))
WORD_SIZE = 8
MOST_DIGITS = 20
"""Most characters of a 64-bit number, its sign included."""
DECIMALS = 4
_WORD = np.dtype([("word", np.uint64)])
_E4, _E8, _E16 = np.uint64(10**4), np.uint64(10**8), np.uint64(10**16)
_HALF = np.uint64(32)
_SIGN = np.uint64(63)
_CHARACTER = np.uint64(8)
_MINUS, _POINT = np.uint64(ord("-")), np.uint64(ord("."))
_QUADS = np.frombuffer("".join(f"{number:04}" for number in range(10**4)).encode(), np.uint32)
"""Every number below 10,000 as four digits, the first one in the lowest byte."""
_LEADING = np.array([4 - len(str(number)) for number in range(10**4)], np.uint8)
_TRAILING = np.array([3 - len(f"{number:04}"[1:].rstrip("0")) for number in range(10**4)], np.uint8)
"""The zeros before the first digit of a number, and after its last; at least one digit stays."""

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


class Fields(NamedTuple):
    """The fields of some rows: one item, or row of an array, for each field.

    ``values`` are the bits of integers, ten-thousandths for decimals, and for strings and text the number of a
    text, counted from the field's ``first`` one in ``texts``. ``present`` tells which values are not null, and is empty
    when none is null. ``keys`` include all bytes before the value.
    """

    kinds: Bytes
    keys: Texts
    values: Words
    present: Mask
    texts: Texts
    first: Integers


class Rows(NamedTuple):
    """Some rows: row ``i`` is at ``times[i]``, the bits of a signed one. Run ``j`` of rows begins at ``starts[j]``.

    ``starts`` ends with the number of rows; run ``j`` is of the series ``codes[j]`` of ``series``.
    """

    starts: Integers
    codes: Integers
    series: Texts
    fields: Fields
    times: Words


def byte_words(data: Bytes) -> ByteWords:
    """Return ``data``, more than eight bytes, as the words that begin at each byte except the last seven.

    They are records, because compiled code assumes that plain numbers are aligned.
    """
    return np.ndarray((len(data) - WORD_SIZE + 1,), _WORD, data, strides=(1,))


def join_texts(arrays: Sequence[pa.LargeStringArray]) -> Texts:
    """Return the texts of ``arrays``, one after another, copied; a null becomes any text."""
    # With the empty array there are always two, so the texts begin at the first byte of a new buffer.
    joined = pa.concat_arrays([pa.array([], pa.large_string()), *arrays])
    _, offsets, data = joined.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(joined) + 1).copy()
    size = int(bounds[-1])
    # An array of one word has another layout, for which the kernel would be compiled again.
    padded = np.zeros(max(size, 1) + WORD_SIZE, np.uint8)
    if size:
        padded[:size] = np.frombuffer(data, np.uint8, size)
    return Texts(byte_words(padded), bounds)


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


@inlined
def put_signed(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number``, the bits of a signed one, in decimal at byte ``at``; return where it ends."""
    if number >> _SIGN:
        words[at]["word"] = _MINUS
        return put_unsigned(words, at + 1, np.uint64(0) - number)
    return put_unsigned(words, at, number)


@inlined
def put_decimal(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ten-thousandths, the bits of a signed number, with one to DECIMALS decimals; return where it ends."""
    if number >> _SIGN:
        words[at]["word"] = _MINUS
        at += 1
        number = np.uint64(0) - number
    whole = number // _E4
    part = number - whole * _E4
    at = put_unsigned(words, at, whole)
    words[at]["word"] = _POINT | np.uint64(_QUADS[part]) << _CHARACTER
    return int(at + 1 + DECIMALS - np.int64(_TRAILING[part]))


@inlined
def put_unsigned(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number`` in decimal at byte ``at``; return where it ends."""
    if number < _E8:
        return _put_first(words, at, number)
    if number < _E16:
        upper = number // _E8
        return _put_eight(words, _put_first(words, at, upper), number - upper * _E8)
    upper = number // _E16
    at = _put_first(words, at, upper)
    number -= upper * _E16
    upper = number // _E8
    return _put_eight(words, _put_eight(words, at, upper), number - upper * _E8)


@inlined
def _put_eight(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number``, below 10**8, with leading zeros."""
    upper = number // _E4
    words[at]["word"] = np.uint64(_QUADS[upper]) | np.uint64(_QUADS[number - upper * _E4]) << _HALF
    return at + 8


@inlined
def _put_first(words: ByteWords, at: int, number: np.uint64) -> int:
    """Write ``number``, below 10**8, without leading zeros."""
    if number < _E4:
        upper, digits, width = number, np.uint64(_QUADS[number]), 4
    else:
        upper, width = number // _E4, 8
        digits = np.uint64(_QUADS[upper]) | np.uint64(_QUADS[number - upper * _E4]) << _HALF
    zeros = np.int64(_LEADING[upper])
    words[at]["word"] = digits >> np.uint64(8 * zeros)
    return int(at + width - zeros)


@compiled
def put_lines(words: ByteWords, offsets: Integers, rows: Rows, start: int, run: int, limit: int) -> int:
    """Write ``rows`` from ``start``, a row of ``run``, on as lines into ``words``; return how many.

    It writes all lines that fit into ``limit`` bytes, at most ``len(offsets) - 1`` and at least one; ``offsets`` are
    set to where they begin, and where the last one ends. ``words`` must have room for ``limit`` bytes, the longest line
    and a word more.
    """
    at, fields, nullable = 0, rows.fields, rows.fields.present.size > 0
    offsets[0] = 0
    for line in range(len(offsets) - 1):
        row = start + line
        if row == rows.starts[run + 1]:
            run += 1
        at = put_text(words, at, rows.series, rows.codes[run])
        separator = _SPACE
        for field in range(len(fields.kinds)):
            if nullable and not fields.present[field, row]:
                continue
            words[at]["word"] = separator
            separator = _COMMA
            at = put_text(words, at + 1, fields.keys, field)
            value, kind = fields.values[field, row], fields.kinds[field]
            if kind == SIGNED:
                at = put_signed(words, at, value)
            elif kind == UNSIGNED:
                at = put_unsigned(words, at, value)
            elif kind == DECIMAL:
                at = put_decimal(words, at, value)
            else:
                at = put_text(words, at, fields.texts, fields.first[field] + np.int64(value))
            if kind > DECIMAL:
                words[at]["word"] = np.uint64(kind)
                at += 1
        words[at]["word"] = _SPACE
        at = put_signed(words, at + 1, rows.times[row])
        words[at]["word"] = _NEWLINE
        at += 1
        offsets[line + 1] = at
        if at > limit:
            return max(line, 1)
    return len(offsets) - 1
