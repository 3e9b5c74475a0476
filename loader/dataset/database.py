"""Opens an SQLite database among the loader's own files, so that one made by others does no harm.

SQLite follows links, obeys views and triggers that it finds, and removes a file whose name stands at the end of a
planted rollback journal. So its files are checked before it is opened, and its schema must be exactly the known one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from loader.dataset.beneath import look, open_file
from loader.dataset.state import state_name, state_path
from loader.errors import StageError

MOST_BYTES = 256 << 20
"""Bytes of the largest file of a database."""
_MOST_VALUE = 1 << 20
"""Bytes of the largest value."""
_MOST_OBJECTS = 100
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""The end of a rollback journal that names another journal, which SQLite then removes; none of ours does."""


@contextmanager
def opened_database(root: Path, name: str, schema: str) -> Iterator[sqlite3.Connection]:
    """Open the database ``name`` of the dataset at ``root`` to read and write; missing tables of ``schema`` are made.

    Raises sqlite3.Error also for a schema that is not ``schema``, StageError for files that are not to be opened.
    """
    _look_at_files(root, name)
    with closing(sqlite3.connect(state_path(root, name))) as database:
        _guard(database, schema)
        # A power cut may lose the newest rows, which are then written again; it never adds one.
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        database.executescript(schema)
        yield database


@contextmanager
def read_database(root: Path, name: str, schema: str) -> Iterator[sqlite3.Connection | None]:
    """Open the database ``name`` to read it as of one moment; None when it is missing. Raises as the writing one does.

    Tables that are missing, as a former version knew fewer, have no rows.
    """
    if not _look_at_files(root, name):
        yield None
        return
    address = state_path(root, name).resolve().as_uri()
    with ExitStack() as stack:
        database = stack.enter_context(closing(sqlite3.connect(f"{address}?mode=rw", uri=True)))
        try:
            _guard(database, schema)
        except sqlite3.OperationalError:
            # On a read-only file system SQLite cannot make the file that readers share, and nobody else writes.
            database = stack.enter_context(closing(sqlite3.connect(f"{address}?immutable=1", uri=True)))
            _guard(database, schema)
        database.execute("PRAGMA temp_store = MEMORY")
        for kind, _, _, statement in sorted({*_known(schema)} - {*_objects(database)}, key=repr):
            if kind == "table":
                database.execute(statement.replace("CREATE", "CREATE TEMP", 1))
        # A load that runs may write between two statements.
        database.execute("BEGIN")
        yield database


def _look_at_files(root: Path, name: str) -> int:
    """Return the bytes of the database; raises StageError for what SQLite must not open."""
    sizes = []
    for suffix in ("", "-wal", "-shm", "-journal"):
        status = look(root, state_name(name + suffix), alone=True)
        sizes.append(status.st_size if status else 0)
        if sizes[-1] > MOST_BYTES:
            raise _strange(state_path(root, name + suffix), f"is larger than {MOST_BYTES >> 20} MiB")
    if sizes[-1] and _names_a_file(root, state_name(f"{name}-journal")):
        raise _strange(state_path(root, f"{name}-journal"), "names another file, which SQLite would remove")
    return sizes[0]


def _names_a_file(root: Path, journal: str) -> bool:
    try:
        descriptor = open_file(root, journal, os.O_RDONLY)
    except FileNotFoundError:
        # A load that runs has just ended what the journal was for.
        return False
    with os.fdopen(descriptor, "rb") as file:
        file.seek(-min(len(_SUPER_JOURNAL), os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read() == _SUPER_JOURNAL


def _strange(path: Path, what: str) -> StageError:
    return StageError(f"{path}: {what}: the loader did not make it", hint="move it away")


def _guard(database: sqlite3.Connection, schema: str) -> None:
    """Bound what the database may hold; raises sqlite3.DatabaseError unless its schema is part of ``schema``."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    if not set(_objects(database)) <= set(_known(schema)):
        raise sqlite3.DatabaseError("it has other tables than this loader makes")
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {found}")


def _known(schema: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        return _objects(database)


def _objects(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Return what is in the schema of ``database``, in order."""
    objects = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchmany(_MOST_OBJECTS)
    if len({*objects}) < len(objects) or len(objects) == _MOST_OBJECTS:
        raise sqlite3.DatabaseError("its list of tables is damaged")
    return sorted(objects, key=repr)
