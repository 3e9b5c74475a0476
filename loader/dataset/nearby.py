"""Finds datasets near a folder that holds none, to name them to those who mistyped its name."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from loader.dataset.beneath import list_folder
from loader.dataset.state import MANIFEST_FILE, has_state, names_beside, state_beside
from loader.errors import StageError
from loader.printable import listed


def list_datasets(folder: Path) -> list[Path]:
    """Return the datasets directly below ``folder``, and the files and patterns in it that were loaded by themselves.

    What cannot be read is none. Memory is bounded by the names in the folder.
    """
    below, beside = _names(lambda: list_folder(folder, "")), _names(lambda: names_beside(folder))
    found = [folder / name for name in below if not name.startswith(".") and _holds(folder / name)]
    for name in beside:
        path = folder / name if (folder / name).is_file() else folder / unquote(name)
        with suppress(StageError):
            found += [path] if _holds(state_beside(folder / name)) else []
    return found


def name_datasets(root: Path, otherwise: str) -> str:
    """Return a hint that names datasets below ``root``, or beside it where it is missing; or ``otherwise``."""
    found = list_datasets(root if root.is_dir() else root.parent)
    return f"datasets are there: {listed([shlex.quote(str(path)) for path in found], 3)}" if found else otherwise


def _names(read: Callable[[], list[str]]) -> list[str]:
    try:
        return sorted(read())
    except (OSError, StageError):
        return []


def _holds(root: Path) -> bool:
    try:
        return has_state(root, MANIFEST_FILE)
    except (OSError, StageError):
        return False
