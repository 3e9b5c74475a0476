"""What a bucket held before a load sent anything into it, and how the load began: parts of its ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loader.dataset.claims import excerpt, is_line
from loader.loading.ledger_values import check_count
from loader.servers.load_method import LoadMethod


@dataclass(frozen=True)
class Existing:
    """What a bucket held in the time of a shard's rows: values ``found``, and how many of the rows were there.

    ``shard`` is the id of the shard that they go into, 0 as long as there is none.
    """

    found: int
    duplicates: int = 0
    shard: int = 0


@dataclass(frozen=True)
class Origin:
    """How a load began: by which load method ("" for none yet), and whether it made its bucket (None: not known)."""

    bucket_id: str
    via: str
    made: bool | None


class ExistingPoints:
    """What the bucket of one load held before, by shard; it is recorded before anything is sent."""

    def __init__(self, database: sqlite3.Connection, load: int) -> None:
        self._database = database
        self._load = load

    def begin(self, via: str, *, made: bool) -> None:
        """Record by which load method the load begins or goes on, and whether it ``made`` its bucket when it began."""
        with self._database:
            self._database.execute(
                "INSERT INTO origins VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET via = excluded.via",
                (self._load, via, made),
            )

    def note(self, shards: Mapping[int, Existing]) -> None:
        """Record what the bucket holds of the time of each of ``shards``, by its start."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO existing VALUES (?, ?, ?, ?, ?)",
                [(self._load, start, each.found, each.duplicates, each.shard) for start, each in shards.items()],
            )

    @property
    def by_shard(self) -> dict[int, Existing]:
        """What was recorded of each shard, by its start."""
        found = {}
        for start, *numbers in self._database.execute(
            "SELECT start, found, duplicates, shard FROM existing WHERE load = ?", (self._load,)
        ):
            if type(start) is not int:
                raise sqlite3.DatabaseError(f"it is damaged: a shard starts at {excerpt(start)}")
            found[start] = Existing(*(check_count("what a bucket held", number) for number in numbers))
        return found


def forget_existing(database: sqlite3.Connection, load: int) -> None:
    """Forget what the bucket held, within a transaction of the caller: the load begins again."""
    database.execute("DELETE FROM existing WHERE load = ?", (load,))


def find_origin(database: sqlite3.Connection, place: tuple[str, str, str], fingerprint: str) -> Origin | None:
    """Return how the last load of the dataset ``fingerprint`` into ``place`` began, None where there was none.

    A load of an older version is known by what it has acknowledged, and not by whether it made its bucket.
    """
    row = database.execute(
        "SELECT bucket_id, via, made, EXISTS (SELECT * FROM restored WHERE load = id),"
        " EXISTS (SELECT * FROM acknowledged WHERE load = id) OR EXISTS (SELECT * FROM scattered WHERE load = id)"
        " FROM loads LEFT JOIN origins ON load = id"
        " WHERE url = ? AND org = ? AND bucket = ? AND fingerprint = ? ORDER BY started DESC, id DESC LIMIT 1",
        (*place, fingerprint),
    ).fetchone()
    return _check_origin(*row) if row else None


def _check_origin(bucket_id: Any, via: Any, made: Any, restored: Any, written: Any) -> Origin:
    if not is_line(bucket_id) or via not in {None, *LoadMethod} or made not in {None, 0, 1}:
        raise sqlite3.DatabaseError(f"it is damaged: a load began by {excerpt(via)}")
    known = LoadMethod.RESTORE if restored else LoadMethod.WRITE if written else ""
    return Origin(bucket_id, str(via or known), None if made is None else bool(made))
