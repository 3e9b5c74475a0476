"""Checks the quotes of CSV in a stream of bytes: a separator, or the end of the row, follows a closing quote.

The reader would take anything else as part of the value, and would let the quote that opens a later value close an open
one: the rows between them would be lost. Source: RFC 4180, section 2.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes
from loader.encoding.compiled import allocation_free

_BEGIN, _PLAIN, _QUOTED, _CLOSED = range(4)
"""The place of a byte: at the beginning of a value, in one without quotes, in a quoted one, after a quote in that."""
_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'


class QuoteScanner:
    """Scans the pieces of a file, one after another; it keeps nothing of them."""

    def __init__(self, separator: str = ",") -> None:
        self._separator = separator.encode()
        self._state = _BEGIN
        self._lines = 1

    def find_fault(self, piece: bytes) -> int:
        """Return the line, from 1, in which something else follows a closing quote; 0 when there is none."""
        if self._state in {_BEGIN, _PLAIN} and b'"' not in piece:
            self._state = _BEGIN if piece.endswith((self._separator, b"\n", b"\r")) else _PLAIN
        else:
            self._state, at = _scan(np.frombuffer(piece, np.uint8), self._state, self._separator[0])
            if at >= 0:
                return self._lines + piece.count(b"\n", 0, at)
        self._lines += piece.count(b"\n")
        return 0


@allocation_free
def _scan(piece: Bytes, state: int, separator: int) -> tuple[int, int]:
    """Return the state after ``piece``, and the position of the first fault, -1 when there is none."""
    for at in range(len(piece)):
        byte = piece[at]
        ends = byte in (separator, _LINE_FEED, _RETURN)
        if state == _QUOTED:
            if byte == _QUOTE:
                state = _CLOSED
        elif state == _CLOSED:
            if byte == _QUOTE:
                state = _QUOTED
            elif ends:
                state = _BEGIN
            else:
                return state, at
        elif ends:
            state = _BEGIN
        elif state == _BEGIN and byte == _QUOTE:
            state = _QUOTED
        else:
            state = _PLAIN
    return state, -1
