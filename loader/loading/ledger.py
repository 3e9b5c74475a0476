"""What has been acknowledged, so that a run resumes: SQLite beside the dataset.

A load is identified by where it goes (address, organization, bucket, and the bucket's own id where the
server has one) and by the dataset's fingerprint. The ledger holds acknowledged row ranges, never batch numbers, so
a rerun with another batch size still resumes. A row range is recorded only after the server's 204. Touching
ranges are merged, so the size of the ledger depends only on the number of gaps. Rows that are sent in another order
than that of their partition are bits until their chunk is complete. The restore path acknowledges whole shards, by
their start, after the server has counted their points. Before it makes a bucket, it records a mark, which the bucket's
description then carries. No token is ever in the ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from loader.dataset.database import opened_database, read_database
from loader.dataset.state import has_state, sole, state_path
from loader.errors import ConfigError, LoadError
from loader.loading.acknowledged_rows import AcknowledgedRows, count_acknowledged, forget_acknowledged
from loader.loading.existing_points import ExistingPoints, Origin, find_origin, forget_existing
from loader.loading.ledger_file import LEDGER, TABLES, explained
from loader.loading.ledger_values import (
    LastLoad,
    check_attempts,
    check_count,
    check_last_load,
    check_shards,
    place_of,
)
from loader.loading.left_out import add_left_out, count_skipped, forget_left_out, take_back_rejected
from loader.loading.replayed_rows import ReplayedRows
from loader.loading.row_set import RowSet
from loader.servers.base import Target

_LOCK = "load.lock"
_MOST_PARTS = 10**9


def ledger_path(root: Path) -> Path:
    """Return where the ledger of the dataset at ``root`` is, for messages."""
    return state_path(root, LEDGER)


def has_ledger(root: Path) -> bool:
    """Tell whether anything of the dataset at ``root`` was loaded, or was about to be."""
    return has_state(root, LEDGER)


def last_load(root: Path) -> LastLoad | None:
    """Return the load of the dataset at ``root`` that began last, None when there was none.

    Raises LoadError or StageError when the ledger cannot be read.
    """
    with explained(root), read_database(root, LEDGER, TABLES) as database:
        if database is None:
            return None
        row = database.execute(
            "SELECT id, url, org, bucket, fingerprint,"
            " (SELECT coalesce(sum(rows), 0) FROM restored WHERE load = id), rejected, started, finished "
            "FROM loads ORDER BY started DESC, id DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        load, *place, restored, rejected, started, finished = row
        rows = max(count_acknowledged(database, load), check_count("the number of restored rows", restored))
        return check_last_load(*place, rows, rejected, count_skipped(database, load), started, finished)


def forget(root: Path, target: Target) -> None:
    """Forget every load into ``target``, before its bucket is made: the new bucket will be empty.

    Raises ConfigError while another load of this dataset runs, LoadError when the ledger cannot be written.
    """
    with opened_ledger(root) as database, database:
        place = place_of(target)
        loads = "SELECT id FROM loads WHERE url = ? AND org = ? AND bucket = ?"
        forget_acknowledged(database, f"load IN ({loads})", place)
        forget_left_out(database, f"load IN ({loads})", place)
        for table in ("restored", "existing", "origins"):
            database.execute(f"DELETE FROM {table} WHERE load IN ({loads})", place)
        database.execute(f"DELETE FROM loads WHERE id IN ({loads})", place)


class Ledger:
    """The ledger of one load: ``rows`` are those acknowledged by the write path. Only its coordinator writes to it."""

    def __init__(self, database: sqlite3.Connection, load: int) -> None:
        self._database = database
        self._load = load
        self.rows = AcknowledgedRows(database, load)
        self.existing = ExistingPoints(database, load)
        self.replayed = ReplayedRows(database, load)

    @classmethod
    @contextmanager
    def opened(cls, root: Path, target: Target, bucket_id: str, fingerprint: str, *, restart: bool) -> Iterator[Self]:
        """Open the ledger at ``root`` for one load; ``restart`` forgets what it had acknowledged.

        Raises ConfigError while another load of this dataset runs, LoadError when the ledger cannot be written.
        """
        with opened_ledger(root) as database:
            yield cls.begin(database, target, bucket_id, fingerprint, restart=restart)

    @classmethod
    def begin(
        cls, database: sqlite3.Connection, target: Target, bucket_id: str, fingerprint: str, *, restart: bool
    ) -> Self:
        """Begin or resume one load in an opened ledger."""
        key = (*place_of(target), bucket_id, fingerprint)
        with database:
            # Another dataset, or another mapping of its columns, may overwrite what was acknowledged of the former one.
            others = (
                "SELECT id FROM loads WHERE url = ? AND org = ? AND bucket = ? AND bucket_id = ? AND fingerprint <> ?"
            )
            forget_acknowledged(database, f"load IN ({others})", key)
            forget_left_out(database, f"partition <> '' AND load IN ({others})", key)
            database.execute(f"UPDATE loads SET finished = '' WHERE id IN ({others})", key)
            load = database.execute(
                "INSERT INTO loads (url, org, bucket, bucket_id, fingerprint, started) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET started = excluded.started RETURNING id",
                (*key, _now()),
            ).fetchone()[0]
            if restart:
                forget_acknowledged(database, "load = ?", (load,))
                forget_left_out(database, "load = ?", (load,))
                database.execute("DELETE FROM parts WHERE load = ?", (load,))
                # The numbers of attempts stay: their files may still be there.
                database.execute("UPDATE restored SET rows = NULL WHERE load = ?", (load,))
                forget_existing(database, load)
                database.execute("UPDATE loads SET rejected = 0, finished = '' WHERE id = ?", (load,))
        return cls(database, load)

    @classmethod
    def find(cls, database: sqlite3.Connection, target: Target, bucket_id: str, fingerprint: str) -> Self | None:
        """Return the ledger of a load that was begun, None when there was no such load."""
        row = database.execute(
            "SELECT id FROM loads WHERE url = ? AND org = ? AND bucket = ? AND bucket_id = ? AND fingerprint = ?",
            (*place_of(target), bucket_id, fingerprint),
        ).fetchone()
        return cls(database, row[0]) if row else None

    def rename(self, fingerprint: str) -> None:
        """Record that the dataset has another ``fingerprint``, by which all rows that are acknowledged are the same."""
        with self._database:
            self._database.execute("UPDATE loads SET fingerprint = ? WHERE id = ?", (fingerprint, self._load))

    @property
    def name(self) -> str:
        """The name of the files of this load, without a suffix."""
        return f"load-{self._load}"

    def acknowledge(self, rows: RowSet, rejected: int, skipped: int = 0) -> None:
        """Record that the server has ``rows``, but for ``rejected`` and ``skipped`` ones, see ``left_out``."""
        with self._database:
            self.rows.add(rows)
            add_left_out(self._database, self._load, rows.chunk.partition, rejected, skipped)

    def acknowledge_part(self, rows: Iterable[tuple[RowSet, int, int]], parts: int) -> None:
        """Record that files have ``rows`` (each with its rejected and skipped ones), and ``parts`` more files."""
        with self._database:
            for each, rejected, skipped in rows:
                self.rows.add(each)
                add_left_out(self._database, self._load, each.chunk.partition, rejected, skipped)
            self._database.execute(
                "INSERT INTO parts VALUES (?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
                (self._load, parts),
            )

    @property
    def parts(self) -> int:
        """Files of line protocol that are acknowledged."""
        row = self._database.execute("SELECT number FROM parts WHERE load = ?", (self._load,)).fetchone()
        return check_count("the number of parts", row[0] if row else 0, _MOST_PARTS)

    def acknowledge_replayed(self, partition: str, rows: Mapping[int, bool], *, skipped: bool = False) -> None:
        """Record that ``rows``, by number, are rejected no more; each tells whether it was edited.

        The server has them, unless they are ``skipped``.
        """
        with self._database:
            taken = self.replayed.add(partition, rows)
            take_back_rejected(self._database, self._load, partition, taken, skipped=skipped)
            # What was verified before is no verification of this load any more.
            finished = "UPDATE loads SET finished = ? WHERE id = ? AND finished <> ''"
            self._database.execute(finished, (_now(), self._load))

    def begin_shard(self, start: int, least: int = 1) -> int:
        """Record another attempt to restore the shard that starts at ``start``.

        Returns its number: ``least``, or the one after that of the last attempt where that is more.
        """
        with self._database:
            row = self._database.execute(
                "INSERT INTO restored (load, start, attempts) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET attempts = max(attempts + 1, excluded.attempts) RETURNING attempts",
                (self._load, start, least),
            ).fetchone()
        return check_attempts(row[0])

    def acknowledge_shard(self, start: int, rows: int, rejected: int = 0, skipped: int = 0) -> None:
        """Record that the server has counted the points of the shard that starts at ``start``.

        ``rows`` is how many rows the shard accounts for, ``rejected`` and ``skipped`` of them are left out.
        """
        with self._database:
            add_left_out(self._database, self._load, "", rejected, skipped)
            self._database.execute(
                "UPDATE restored SET rows = ? WHERE load = ? AND start = ?", (rows, self._load, start)
            )

    @property
    def restored(self) -> dict[int, int]:
        """Rows of each shard that is acknowledged, by its start."""
        return check_shards(
            self._database.execute("SELECT start, rows, attempts FROM restored WHERE load = ?", (self._load,))
        )

    @property
    def rows_done(self) -> int:
        """Rows that need not be looked at again, also rejected and skipped ones."""
        return max(count_acknowledged(self._database, self._load), sum(self.restored.values()))

    def finish(self) -> None:
        """Record that every row is acknowledged; the time stays when an earlier run has recorded it."""
        with self._database:
            self._database.execute("UPDATE loads SET finished = ? WHERE id = ? AND finished = ''", (_now(), self._load))

    @property
    def skipped(self) -> int:
        """Rows that are not sent because later rows replace them, over all runs of this load."""
        return count_skipped(self._database, self._load)

    @property
    def rejected(self) -> int:
        """Rows that cannot be points or whose lines the server refused for good, over all runs of this load."""
        row = self._database.execute("SELECT rejected FROM loads WHERE id = ?", (self._load,)).fetchone()
        return check_count("the number of rejected rows", row[0])


@contextmanager
def opened_ledger(root: Path) -> Iterator[sqlite3.Connection]:
    """Open the ledger of the dataset at ``root`` for one load at a time.

    Raises ConfigError while another load of this dataset runs, LoadError when the ledger cannot be written.
    """
    with explained(root), _sole_load(root), opened_database(root, LEDGER, TABLES) as database:
        yield database


def origin(root: Path, target: Target, fingerprint: str) -> Origin | None:
    """Return how the last load of the dataset ``fingerprint`` into ``target`` began, None when nothing is known of it.

    Raises LoadError or StageError when the ledger cannot be read.
    """
    with explained(root), read_database(root, LEDGER, TABLES) as database:
        return find_origin(database, place_of(target), fingerprint) if database else None


@contextmanager
def _sole_load(root: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            free = stack.enter_context(sole(root, _LOCK))
        except OSError as error:
            raise LoadError(
                f"{state_path(root, _LOCK)}: cannot be written: {error.strerror}",
                hint="a load keeps its ledger beside the dataset; make the folder writable",
            ) from error
        if not free:
            raise ConfigError(f"{root}: another load of this dataset is running", hint="wait for it")
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
