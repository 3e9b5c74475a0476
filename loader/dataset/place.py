"""Where a dataset is, and where the loader keeps its own files of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from loader.dataset.state import state_beside
from loader.errors import ConfigError
from loader.printable import printable

EVERY_FILE = "**/*.parquet"
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Place:
    """Partitions are the files below ``root`` that match ``pattern``; the loader's own are in ``.loader`` of ``state``.

    ``pattern`` is one of ``Path.glob``, relative to ``root``; ``path`` is what the user named.
    """

    path: Path
    root: Path
    state: Path
    pattern: str = EVERY_FILE


def find_place(path: Path, state: Path | None = None) -> Place:
    """Return the place of a dataset that is a folder, a single file, or the files that a pattern (``*?[``) matches.

    ``state`` is by default the folder itself; for a file ``trips.parquet``, it is ``.loader/trips.parquet/`` beside the
    file; for a pattern, a folder of that kind in the folder before the first wildcard. A path that does not exist
    counts as a folder. Raises ConfigError for what cannot be read, StageError for links in place of folders.
    """
    try:
        if path.is_file():
            return Place(path, path.parent, state or state_beside(path), _literal(path.name))
        if path.exists() or not _MAGIC.search(str(path)):
            return Place(path, path, state or path)
    except OSError as error:
        raise ConfigError(
            f"{printable(str(path))}: {error.strerror}", hint="name a file or folder that can be read"
        ) from error
    wild = next(number for number, part in enumerate(path.parts) if _MAGIC.search(part))
    root = Path(*path.parts[:wild])
    pattern = "/".join(path.parts[wild:])
    # Each pattern is a dataset of its own.
    return Place(path, root, state or state_beside(root / quote(pattern, safe="")), pattern)


def _literal(name: str) -> str:
    return _MAGIC.sub(lambda found: f"[{found[0]}]", name)
