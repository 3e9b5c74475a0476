"""Buffers that are used again, because the first touch of new memory takes as long as encoding into it."""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes


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


class Workspace:
    """Buffers that encoders use one after another: for the content of a file, and for the timestamps of one series.

    Memory is that of the largest file and of its longest series.
    """

    def __init__(self) -> None:
        self.content = Buffer()
        self.times = Buffer()
