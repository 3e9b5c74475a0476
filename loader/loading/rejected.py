"""Lines that the server refused for good, kept beside the dataset so that nothing is lost silently."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loader.dataset.chunk import Chunk
from loader.dataset.state import append_text, state_path
from loader.errors import LoadError, StageError


@dataclass(frozen=True)
class RejectedLine:
    """A refused line, the address of its row, and the server's status and words."""

    line: str
    chunk: Chunk
    status: int
    message: str


class RejectedFile:
    """Appends rejected lines of the dataset at ``root`` as JSON Lines to a file that is made with the first of them."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        self._root = root
        self._name = f"rejected/{fingerprint}.jsonl"
        self.path = state_path(root, self._name)

    def append(self, lines: Iterable[RejectedLine]) -> None:
        """Write ``lines`` and wait until they are on disk; raises LoadError."""
        try:
            append_text(self._root, self._name, "".join(json.dumps(_entry(rejected)) + "\n" for rejected in lines))
        except (OSError, StageError) as error:
            why = error.message if isinstance(error, StageError) else error.strerror
            raise LoadError(
                f"{self.path}: rejected lines cannot be written: {why}",
                hint="check space and permissions, then run the same command again",
            ) from error


def _entry(rejected: RejectedLine) -> dict[str, str | int]:
    return {
        "partition": rejected.chunk.partition,
        "row": rejected.chunk.start,
        "status": rejected.status,
        "message": rejected.message,
        "line": rejected.line,
    }
