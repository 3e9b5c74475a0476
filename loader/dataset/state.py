"""The loader's own files in the folder ``.loader`` of a dataset: the one place that opens and locks them.

A dataset may come from anybody, so they are opened as ``beneath`` does: no link is followed, only regular files are
opened, and opening a file never empties it. A file that is read as a whole has at most MOST_BYTES. Problems are
StageErrors that name the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from loader.dataset.atomic import temporary_of, whole_file, write_whole
from loader.dataset.beneath import list_folder, look, open_file, opened_folder
from loader.errors import ConfigError, StageError

MANIFEST_FILE = "manifest.json"
STATE = ".loader"
MOST_BYTES = 16 << 20
"""Most bytes of a file that is read as a whole; a manifest of 60,000 partitions has about as many."""


def state_path(root: Path, name: str) -> Path:
    """Return where the file ``name`` of the dataset at ``root`` is: for messages, and for nothing else."""
    return root / STATE / name


def state_beside(path: Path) -> Path:
    """Return the folder that stands for the file ``path``: its ``.loader`` holds what the loader keeps of that file.

    Raises StageError for a link on the way: the file may come from anybody.
    """
    with suppress(FileNotFoundError), opened_folder(path.parent, f"{STATE}/{path.name}"):
        pass
    return path.parent / STATE / path.name


def names_beside(folder: Path) -> list[str]:
    """Return the names in ``folder`` of which the loader keeps something, see ``state_beside``; raises StageError."""
    return list_folder(folder, STATE)


def state_name(name: str) -> str:
    """Return the name of the file ``name``, relative to its dataset."""
    return f"{STATE}/{name}"


def has_state(root: Path, name: str) -> bool:
    """Tell whether the dataset at ``root`` has the file ``name``."""
    return look(root, state_name(name)) is not None


def keeps_state(root: Path) -> bool:
    """Tell whether the dataset at ``root`` has a folder of the loader's own files."""
    try:
        with opened_folder(root, STATE):
            return True
    except (OSError, StageError):
        return False


def nearest_folder(path: Path) -> Path:
    """Return ``path``, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def may_keep_state(root: Path) -> bool:
    """Tell whether the loader's own files of the dataset at ``root`` could be written; nothing is, to find that out."""
    there = nearest_folder(root / STATE)
    return os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def list_leftovers(root: Path) -> list[str]:
    """Return the temporary files that killed runs left among the loader's own, relative to the dataset."""
    return [
        f"{folder}/{name}"
        for folder in (STATE, state_name("metrics"))
        for name in list_folder(root, folder)
        if temporary_of(name)
    ]


def read_json(root: Path, name: str) -> Any:
    """Return the content of the JSON file ``name``; memory is 30 times MOST_BYTES at most.

    Raises FileNotFoundError, StageError when the file must not or cannot be read, ValueError when it is not JSON.
    """
    path = state_path(root, name)
    try:
        with open_state(root, name) as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StageError(f"{path}: cannot be read: {error.strerror}", hint="check its permissions") from error
    if len(content) > MOST_BYTES:
        raise StageError(f"{path}: is larger than {MOST_BYTES >> 20} MiB", hint="put back the file that was there")
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def open_state(root: Path, name: str) -> BinaryIO:
    """Open the file ``name`` to be read; raises OSError or StageError."""
    return os.fdopen(open_file(root, state_name(name), os.O_RDONLY), "rb")


@contextmanager
def whole_state(root: Path, name: str) -> Iterator[Path]:
    """Yield a temporary file that becomes the file ``name`` at the end of the block; raises OSError or StageError."""
    with whole_file(state_path(root, name), root) as path:
        yield path


def write_json(root: Path, name: str, content: Any) -> None:
    """Write ``content`` as the JSON file ``name``, whole or not at all; raises OSError or StageError."""
    text = json.dumps(content, indent=1, default=str).encode() + b"\n"
    if len(text) > MOST_BYTES:
        raise StageError(
            f"{state_path(root, name)}: would be larger than {MOST_BYTES >> 20} MiB, and could not be read again",
            hint="make several datasets of it",
        )
    write_whole(state_path(root, name), text, root)


def clear_text(root: Path, name: str) -> None:
    """Put an empty file in the place of the file ``name``, if it is there; raises OSError or StageError."""
    if has_state(root, name):
        write_whole(state_path(root, name), b"", root)


def append_text(root: Path, name: str, text: str) -> None:
    """Append ``text`` to the file ``name``, made when it is missing, and wait until it is on disk.

    Raises OSError or StageError.
    """
    descriptor = open_file(root, state_name(name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, make=True)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def make_state(root: Path) -> None:
    """Make the folder of the loader's own files of the dataset at ``root``; raises OSError or StageError."""
    root.mkdir(parents=True, exist_ok=True)
    with opened_folder(root, STATE, make=True):
        pass


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Keep stages out of the dataset at ``root`` while it is read; raises ConfigError while one is running.

    Any number of readers may share it. The lock (flock) is on the folder, so it needs no file and no right to write,
    and works on read-only media. There is no lock on a file system without locks, or where there is no ``.loader``.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # reading will report what is wrong there
            _share(root, stack.enter_context(opened_folder(root, STATE)))
        yield


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Keep everybody else out of the dataset at ``root``, which is made when missing.

    Raises ConfigError when it is being staged or read, OSError or StageError when there is no place for the lock.
    """
    root.mkdir(parents=True, exist_ok=True)
    with opened_folder(root, STATE, make=True) as folder:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{root}: {_work(folder)}{_holders(folder)}", hint="wait for it, or stage into another folder"
            ) from None
        yield


@contextmanager
def sole(root: Path, name: str) -> Iterator[bool]:
    """Try to lock the file ``name`` of the dataset at ``root``; yield whether the lock was free.

    Raises OSError or StageError.
    """
    descriptor = open_file(root, state_name(name), os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _share(root: Path, folder: int) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"{root}: is being staged{_holders(folder)}", hint="wait for it") from None


def _work(folder: int) -> str:
    """Return what the holders of the lock of ``folder`` are doing: readers share the lock, a stage does not."""
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "another stage is writing here"
    return "is being loaded, exported or verified"


def _holders(folder: int) -> str:
    """Return which processes hold the lock of ``folder``, "" where the system does not say."""
    status = os.fstat(folder)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    found = {fields[4] for fields in map(str.split, lines) if len(fields) == 8 and fields[5] == place}
    pids = sorted(found - {"0", "-1", str(os.getpid())}, key=int)
    return f" (process {', '.join(pids)})" if pids else ""
