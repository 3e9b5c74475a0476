"""Reaches files below a folder without following a link: in a dataset from others a link may lead anywhere.

The folder itself, ``root``, is what the user named, and may be reached through links. Names are relative to it, with
``/`` between their parts. Everything else is a folder or a regular file: links, FIFOs, sockets and devices are refused
with a StageError before they are opened. An error of the system is an OSError that names the whole path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from loader.errors import StageError

_WRITES = os.O_WRONLY | os.O_RDWR
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def opened_folder(root: Path, name: str = "", *, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of the folder ``name`` below ``root``; ``make`` makes what is missing, durably."""
    path = root
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in PurePosixPath(name).parts:
            path /= part
            inner = _enter(descriptor, path, make=make)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(root: Path, name: str, flags: int, *, make: bool = False) -> int:
    """Return a descriptor of the regular file ``name`` below ``root``, opened with ``flags``.

    ``make`` makes missing folders. A file that is opened to be written must have no other name, which would change too.
    """
    path = root / name
    with opened_folder(root, _parent(name), make=make) as folder, named(path):
        with suppress(FileNotFoundError):
            _require_file(path, os.stat(path.name, dir_fd=folder, follow_symlinks=False))
        # If a FIFO has just appeared in its place, opening it does not wait.
        descriptor = os.open(path.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=folder)
    try:
        _require_file(path, os.fstat(descriptor), alone=bool(flags & _WRITES))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def look(root: Path, name: str, *, alone: bool = False) -> os.stat_result | None:
    """Return the status of the regular file ``name`` below ``root``, None when it is not there.

    With ``alone``, a file that has another name, too, is refused. Raises StageError also for errors of the system.
    """
    path = root / name
    try:
        with opened_folder(root, _parent(name)) as folder, named(path):
            status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(error) from error
    _require_file(path, status, alone=alone)
    return status


def list_folder(root: Path, name: str) -> list[str]:
    """Return the names in the folder ``name`` below ``root``, none when it is missing; raises as ``look`` does."""
    try:
        with opened_folder(root, name) as folder:
            return _names(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(error) from error


def remove_file(root: Path, name: str) -> None:
    """Remove the file ``name`` below ``root``."""
    path = root / name
    with opened_folder(root, _parent(name)) as folder, named(path):
        os.unlink(path.name, dir_fd=folder)


def move_file(root: Path, name: str, target: str) -> None:
    """Rename the file ``name`` below ``root`` to ``target``; missing folders are made. Raises OSError or StageError."""
    path = root / target
    with (
        opened_folder(root, _parent(name)) as source,
        opened_folder(root, _parent(target), make=True) as folder,
        named(path),
    ):
        os.rename(Path(name).name, path.name, src_dir_fd=source, dst_dir_fd=folder)
        os.fsync(folder)


def remove_empty_folder(root: Path, name: str) -> None:
    """Remove the folder that ``name`` was in when it is below ``root`` and empty now."""
    path = (root / name).parent
    with suppress(FileNotFoundError), opened_folder(root, _parent(_parent(name))) as folder, named(path):
        if path != root and not list_folder(root, _parent(name)):
            os.rmdir(path.name, dir_fd=folder)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _parent(name: str) -> str:
    return str(PurePosixPath(name).parent)


def _enter(folder: int, path: Path, *, make: bool) -> int:
    """Return a descriptor of the folder at ``path``, whose parent is open as ``folder``."""
    with named(path):
        if make:
            with suppress(FileExistsError):
                os.mkdir(path.name, dir_fd=folder)
                os.fsync(folder)
        mode = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(mode):
            raise _strange(path, mode, "a folder")
        return os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)


def _require_file(path: Path, status: os.stat_result, *, alone: bool = False) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _strange(path, status.st_mode, "a regular file")
    if alone and status.st_nlink > 1:
        raise StageError(
            f"{path}: this file has {status.st_nlink} names (hard links), and all of them would change with it",
            hint="put a copy of it in its place",
        )


def _strange(path: Path, mode: int, wanted: str) -> StageError:
    kind = _KINDS.get(stat.S_IFMT(mode), "a device")
    return StageError(
        f"{path}: is {kind}; only {wanted} is taken here",
        hint="links and special files within a dataset are not followed: put the data itself there",
    )


def _unreadable(error: OSError) -> StageError:
    return StageError(f"{error.filename}: cannot be read: {error.strerror}", hint="check the path and its permissions")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Make an OSError in the block name the whole path."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
