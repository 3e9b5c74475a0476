"""The file of a ledger: its name, its tables, of which a former version made fewer, and what is said of its errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loader.dataset.state import state_path
from loader.errors import LoadError

LEDGER = "ledger.sqlite"
TABLES = """
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
CREATE TABLE IF NOT EXISTS left_out (
    load INTEGER NOT NULL REFERENCES loads, partition TEXT NOT NULL,
    rejected INTEGER NOT NULL, skipped INTEGER NOT NULL,
    PRIMARY KEY (load, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replayed (
    load INTEGER NOT NULL REFERENCES loads, partition TEXT NOT NULL, row INTEGER NOT NULL, edited INTEGER NOT NULL,
    PRIMARY KEY (load, partition, row)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (load INTEGER PRIMARY KEY REFERENCES loads, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS restored (
    load INTEGER NOT NULL REFERENCES loads, start INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, rows INTEGER,
    PRIMARY KEY (load, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS origins (
    load INTEGER PRIMARY KEY REFERENCES loads, via TEXT NOT NULL, made INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS existing (
    load INTEGER NOT NULL REFERENCES loads, start INTEGER NOT NULL,
    found INTEGER NOT NULL, duplicates INTEGER NOT NULL, shard INTEGER NOT NULL,
    PRIMARY KEY (load, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    mark TEXT PRIMARY KEY,
    url TEXT NOT NULL, org TEXT NOT NULL, bucket TEXT NOT NULL, fingerprint TEXT NOT NULL
) WITHOUT ROWID;
"""


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn the errors of SQLite in the block into LoadErrors that name the ledger of the dataset at ``root``."""
    try:
        yield
    except sqlite3.Error as error:
        raise LoadError(
            f"{state_path(root, LEDGER)}: the ledger cannot be used: {error}",
            hint="check space and permissions; without a ledger, moved away when it is damaged, a load begins again",
        ) from error
