"""Buffers that are used again, because the first touch of new memory takes as long as encoding into it."""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes, Words


class Buffer:
    """Bytes that grow when necessary, for one writer at a time."""

    def __init__(self) -> None:
        self._bytes: Bytes = np.empty(0, np.uint8)

    def reserve(self, size: int, kept: int = 0) -> Bytes:
        """Return at least ``size`` bytes, of which the first ``kept`` are as they were."""
        if size > len(self._bytes):
            # Memory that is reserved but not touched costs nothing; so growth is generous, and copies are rare.
            grown = np.empty(2 * size, np.uint8)
            grown[:kept] = self._bytes[:kept]
            self._bytes = grown
        return self._bytes

    def __len__(self) -> int:
        """Bytes that are reserved."""
        return len(self._bytes)


class Workspace:
    """Buffers that encoders use one after another: for the blocks of a file, its index, and the rows it is made of.

    Memory is that of the largest file. Of the rows of several measurements in one file, the arrays of only one are kept
    for the next file.
    """

    def __init__(self) -> None:
        self.content = Buffer()
        self.index = Buffer()
        self.times = Buffer()
        self._rows: Words = np.empty(0, np.uint64)
        self._texts = Buffer()

    def take_rows(self) -> Words:
        """Return an array for numbers, which is empty if another one has it."""
        rows, self._rows = self._rows, np.empty(0, np.uint64)
        return rows

    def take_texts(self) -> Buffer:
        """Return a buffer for texts, which is empty if another one has it."""
        texts, self._texts = self._texts, Buffer()
        return texts

    def give_back(self, rows: Words, texts: Buffer) -> None:
        """Keep the larger ones of these arrays and those that are here."""
        self._rows = max(self._rows, rows, key=len)
        self._texts = max(self._texts, texts, key=len)
