"""Arrays in temporary files without a name, which exist as long as the array does."""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np
import numpy.typing as npt

from loader.errors import ConfigError


def zeros_on_disk(size: int) -> npt.NDArray[np.uint8]:
    """Return ``size`` bytes of zeros in a temporary file; raises ConfigError when there is no room for it."""
    try:
        with tempfile.TemporaryFile() as file:
            # Reserved now: on a disk that is full later, writing a page would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise ConfigError(
            f"{tempfile.gettempdir()}: no temporary file of {size:,} bytes ({error.strerror})",
            hint="set TMPDIR to a folder on a disk with room for a bit of each row and field, and eight bytes of each"
            " row where rows are moved",
        ) from None
    return np.frombuffer(mapped, np.uint8)
