"""Writes down and counts rows that cannot be points and lines that the server refused for good, up to a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.rejected_file import RejectedFile
from loader.errors import ConfigError, LoadError
from loader.loading.ledger import Ledger
from loader.printable import MESSAGE, printable
from loader.quantities import counted

_PERCENT = re.compile(r"(?P<rows>[0-9]+)|(?P<percent>[0-9]+(\.[0-9]+)?)%", re.ASCII)


def most_rejected(limit: int | str, rows: int) -> int:
    """Return how many of ``rows`` rows may be rejected; ``limit`` is a number, or text such as "1000" or "0.5%".

    Raises ConfigError for anything else, and for more than 100 %.
    """
    found = _PERCENT.fullmatch(str(limit)) if isinstance(limit, int | str) else None
    if found and found["rows"]:
        return int(found["rows"])
    if found and (share := Fraction(found["percent"]) / 100) <= 1:
        return int(share * rows)
    raise ConfigError(
        f"max rejected of {limit!r}", hint="use a number of rows, or a percentage of the dataset's: 1000 or 0.5%"
    )


@dataclass(frozen=True)
class RejectedLine:
    """A refused line, the address of its row, and the server's status and message."""

    line: str
    chunk: Chunk
    status: int
    reason: str


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
            rejections.file.clear()  # left by an earlier load that is begun again
        else:
            if ledger.replayed.remembered:  # a replay was killed before the file was without them
                rejections.file.drop(lambda *address: address in ledger.replayed)
                ledger.replayed.settle()
            # A run that was killed may have written rows that are not acknowledged: these will be rejected again.
            rejections.file.keep_first(rejections.total)
        if rejections.excess:
            raise rejections.excess
        return rejections

    def keep(self, rows: Sequence[RejectedRow | RejectedLine]) -> None:
        """Write ``rows`` to the rejected file and count them; raises LoadError when they cannot be written."""
        if rows:
            self.file.append(map(entry_of, rows))
            self.count(rows)

    def count(self, rows: Sequence[RejectedRow | RejectedLine]) -> None:
        """Count ``rows`` without writing them, as a dry run does."""
        if rows:
            self.first = self.first or describe(rows[0])
            self.total += len(rows)

    @property
    def left(self) -> int:
        """How many more rows may be rejected."""
        return self.most - self.total

    @property
    def excess(self) -> LoadError | None:
        """The error to raise when there are more than allowed, None when there are not."""
        if self.total <= self.most:
            return None
        first = f"; the first of this run is {self.first}" if self.first else ""
        return LoadError(
            f"{counted(self.total, 'row was', 'rows were')} rejected, more than the {self.most:,} allowed{first}",
            hint=f"see {self.file.path}; go on with a higher --max-rejected",
        )


def describe(rejected: RejectedRow | RejectedLine) -> str:
    """Return which row was rejected, and why."""
    if isinstance(rejected, RejectedLine):
        place, why = (
            f"{rejected.chunk.partition}, row {rejected.chunk.start:,}",
            f"{rejected.status}: {rejected.reason}",
        )
    else:
        place = f"{rejected.partition}, row {rejected.row:,}, column {rejected.column!r}"
        why = f"{rejected.value}: {rejected.reason}"
    return printable(f"{place}: {why}", MESSAGE)


def entry_of(rejected: RejectedRow | RejectedLine) -> dict[str, Any]:
    """Return what the rejected file keeps of a row."""
    if isinstance(rejected, RejectedRow):
        return asdict(rejected)
    return {
        "partition": rejected.chunk.partition,
        "row": rejected.chunk.start,
        "status": rejected.status,
        "reason": rejected.reason,
        "line": rejected.line,
    }
