"""The kernel that writes lines: series, fields and time of each row, as words of eight bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loader.encoding.arrays import Bytes, Integers, Mask, Words
from loader.encoding.compiled import compiled
from loader.encoding.line_protocol.numbers import put_float, put_signed, put_unsigned
from loader.encoding.line_protocol.texts import ByteWords, Texts, put_string, put_text

FLOAT, BOOLEAN = 0, 1
SIGNED, UNSIGNED, STRING = ord("i"), ord("u"), ord('"')
"""How a field is written: floats and booleans without a suffix, the others with their own character after them."""
_SPACE, _COMMA, _NEWLINE = np.uint64(ord(" ")), np.uint64(ord(",")), np.uint64(ord("\n"))
_TRUE, _FALSE = (np.uint64(int.from_bytes(text, "little")) for text in (b"true", b"false"))


class Fields(NamedTuple):
    """The fields of some rows: one item, or row of an array, for each field.

    ``values`` are the bits of numbers, 0 or 1 for booleans, and for strings the number of a text, counted from the
    field's ``first`` one in ``texts``. ``present`` tells which values are not null, and is empty when none is null.
    ``keys`` include all bytes before the value.
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


@compiled
def put_lines(words: ByteWords, offsets: Integers, rows: Rows, start: int, run: int, limit: int) -> int:
    """Write ``rows`` from ``start``, a row of ``run``, on as lines into ``words``; return how many.

    It writes all lines that fit into ``limit`` bytes, at most ``len(offsets) - 1`` and at least one; ``offsets`` are
    set to where they begin, and where the last one ends. ``words`` must have room for ``limit`` bytes, the longest line
    and a word more.
    """
    at, fields, nullable = 0, rows.fields, rows.fields.present.size > 0
    floats = fields.values.view(np.float64)
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
            elif kind == FLOAT:
                at = put_float(words, at, value, floats[field, row])
            elif kind == BOOLEAN:
                words[at]["word"] = _TRUE if value else _FALSE
                at += 4 if value else 5
            else:
                at = put_string(words, at, fields.texts, fields.first[field] + np.int64(value))
            if kind > BOOLEAN:
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
