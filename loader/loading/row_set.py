"""Rows that are acknowledged together."""

from __future__ import annotations

from dataclasses import dataclass

from loader.dataset.chunk import Chunk
from loader.encoding.arrays import Integers


@dataclass(frozen=True, eq=False)
class RowSet:
    """Rows of ``chunk``: all of them, or only those with the ``numbers``, each once, in any order."""

    chunk: Chunk
    numbers: Integers | None = None

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.chunk.rows if self.numbers is None else len(self.numbers)
