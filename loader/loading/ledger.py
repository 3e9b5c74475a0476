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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from loader.dataset.database import opened_database, read_database
from loader.dataset.state import has_state, sole, state_path
from loader.errors import ConfigError, LoadError
from loader.loading import existing_points
from loader.loading.acknowledged_rows import AcknowledgedRows, count_acknowledged, forget_acknowledged
from loader.loading.existing_points import ExistingPoints, Origin, find_origin, forget_existing
from loader.loading.ledger_values import (
    LastLoad,
    check_attempts,
    check_count,
    check_last_load,
    check_shards,
    is_mark,
)
from loader.loading.row_set import RowSet
from loader.servers.base import Target

_FILE = "ledger.sqlite"
_LOCK = "load.lock"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS loads (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL, org TEXT NOT NULL, bucket TEXT NOT NULL, bucket_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    started TEXT NOT NULL, finished TEXT NOT NULL DEFAULT '',
    rejected INTEGER NOT NULL DEFAULT 0,
    UNIQUE (url, org, bucket, bucket_id, fingerprint)
);
CREATE TABLE IF NOT EXISTS acknowledged (
    load INTEGER NOT NULL REFERENCES loads, partition TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    PRIMARY KEY (load, partition, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scattered (
    load INTEGER NOT NULL REFERENCES loads, partition TEXT NOT NULL, cell INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (load, partition, cell)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS restored (
    load INTEGER NOT NULL REFERENCES loads, start INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, rows INTEGER,
    PRIMARY KEY (load, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    mark TEXT PRIMARY KEY,
    url TEXT NOT NULL, org TEXT NOT NULL, bucket TEXT NOT NULL, fingerprint TEXT NOT NULL
) WITHOUT ROWID;
"""
_SCHEMA += existing_points.SCHEMA


def ledger_path(root: Path) -> Path:
    """Return where the ledger of the dataset at ``root`` is, for messages."""
    return state_path(root, _FILE)


def has_ledger(root: Path) -> bool:
    """Tell whether anything of the dataset at ``root`` was loaded, or was about to be."""
    return has_state(root, _FILE)


def last_load(root: Path) -> LastLoad | None:
    """Return the load of the dataset at ``root`` that began last, None when there was none.

    Raises LoadError or StageError when the ledger cannot be read.
    """
    with _explained(root), read_database(root, _FILE, _SCHEMA) as database:
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
        return check_last_load(*place, rows, rejected, started, finished)


def forget(root: Path, target: Target) -> None:
    """Forget every load into ``target``, before its bucket is made: the new bucket will be empty.

    Raises ConfigError while another load of this dataset runs, LoadError when the ledger cannot be written.
    """
    with opened_ledger(root) as database, database:
        place = _place(target)
        loads = "SELECT id FROM loads WHERE url = ? AND org = ? AND bucket = ?"
        forget_acknowledged(database, f"load IN ({loads})", place)
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
        key = (*_place(target), bucket_id, fingerprint)
        with database:
            # Another dataset, or another mapping of its columns, may overwrite what was acknowledged of the former one.
            others = (
                "SELECT id FROM loads WHERE url = ? AND org = ? AND bucket = ? AND bucket_id = ? AND fingerprint <> ?"
            )
            forget_acknowledged(database, f"load IN ({others})", key)
            database.execute(f"UPDATE loads SET finished = '' WHERE id IN ({others})", key)
            load = database.execute(
                "INSERT INTO loads (url, org, bucket, bucket_id, fingerprint, started) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET started = excluded.started RETURNING id",
                (*key, _now()),
            ).fetchone()[0]
            if restart:
                forget_acknowledged(database, "load = ?", (load,))
                # The numbers of attempts stay: their files may still be there.
                database.execute("UPDATE restored SET rows = NULL WHERE load = ?", (load,))
                forget_existing(database, load)
                database.execute("UPDATE loads SET rejected = 0, finished = '' WHERE id = ?", (load,))
        return cls(database, load)

    @property
    def name(self) -> str:
        """The name of the files of this load, without a suffix."""
        return f"load-{self._load}"

    def acknowledge(self, rows: RowSet, rejected: int) -> None:
        """Record that the server has ``rows``, but for ``rejected`` ones, which cannot be points or were refused."""
        with self._database:
            self.rows.add(rows)
            if rejected:
                self._database.execute("UPDATE loads SET rejected = rejected + ? WHERE id = ?", (rejected, self._load))

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

    def acknowledge_shard(self, start: int, rows: int, rejected: int = 0) -> None:
        """Record that the server has counted the points of the shard that starts at ``start``.

        ``rows`` is how many rows the shard accounts for, ``rejected`` how many of them cannot be points.
        """
        with self._database:
            self._database.execute("UPDATE loads SET rejected = rejected + ? WHERE id = ?", (rejected, self._load))
            self._database.execute(
                "UPDATE restored SET rows = ? WHERE load = ? AND start = ?", (rows, self._load, start)
            )

    @property
    def restored(self) -> dict[int, int]:
        """Rows of each shard that is acknowledged, by its start."""
        return check_shards(
            self._database.execute("SELECT start, rows, attempts FROM restored WHERE load = ?", (self._load,))
        )

    def finish(self) -> None:
        """Record that every row is acknowledged; the time stays when an earlier run has recorded it."""
        with self._database:
            self._database.execute("UPDATE loads SET finished = ? WHERE id = ? AND finished = ''", (_now(), self._load))

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
    with _explained(root), _sole_load(root), opened_database(root, _FILE, _SCHEMA) as database:
        yield database


def origin(root: Path, target: Target, fingerprint: str) -> Origin | None:
    """Return how the last load of the dataset ``fingerprint`` into ``target`` began, None when nothing is known of it.

    Raises LoadError or StageError when the ledger cannot be read.
    """
    with _explained(root), read_database(root, _FILE, _SCHEMA) as database:
        return find_origin(database, _place(target), fingerprint) if database else None


def has_mark(root: Path, fingerprint: str, mark: str) -> bool:
    """Tell whether a load of the dataset ``fingerprint`` has made a bucket with this ``mark``; raises as ``origin``."""
    with _explained(root), read_database(root, _FILE, _SCHEMA) as database:
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
        database.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?)", (mark, *_place(target), fingerprint))


def marks(database: sqlite3.Connection, target: Target, fingerprint: str) -> frozenset[str]:
    """Return the marks of all buckets that loads of this dataset made, or were about to make, as ``target``.

    A value that does not have the form of a mark is ignored: a bucket without description must not be taken for ours.
    """
    return frozenset(
        mark
        for (mark,) in database.execute(
            "SELECT mark FROM marks WHERE url = ? AND org = ? AND bucket = ? AND fingerprint = ?",
            (*_place(target), fingerprint),
        )
        if is_mark(mark)
    )


def _place(target: Target) -> tuple[str, str, str]:
    return target.url.rstrip("/"), target.org, target.bucket


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LoadError(
            f"{ledger_path(root)}: the ledger cannot be used: {error}",
            hint="check space and permissions; without a ledger, moved away when it is damaged, a load begins again",
        ) from error


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
