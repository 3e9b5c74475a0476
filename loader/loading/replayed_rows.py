"""The rejected rows that a replay has brought to the server after all, in the ledger.

Those whose lines were edited are kept: verification looks at each of them. The others are kept until the rejected file
is without them, so that a replay that was killed does not send them again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from loader.dataset.database import read_database
from loader.loading.ledger_file import LEDGER, TABLES, explained
from loader.loading.ledger_values import check_count

MOST_EDITED = 10_000
_EDITED = (
    "SELECT DISTINCT partition, row FROM replayed WHERE edited AND load IN"
    " (SELECT id FROM loads WHERE bucket = ? AND bucket_id = ? AND fingerprint = ?) ORDER BY 1, 2 LIMIT ?"
)


class ReplayedRows:
    """The replayed rows of one load."""

    def __init__(self, database: sqlite3.Connection, load: int) -> None:
        self._database = database
        self._load = load

    def __contains__(self, address: tuple[str, int]) -> bool:
        """Tell whether the row of this partition and number was replayed, and is still remembered."""
        return bool(
            self._database.execute(
                "SELECT 1 FROM replayed WHERE load = ? AND partition = ? AND row = ?", (self._load, *address)
            ).fetchone()
        )

    @property
    def remembered(self) -> bool:
        """Whether there are any."""
        return bool(self._database.execute("SELECT 1 FROM replayed WHERE load = ?", (self._load,)).fetchone())

    def add(self, partition: str, rows: Mapping[int, bool]) -> int:
        """Add ``rows``, each with whether it was edited, within the caller's transaction; return how many are new."""
        before = self._database.total_changes
        self._database.executemany(
            "INSERT OR IGNORE INTO replayed VALUES (?, ?, ?, ?)",
            [(self._load, partition, row, int(edited)) for row, edited in rows.items()],
        )
        return self._database.total_changes - before

    def settle(self) -> None:
        """Forget the rows that were not edited, once the rejected file is without them."""
        with self._database:
            self._database.execute("DELETE FROM replayed WHERE load = ? AND NOT edited", (self._load,))


def edited_rows(root: Path, bucket: str, bucket_id: str, fingerprint: str) -> dict[str, list[int]]:
    """Return the rows, by partition, that were edited before a replay sent them into a bucket; ascending numbers.

    ``root`` is where the ledger of the dataset ``fingerprint`` is. There are MOST_EDITED of them at most. Raises
    LoadError or StageError when it cannot be read.
    """
    found: dict[str, list[int]] = {}
    with explained(root), read_database(root, LEDGER, TABLES) as database:
        rows = database.execute(_EDITED, (bucket, bucket_id, fingerprint, MOST_EDITED)) if database else ()
        for partition, row in rows:
            found.setdefault(str(partition), []).append(check_count("the number of a row", row))
    return found


def forget_replayed(database: sqlite3.Connection, condition: str, values: Sequence[str | int]) -> None:
    """Forget replayed rows where ``condition`` holds of ``load`` and ``partition``, with ``values``."""
    database.execute(f"DELETE FROM replayed WHERE {condition}", values)
