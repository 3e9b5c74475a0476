"""Explains errors of the system in words that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from loader.errors import ConfigError, StageError


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn failures of the system into errors that say what to do."""
    try:
        yield
    except BrokenProcessPool as error:
        raise StageError(
            f"{root}: a worker was killed, perhaps for want of memory",
            hint="run the same command again, it keeps what is finished; or use fewer --workers",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StageError(
                f"{root}: no room to write ({error.strerror})",
                hint="free some space and run the same command again: it keeps what is finished",
            ) from error
        raise ConfigError(
            f"{error.filename or root}: {error.strerror}", hint="choose a folder that can be written: --out FOLDER"
        ) from error
