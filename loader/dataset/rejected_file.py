"""The file in which rejected rows are kept, with their addresses and reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from loader.dataset.state import append_text, clear_text, keep_lines, state_path
from loader.errors import LoadError, StageError


class RejectedFile:
    """Appends rejected rows of the dataset at ``root`` as JSON Lines to a file, which the first of them makes."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = f"rejected/{name}.jsonl"
        self.path = state_path(root, self._name)

    def clear(self) -> None:
        """Empty the file, if it is there; raises LoadError."""
        self._write(lambda: clear_text(self._root, self._name))

    def keep_first(self, rows: int) -> None:
        """Cut off what is behind the first ``rows`` rows, if the file is there; raises LoadError."""
        self._write(lambda: keep_lines(self._root, self._name, rows))

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``rows`` and wait until they are on disk; raises LoadError."""
        text = "".join(json.dumps(rejected) + "\n" for rejected in rows)
        self._write(lambda: append_text(self._root, self._name, text))

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, StageError) as error:
            why = error.message if isinstance(error, StageError) else error.strerror
            raise LoadError(
                f"{self.path}: rejected rows cannot be written: {why}",
                hint="check space and permissions, then run the same command again",
            ) from error
