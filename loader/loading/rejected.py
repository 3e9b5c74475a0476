"""Lines that the server refused for good, kept beside the dataset so that nothing is lost silently."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loader.dataset.chunk import Chunk
from loader.errors import LoadError


@dataclass(frozen=True)
class RejectedLine:
    """A refused line, the address of its row, and the server's status and words."""

    line: str
    chunk: Chunk
    status: int
    message: str


class RejectedFile:
    """Appends rejected lines as JSON Lines to a file that is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, lines: Iterable[RejectedLine]) -> None:
        """Write ``lines`` and wait until they are on disk; raises LoadError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(_entry(rejected)) + "\n" for rejected in lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LoadError(
                f"{self.path}: rejected lines cannot be written: {error.strerror}",
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
