"""Marks of the buckets that loads make: a bucket's description has one, and the ledger of the load knows it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from loader.dataset.database import read_database
from loader.loading.ledger_file import LEDGER, TABLES, explained
from loader.loading.ledger_values import is_mark, place_of
from loader.servers.base import Target


def has_mark(root: Path, fingerprint: str, mark: str) -> bool:
    """Tell whether a load of the dataset ``fingerprint`` has made a bucket with this ``mark``.

    Raises LoadError or StageError when the ledger cannot be read.
    """
    with explained(root), read_database(root, LEDGER, TABLES) as database:
        found = (
            database
            and database.execute(
                "SELECT * FROM marks WHERE mark = ? AND fingerprint = ?", (mark, fingerprint)
            ).fetchone()
        )
        return bool(found)


def add_mark(database: sqlite3.Connection, target: Target, fingerprint: str, mark: str) -> None:
    """Record that a load of the dataset ``fingerprint`` is about to make the target's bucket, marked ``mark``."""
    with database:
        database.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", (mark, *place_of(target), fingerprint))


def marks(database: sqlite3.Connection, target: Target, fingerprint: str) -> frozenset[str]:
    """Return the marks of all buckets that loads of this dataset made, or were about to make, as ``target``.

    A value that does not have the form of a mark is ignored: a bucket without description must not be taken for ours.
    """
    return frozenset(
        mark
        for (mark,) in database.execute(
            "SELECT mark FROM marks WHERE url = ? AND org = ? AND bucket = ? AND fingerprint = ?",
            (*place_of(target), fingerprint),
        )
        if is_mark(mark)
    )
