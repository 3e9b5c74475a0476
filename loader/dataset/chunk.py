"""The address of rows, and of rows that cannot be points."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Chunk:
    """Rows ``start`` to ``stop`` (exclusive) of the partition at ``partition``, relative to the dataset.

    The same value is the unit of work, the ledger's key and the address in an error.
    """

    partition: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.partition}[{self.start}:{self.stop}]"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


@dataclass(frozen=True)
class RejectedRow:
    """Row ``row`` of the partition at ``partition`` cannot become a point: ``column`` holds ``value``, as text.

    ``value`` is cut and has no control characters; ``reason`` says in one clause why InfluxDB cannot hold it.
    """

    partition: str
    row: int
    column: str
    value: str
    reason: str
