"""Rows that cannot be points and lines that the server refused for good: on file, counted, limited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.state import append_text, clear_text, state_path
from loader.errors import LoadError, StageError
from loader.loading.ledger import Ledger
from loader.printable import MESSAGE, printable


@dataclass(frozen=True)
class RejectedLine:
    """A refused line, the address of its row, and the server's status and words."""

    line: str
    chunk: Chunk
    status: int
    reason: str


class RejectedFile:
    """Appends rejected rows of the dataset at ``root`` as JSON Lines to a file that is made with the first of them."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = f"rejected/{name}.jsonl"
        self.path = state_path(root, self._name)

    def clear(self) -> None:
        """Begin anew; raises LoadError."""
        self._write(lambda: clear_text(self._root, self._name))

    def append(self, rows: Iterable[RejectedRow | RejectedLine]) -> None:
        """Write ``rows`` and wait until they are on disk; raises LoadError."""
        text = "".join(json.dumps(_entry(rejected)) + "\n" for rejected in rows)
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


class Rejections:
    """The rejected rows of a load: ``total`` of all its runs, ``most`` that are allowed, ``first`` of this run."""

    def __init__(self, root: Path, name: str, most: int, total: int) -> None:
        self.file = RejectedFile(root, name)
        self.most = most
        self.total = total
        self.first = ""

    @classmethod
    def of_load(cls, root: Path, ledger: Ledger, most: int) -> Self:
        """Return the rejected rows of the load of ``ledger``; raises LoadError when there are too many already."""
        rejections = cls(root, ledger.name, most, ledger.rejected)
        if not rejections.total:
            rejections.file.clear()  # of what a load left that began again
        if rejections.excess:
            raise rejections.excess
        return rejections

    def keep(self, rows: Sequence[RejectedRow | RejectedLine]) -> None:
        """Put ``rows`` on file and count them; raises LoadError when they cannot be written."""
        if rows:
            self.file.append(rows)
            self.count(rows)

    def count(self, rows: Sequence[RejectedRow | RejectedLine]) -> None:
        """Count ``rows``, as a run that keeps nothing does."""
        if rows:
            self.first = self.first or describe(rows[0])
            self.total += len(rows)

    @property
    def excess(self) -> LoadError | None:
        """The error that there are more than allowed, None when there are not."""
        if self.total <= self.most:
            return None
        first = f"; the first of this run is {self.first}" if self.first else ""
        return LoadError(
            f"{self.total:,} rows were rejected, more than the {self.most:,} allowed{first}",
            hint=f"see {self.file.path}; go on with a higher --max-rejected",
        )


def describe(rejected: RejectedRow | RejectedLine) -> str:
    """Return which row was rejected, and why."""
    if isinstance(rejected, RejectedLine):
        place, why = f"{rejected.chunk.partition}, row {rejected.chunk.start}", f"{rejected.status}: {rejected.reason}"
    else:
        place = f"{rejected.partition}, row {rejected.row}, column {rejected.column!r}"
        why = f"{rejected.value}: {rejected.reason}"
    return printable(f"{place}: {why}", MESSAGE)


def _entry(rejected: RejectedRow | RejectedLine) -> dict[str, Any]:
    if isinstance(rejected, RejectedRow):
        return asdict(rejected)
    return {
        "partition": rejected.chunk.partition,
        "row": rejected.chunk.start,
        "status": rejected.status,
        "reason": rejected.reason,
        "line": rejected.line,
    }
