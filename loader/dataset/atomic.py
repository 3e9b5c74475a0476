"""Writes files that appear whole or not at all: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loader.dataset.beneath import named, opened_folder

TEMPORARY_SUFFIX = ".tmp"
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.loader-[0-9a-f]{16}\.tmp")


@dataclass
class _Temporary:
    """A new file under a temporary name; ``status`` is that of the file once it has its final name."""

    path: Path
    descriptor: int
    status: os.stat_result


@contextmanager
def whole_file(path: Path, root: Path | None = None) -> Iterator[Path]:
    """Yield a new temporary file beside ``path``; on success it becomes ``path``, on any error it is removed.

    Missing folders are made, and made durable. Below ``root``, where it is given, no link is followed: StageError.
    Raises OSError.
    """
    with _temporary(path, root) as temporary:
        yield temporary.path


def write_whole(path: Path, content: bytes | memoryview, root: Path | None = None) -> os.stat_result:
    """Write ``content`` to ``path``, whole or not at all, and return the status of the file; see ``whole_file``."""
    with _temporary(path, root) as temporary, named(path):
        left = memoryview(content)
        while left:
            left = left[os.write(temporary.descriptor, left) :]
    return temporary.status


def temporary_of(name: str) -> str:
    """Return the name of the file that the temporary file ``name`` was to become, "" when it is none of ours."""
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found else ""


@contextmanager
def _temporary(path: Path, root: Path | None) -> Iterator[_Temporary]:
    top = root or next(folder for folder in path.parents if folder.exists())
    # A name that nobody can guess, and that does not exist yet.
    name = f".{path.name}.loader-{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    with opened_folder(top, str(path.parent.relative_to(top)), make=True) as folder:
        with named(path):
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
        try:
            temporary = _Temporary(path.with_name(name), descriptor, os.fstat(descriptor))
            yield temporary
            with named(path):
                os.fsync(descriptor)
                os.rename(name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            temporary.status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
        os.fsync(folder)
