"""A database among the loader's own files: what readers see of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.dataset.database import opened_database, read_database
from loader.dataset.manifest import STATE

SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""
FORMER = SCHEMA[: SCHEMA.index("CREATE TABLE IF NOT EXISTS names")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with a place for databases."""
    (tmp_path / STATE).mkdir()
    return tmp_path


def test_a_missing_one_is_none(root: Path) -> None:
    """There is nothing to read, and nothing is made."""
    with read_database(root, "x.sqlite", SCHEMA) as database:
        assert database is None
    assert not [*(root / STATE).iterdir()]


def test_tables_of_a_later_version_have_no_rows(root: Path) -> None:
    """Who reads what a former version made finds its rows, and leaves it as it is."""
    with opened_database(root, "x.sqlite", FORMER) as database, database:
        database.execute("INSERT INTO numbers VALUES (7)")
    for _ in range(2):
        with read_database(root, "x.sqlite", SCHEMA) as database:
            assert database is not None
            assert database.execute("SELECT * FROM numbers").fetchall() == [(7,)]
            assert database.execute("SELECT * FROM names").fetchall() == []
    with read_database(root, "x.sqlite", FORMER) as database:
        assert database is not None


def test_it_is_read_as_of_one_moment(root: Path) -> None:
    """What another process writes amid reading is not seen in part."""
    with opened_database(root, "x.sqlite", SCHEMA) as writer, writer:
        writer.execute("INSERT INTO numbers VALUES (7)")
    with read_database(root, "x.sqlite", SCHEMA) as database:
        assert database is not None
        assert database.execute("SELECT * FROM numbers").fetchall() == [(7,)]
        with opened_database(root, "x.sqlite", SCHEMA) as writer, writer:
            writer.execute("DELETE FROM numbers")
            writer.execute("INSERT INTO names VALUES ('7')")
        assert database.execute("SELECT * FROM numbers").fetchall() == [(7,)]
        assert database.execute("SELECT * FROM names").fetchall() == []
    with read_database(root, "x.sqlite", SCHEMA) as database:
        assert database is not None
        assert database.execute("SELECT * FROM names").fetchall() == [("7",)]
