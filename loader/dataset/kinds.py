"""Tells what a file holds, by the suffix of its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loader.printable import listed

PARQUET, ARROW, CSV = (".parquet", ".pq"), (".arrow", ".feather", ".ipc"), (".csv", ".tsv")
LINES = (".lp", ".txt", ".line")
_TABLES = (*PARQUET, *ARROW, *CSV)
_COMPRESSED = (".gz", ".zst")


def kind_of(path: Path) -> str:
    """Return the suffix that says what a file holds, "" for one that is not known."""
    suffix = path.suffix.lower()
    if suffix in _COMPRESSED:
        suffix = Path(path.stem).suffix.lower()
        return suffix if suffix in (*LINES, *CSV) else ""
    return suffix if suffix in (*LINES, *_TABLES) else ""


def known_kinds() -> str:
    """Return all suffixes, as a message shows them."""
    return f"{', '.join((*_TABLES, *LINES))}; CSV and line protocol also with {' or '.join(_COMPRESSED)}"


def left_out(names: Sequence[str]) -> str:
    """Return a message about files that are left out because of their names."""
    return f"left out, by their names: {listed(names, 3)}"
