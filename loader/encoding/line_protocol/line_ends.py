"""Finds where lines of line protocol end: at newlines that are neither in a string nor after a backslash."""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes
from loader.encoding.compiled import allocation_free, inlined
from loader.encoding.line_protocol.values import COMMA, NEWLINE, SPACE

BACKSLASH, QUOTE, EQUALS, HASH = ord("\\"), ord('"'), ord("="), ord("#")
_TAB = ord("\t")


def find_end(buffer: bytes | bytearray | memoryview) -> int:
    """Return how many bytes of ``buffer``, which begins with a line, are whole lines, their newlines included.

    A newline in a string does not end a line, so a line with an unclosed string has no end: the caller must bound how
    much it reads for one line. The time taken is linear in the buffer; no memory is taken.
    """
    data = np.frombuffer(buffer, np.uint8)
    return _find_end(data, len(data))


@allocation_free
def _find_end(data: Bytes, size: int) -> int:
    end = 0
    while end < size:
        newline = find_line_end(data, end, size)
        if newline == size:
            break
        end = newline + 1
    return end


@inlined
def skip_blanks(data: Bytes, at: int, size: int) -> int:
    """Return the position of the first byte from ``at`` on that InfluxDB does not skip."""
    while at < size and (data[at] == SPACE or data[at] == _TAB or data[at] == 0):
        at += 1
    return at


@inlined
def find_series_end(data: Bytes, start: int, size: int) -> int:
    """Return where measurement and tags from ``start`` on end: at a space, at the end of the line, or at ``size``."""
    at = start
    while at < size:
        byte = data[at]
        if byte == SPACE and data[at - 1] != BACKSLASH:
            break
        if byte == NEWLINE and not _is_escaped(data, start, at):
            break
        at += 1
    return at


@inlined
def _is_escaped(data: Bytes, start: int, at: int) -> bool:
    """Tell whether the byte at ``at`` is escaped: an odd number of backslashes is before it."""
    first = at
    while first > start and data[first - 1] == BACKSLASH:
        first -= 1
    return (at - first) % 2 == 1


@inlined
def find_line_end(data: Bytes, at: int, size: int) -> int:
    """Return the position of the newline that ends the line at ``at``, ``size`` without one; the line may be bad."""
    at = skip_blanks(data, at, size)
    if at < size and data[at] == HASH:
        while at < size and data[at] != NEWLINE:
            at += 1
        return at
    at = find_series_end(data, at, size)
    equals, quoted = 0, False
    while at < size:
        byte = data[at]
        if byte == BACKSLASH:
            at += 1
        elif quoted:
            quoted = byte != QUOTE
        elif byte == NEWLINE:
            return at
        elif byte == EQUALS:
            equals += 1
        elif byte == COMMA:
            equals -= 1
        elif byte == QUOTE and equals > 0:
            quoted = True
        at += 1
    return size
