"""Which files the sources of a stage are, and what they hold, as their names say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loader.dataset.own_files import is_hidden
from loader.dataset.place import find_place
from loader.errors import ConfigError

PARQUET, ARROW, CSV = (".parquet",), (".arrow", ".feather", ".ipc"), (".csv",)
LINES = (".lp", ".txt", ".line")
_TABLES = (*PARQUET, *ARROW, *CSV)
_COMPRESSED = (".gz", ".zst")


def find_sources(sources: Sequence[Path]) -> tuple[list[Path], bool]:
    """Return the files that ``sources`` (files, folders, patterns) name, each once, and whether they are line protocol.

    Raises ConfigError for what is not there, not known, or not to be mixed.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        place = find_place(source)
        pattern = "**/*" if source.is_dir() else place.pattern
        files = sorted(
            path for path in place.root.glob(pattern) if path.is_file() and not is_hidden(path.relative_to(place.root))
        )
        if source.is_dir():
            files = [path for path in files if kind_of(path)]
        if not files:
            raise ConfigError(f"{source}: no such file, or none that is known", hint=f"known are {_known()}")
        for path in files:
            found.setdefault(path.resolve(), path)  # one file may be named in two ways
    kinds = {kind_of(path): path for path in found.values()}
    if odd := kinds.get(""):
        raise ConfigError(f"{odd}: what it holds is not known", hint=f"known are {_known()}")
    lines = {kind in LINES for kind in kinds}
    if len(lines) > 1:
        raise ConfigError("line protocol and tables together", hint="stage each into a folder of its own")
    return list(found.values()), lines.pop()


def kind_of(path: Path) -> str:
    """Return the suffix that says what a file holds, "" for one that is not known."""
    suffix = path.suffix.lower()
    if suffix in _COMPRESSED:
        suffix = Path(path.stem).suffix.lower()
        return suffix if suffix in (*LINES, *CSV) else ""
    return suffix if suffix in (*LINES, *_TABLES) else ""


def _known() -> str:
    return f"{', '.join((*_TABLES, *LINES))}; .csv and line protocol also with {' or '.join(_COMPRESSED)}"
