"""Arrays in temporary files without a name, which exist as long as the array does."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from loader.errors import ConfigError

_FILE_BYTES = 64 << 20
"""Bytes of a file, at least; what is not taken is a hole. A process has few files, and a dataset many partitions."""


class Scratch:
    """Gives arrays; a file is only as large as those that were taken of it."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._end: Callable[[], object] = _nothing
        self._bytes = np.empty(0, np.uint8)
        self._taken = 0

    def zeros(self, size: int) -> npt.NDArray[np.uint8]:
        """Return ``size`` bytes of zeros, one or more, eight bytes aligned; raises ConfigError without room."""
        try:
            if self._taken + size > len(self._bytes):
                self._begin(max(size, _FILE_BYTES))
            # Taken now: a disk that is full later would end the process when a page is written.
            os.posix_fallocate(self._descriptor, self._taken, size)
        except OSError as error:
            raise ConfigError(
                f"{tempfile.gettempdir()}: no temporary file of {size:,} bytes ({error.strerror})",
                hint="set TMPDIR to a folder on a disk with room for a bit of each row and field, and, where rows are"
                " moved apart, for forty bytes of each row",
            ) from None
        part = self._bytes[self._taken : self._taken + size]
        self._taken += -(-size // 8) * 8
        return part

    def _begin(self, size: int) -> None:
        """Begin a new file; what was given of the former one stays as long as it is used."""
        self._end()
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            self._bytes = np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8)
            self._descriptor = os.dup(file.fileno())
        self._end = weakref.finalize(self, os.close, self._descriptor)
        self._taken = 0


def _nothing() -> None:
    """There is no file yet."""
