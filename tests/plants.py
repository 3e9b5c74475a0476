"""Things that somebody may put in place of a file, for tests of what is opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

PRECIOUS = b"what nobody may touch\n" * 10


def link(path: Path) -> None:
    """Put a link to ``precious``, beside the dataset, there."""
    path.symlink_to(precious(path))


def dangling(path: Path) -> None:
    """Put a link to a file that is not there yet."""
    path.symlink_to(precious(path).with_name("made"))


def hard_link(path: Path) -> None:
    """Give ``precious`` another name."""
    path.hardlink_to(precious(path))


def fifo(path: Path) -> None:
    """Put a FIFO that nobody writes to there."""
    os.mkfifo(path)


def device(path: Path) -> None:
    """Put a link to a device there; only root makes devices."""
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    """Put a folder there."""
    path.mkdir()


def socket_file(path: Path) -> None:
    """Put a socket there."""
    before = Path.cwd()
    os.chdir(path.parent)  # its name may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


KINDS: tuple[Callable[[Path], None], ...] = (link, dangling, fifo, device, folder, socket_file)
"""All but the hard link, which is harmless where files are read."""


def precious(path: Path) -> Path:
    """Return the file outside of the dataset that ``path``, a file or folder in ``data/``, must not lead to."""
    root = next(folder for folder in path.parents if folder.name == "data")
    return root.parent / "precious"


def plant(path: Path, kind: Callable[[Path], None]) -> None:
    """Put a thing of ``kind`` in place of ``path``."""
    precious(path).write_bytes(PRECIOUS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    kind(path)


def untouched(path: Path) -> bool:
    """Tell whether nothing outside of the dataset was changed or made."""
    return precious(path).read_bytes() == PRECIOUS and not precious(path).with_name("made").exists()
