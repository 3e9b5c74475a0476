"""Counts of the rows that a load is done with and that the server does not have, in its ledger, by partition.

Rejected rows cannot be points, or were refused for good; skipped rows are not sent, because later rows replace them.
The partition of shards that were restored is "", since all of them are forgotten together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from loader.loading.ledger_values import check_count
from loader.loading.replayed_rows import forget_replayed


def add_left_out(database: sqlite3.Connection, load: int, partition: str, rejected: int, skipped: int) -> None:
    """Count ``rejected`` and ``skipped`` rows of ``partition``, within a transaction of the caller."""
    if rejected or skipped:
        database.execute(
            "INSERT INTO left_out VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " rejected = rejected + excluded.rejected, skipped = skipped + excluded.skipped",
            (load, partition, rejected, skipped),
        )
        database.execute("UPDATE loads SET rejected = rejected + ? WHERE id = ?", (rejected, load))


def forget_left_out(database: sqlite3.Connection, condition: str, values: Sequence[str | int]) -> None:
    """Forget counts and replayed rows where ``condition`` holds of ``load`` and ``partition``; the caller commits."""
    database.execute(
        f"UPDATE loads SET rejected = rejected - (SELECT sum(rejected) FROM left_out WHERE load = id AND {condition})"
        f" WHERE id IN (SELECT load FROM left_out WHERE {condition})",
        (*values, *values),
    )
    database.execute(f"DELETE FROM left_out WHERE {condition}", values)
    forget_replayed(database, condition, values)


def take_back_rejected(
    database: sqlite3.Connection, load: int, partition: str, rows: int, *, skipped: bool = False
) -> None:
    """Count ``rows`` rejected rows of ``partition`` as acknowledged, or skipped, within a transaction of the caller.

    Never more than were counted: a rejected file may hold rows that its user added.
    """
    found = database.execute(
        "SELECT partition, rejected FROM left_out WHERE load = ? AND partition IN (?, '') AND rejected > 0"
        " ORDER BY partition DESC LIMIT 1",
        (load, partition),
    ).fetchone()
    if found:
        rows = min(rows, check_count("the number of rejected rows", found[1]))
        database.execute(
            "UPDATE left_out SET rejected = rejected - ?, skipped = skipped + ? WHERE load = ? AND partition = ?",
            (rows, rows if skipped else 0, load, found[0]),
        )
        database.execute("UPDATE loads SET rejected = rejected - ? WHERE id = ?", (rows, load))


def count_skipped(database: sqlite3.Connection, load: int) -> int:
    """Return how many rows of ``load`` are skipped."""
    (rows,) = database.execute("SELECT coalesce(sum(skipped), 0) FROM left_out WHERE load = ?", (load,)).fetchone()
    return check_count("the number of skipped rows", rows)
