"""A ledger may come from anybody: it leads nowhere, does nothing, and says only what a ledger can say."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from loader.dataset import database
from loader.dataset.chunk import Chunk
from loader.dataset.manifest import STATE, Partition
from loader.errors import ConfigError, LoadError, StageError
from loader.loading.changed_files import forget_rows
from loader.loading.ledger import (
    Ledger,
    forget,
    last_load,
    ledger_path,
    opened_ledger,
)
from loader.loading.ledger_values import make_mark
from loader.loading.marks import add_mark, marks
from loader.loading.replayed_rows import edited_rows
from loader.loading.row_set import RowSet
from loader.servers.base import Target
from tests.plants import KINDS, PRECIOUS, hard_link, plant, precious, untouched

TARGET = Target("http://127.0.0.1:1/", "trades", "org")
PARTITION = Partition("date=2024-01-02/trades.parquet", 100, 1, 2, 10, "00")
ATTEMPTS: dict[str, Callable[[Path], object]] = {
    "open": lambda root: Ledger.opened(root, TARGET, "id", "print", restart=False).__enter__(),
    "last": last_load,
    "forget": lambda root: forget(root, TARGET),
    "forget rows": lambda root: forget_rows(root, "print", ["path"]),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset's folder with a ledger of one load, which has 30 rows."""
    root = tmp_path / "data"
    (root / STATE).mkdir(parents=True)
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge(RowSet(Chunk(PARTITION.path, 0, 30)), 2)
        ledger.begin_shard(7)
        ledger.acknowledge_shard(7, 30)
    return root


def execute(root: Path, statement: str, *values: object) -> None:
    """Do something to the ledger that the loader would not."""
    with closing(sqlite3.connect(ledger_path(root))) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", [*KINDS, hard_link])
def test_its_files_are_regular_files(root: Path, kind: Callable[[Path], None], suffix: str) -> None:
    """SQLite would follow a link, and empty the file behind a planted ``-shm``."""
    path = ledger_path(root).with_name(f"ledger.sqlite{suffix}")
    plant(path, kind)
    for attempt in ATTEMPTS.values():
        with pytest.raises(StageError, match=r"regular file|2 names"):
            attempt(root)
        assert untouched(path)


@pytest.mark.parametrize("kind", [*KINDS, hard_link])
def test_its_lock_is_a_regular_file(root: Path, kind: Callable[[Path], None]) -> None:
    """Nothing is emptied by locking it, and nothing else is locked."""
    path = root / STATE / "load.lock"
    plant(path, kind)
    with pytest.raises(StageError, match=r"regular file|2 names"), opened_ledger(root):
        pass
    assert untouched(path)


def test_what_is_in_a_lock_stays(root: Path) -> None:
    """A lock is opened and not written."""
    (root / STATE / "load.lock").write_bytes(PRECIOUS)
    with opened_ledger(root):
        pass
    assert (root / STATE / "load.lock").read_bytes() == PRECIOUS


def plant_journal(path: Path, name: bytes) -> None:
    """Put a hot rollback journal beside the database at ``path``, which belongs to a journal ``name``."""
    magic, size, nonce = bytes.fromhex("d9d505f920a163d7"), 4096, 7
    page = path.read_bytes()[:size]
    checksum = (nonce + sum(page[at] for at in range(size - 200, 0, -200))) % 2**32
    header = (magic + struct.pack(">IIIII", 1, nonce, path.stat().st_size // size, 512, size)).ljust(512, b"\0")
    body = struct.pack(">I", 1) + page + struct.pack(">I", checksum)
    tail = struct.pack(">I", 2**30 // size + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    path.with_name(f"{path.name}-journal").write_bytes(header + body + tail)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_planted_journal_removes_nothing(root: Path, attempt: str) -> None:
    """SQLite removes the file that a rollback journal says it belongs to: seen, and not let happen here."""
    other = root.parent / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
    for path in (other, ledger_path(root)):
        precious(ledger_path(root)).write_bytes(PRECIOUS)
        plant_journal(path, os.fsencode(precious(ledger_path(root))))
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("SELECT * FROM t").fetchall()
    assert not precious(ledger_path(root)).exists()
    precious(ledger_path(root)).write_bytes(PRECIOUS)
    with pytest.raises(StageError, match=r"ledger\.sqlite-journal: names another file"):
        ATTEMPTS[attempt](root)
    assert untouched(ledger_path(root))


def test_a_journal_of_a_killed_load_is_used(root: Path) -> None:
    """One that names nothing is what a crash amid the making of a ledger leaves."""
    ledger_path(root).with_name("ledger.sqlite-journal").write_bytes(b"\0" * 3)
    assert last_load(root) is not None


def test_a_journal_that_a_running_load_removes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that was there a moment ago and is gone, as when a ledger is being made, is no error to who reads."""
    journal = ledger_path(root).with_name("ledger.sqlite-journal")
    journal.write_bytes(b"\0" * 3)
    open_file = database.open_file

    def remove_and_open(root: Path, name: str, flags: int) -> int:
        journal.unlink()
        return open_file(root, name, flags)

    monkeypatch.setattr(database, "open_file", remove_and_open)
    assert last_load(root) is not None
    assert not journal.exists()


def test_a_ledger_of_a_former_version(root: Path) -> None:
    """One without the table of scattered rows tells what was loaded, and a load goes on from there."""
    with closing(sqlite3.connect(ledger_path(root))) as database, database:
        database.execute("DROP TABLE scattered")
    before = last_load(root)
    assert before is not None
    assert (before.rows, before.rejected) == (30, 2)
    with closing(sqlite3.connect(ledger_path(root))) as database:
        assert not database.execute("SELECT * FROM sqlite_master WHERE name = 'scattered'").fetchall()
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge(RowSet(Chunk(PARTITION.path, 30, 40), np.array([31])), 0)
        assert ledger.rows.pending(PARTITION) == [Chunk(PARTITION.path, 30, 100)]
    assert last_load(root).rows == 31  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER UPDATE ON loads BEGIN DELETE FROM marks; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE other (x)",
        "CREATE INDEX i ON loads (url)",
        "ALTER TABLE loads ADD COLUMN more TEXT DEFAULT 'x'",
    ],
)
def test_its_schema_is_the_known_one(root: Path, statement: str) -> None:
    """Triggers, views and other tables are refused before anything is asked of them."""
    execute(root, statement)
    for attempt in ATTEMPTS.values():
        with pytest.raises(LoadError, match=r"ledger\.sqlite: the ledger cannot be used: it has other tables"):
            attempt(root)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_view_in_place_of_a_table_is_not_asked(root: Path, attempt: str) -> None:
    """Its answer would have no end."""
    execute(root, "DROP TABLE loads")
    execute(
        root,
        "CREATE VIEW loads AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) "
        "SELECT x id, x url, x org, x bucket, x fingerprint, x started, x finished, x rejected FROM n",
    )
    with pytest.raises(LoadError, match="other tables"):
        ATTEMPTS[attempt](root)


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_a_huge_file_is_refused(root: Path, suffix: str) -> None:
    """Nobody waits until it is read."""
    path = ledger_path(root).with_name(f"ledger.sqlite{suffix}")
    path.touch()
    os.truncate(path, 1 << 40)
    for attempt in ATTEMPTS.values():
        with pytest.raises(StageError, match=r"larger than 256 MiB: the loader did not make it") as caught:
            attempt(root)
        assert caught.value.hint == "move it away"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_damage_is_named(root: Path, attempt: str) -> None:
    """Pages that were overwritten are an error with the path, and the hint removes nothing."""
    content = bytearray(ledger_path(root).read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    ledger_path(root).write_bytes(content)
    with pytest.raises(LoadError, match=r"ledger\.sqlite: the ledger cannot be used") as caught:
        ATTEMPTS[attempt](root)
    assert "remove" not in caught.value.hint


def test_a_list_of_tables_without_end_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of it is read than a ledger can have."""
    monkeypatch.setattr(database, "_MOST_OBJECTS", 2)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("CREATE TABLE a (x); CREATE TABLE b (x);")
        with pytest.raises(sqlite3.DatabaseError, match="list of tables"):
            database._objects(connection)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        *((start, 99) for start in (-1, "x", b"x", 50.5, 2**62)),
        *((40, stop) for stop in (-5, 101, "x", b"x", 99.5, 2**62)),
    ],
)
def test_ranges_lie_within_their_partition(root: Path, start: object, stop: object) -> None:
    """Rows that a partition cannot have are none that were acknowledged."""
    execute(root, "INSERT INTO acknowledged VALUES (1, ?, ?, ?)", PARTITION.path, start, stop)
    with (
        pytest.raises(LoadError, match=r"ledger\.sqlite: .* it is damaged: rows"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        ledger.rows.pending(PARTITION)


@pytest.mark.parametrize(("start", "stop"), [(20, 40), (30, 40), (40, 40), (50, 40)])
def test_ranges_neither_overlap_nor_touch(root: Path, start: int, stop: int) -> None:
    """The loader merges those, and writes no empty ones."""
    execute(root, "INSERT INTO acknowledged VALUES (1, ?, ?, ?)", PARTITION.path, start, stop)
    with (
        pytest.raises(LoadError, match=f"rows {start} to {stop} of 100"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        ledger.rows.pending(PARTITION)


VALUES = [-1, "x", b"x", 1.5, 2**63 - 1 + 0.0]


@pytest.mark.parametrize("value", VALUES)
def test_counts_are_counts(root: Path, value: object) -> None:
    """Rejected lines, rows of shards and attempts are integers, none below zero."""
    execute(root, "UPDATE loads SET rejected = ?", value)
    with pytest.raises(LoadError, match="damaged: the number of"):
        last_load(root)
    with (
        pytest.raises(LoadError, match="damaged: the number of rejected rows"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        _ = ledger.rejected
    for column in ("rows", "attempts"):
        execute(root, "UPDATE restored SET rows = 1, attempts = 1")
        execute(root, f"UPDATE restored SET {column} = ?", value)
        with (
            pytest.raises(LoadError, match=f"damaged: the .*{column}"),
            Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
        ):
            _ = ledger.restored


@pytest.mark.parametrize("value", [*VALUES, 40])
def test_rows_that_are_left_out_are_counts(root: Path, value: object) -> None:
    """And no more than the rows that a load is done with."""
    execute(root, "UPDATE left_out SET skipped = ?", value)
    with pytest.raises(LoadError, match="damaged: the number of"):
        last_load(root)


@pytest.mark.parametrize("value", VALUES[1:])
def test_replayed_rows_are_taken_from_a_count(root: Path, value: object) -> None:
    """Whatever else stands there is damage."""
    execute(root, "UPDATE left_out SET rejected = ?", value)
    with (
        pytest.raises(LoadError, match="damaged: the number of rejected rows"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        ledger.acknowledge_replayed(PARTITION.path, {1: False})


@pytest.mark.parametrize("value", [*VALUES, 10**9 + 1])
def test_parts_are_counted(root: Path, value: object) -> None:
    """There is an end to them."""
    execute(root, "INSERT INTO parts VALUES (1, ?)", value)
    with (
        pytest.raises(LoadError, match="damaged: the number of parts"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        _ = ledger.parts


@pytest.mark.parametrize("value", VALUES)
def test_edited_rows_are_numbers(root: Path, value: object) -> None:
    """Below no zero; and there are MOST_EDITED of them at most."""
    assert edited_rows(root, "trades", "id", "print") == {}
    execute(root, "INSERT INTO replayed VALUES (1, 'p', ?, 1)", value)
    with pytest.raises(LoadError, match="damaged: the number of a row"):
        edited_rows(root, "trades", "id", "print")
    assert edited_rows(root, "other", "id", "print") == {}
    assert edited_rows(root.parent, "trades", "id", "print") == {}


def test_attempts_are_not_counted_without_end(root: Path) -> None:
    """A name of a storage file has nine digits for them."""
    execute(root, "UPDATE restored SET attempts = 999999999")
    with (
        pytest.raises(LoadError, match="damaged: the number of attempts is 1000000000"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        ledger.begin_shard(7)


def test_a_shard_starts_at_an_integer(root: Path) -> None:
    """Nothing else is a time."""
    execute(root, "INSERT INTO restored VALUES (1, 'x', 1, 1)")
    with (
        pytest.raises(LoadError, match="a shard starts at 'x'"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        _ = ledger.restored


ADDRESSES = ("", "file:///etc/passwd", "http://h\x1b[2J", "http://h/\n", 7, b"http://h", f"http://{'h' * 3_000}")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("url", address) for address in ADDRESSES),
        *(("org", b"\xff"), ("bucket", b"7"), ("bucket", "b" * 3_000), ("fingerprint", b"1")),
        *(("started", "soon"), ("finished", "\x1b[2J"), ("started", 7), ("rejected", "x")),
    ],
)
def test_the_last_load_is_text_and_times(root: Path, column: str, value: object) -> None:
    """An address is one of http, a time is one, and all are short: they are shown, and asked."""
    execute(root, f"UPDATE loads SET {column} = ?", value)
    with pytest.raises(LoadError, match=r"ledger\.sqlite: the ledger cannot be used: ") as caught:
        last_load(root)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1_000


def test_a_value_that_is_huge_is_not_held(root: Path) -> None:
    """Nor is text that is none."""
    execute(root, "UPDATE loads SET org = CAST(zeroblob(2000000) AS TEXT)")
    with pytest.raises(LoadError, match="too big"):
        last_load(root)
    execute(root, "UPDATE loads SET org = CAST(x'ff' AS TEXT)")
    with pytest.raises(LoadError, match="UTF-8"):
        last_load(root)


def test_sums_that_overflow_are_damage(root: Path) -> None:
    """Of ranges that no file has."""
    for start in (40, 50):
        execute(root, "INSERT INTO acknowledged VALUES (1, ?, ?, ?)", PARTITION.path, start, 2**63 - 1)
    with pytest.raises(LoadError, match="overflow"):
        last_load(root)


@pytest.mark.parametrize(
    "text",
    ["", "restored by loader, ", "x", "restored by loader, " + "g" * 32, "restored by loader, " + "A" * 32, b"", 7],
)
def test_only_a_mark_of_the_known_form_is_one(root: Path, text: object) -> None:
    """Any other text would make buckets of others ours: those without a description, say."""
    mark = make_mark()
    with opened_ledger(root) as connection:
        add_mark(connection, TARGET, "print", mark)
        connection.execute(
            "INSERT INTO marks VALUES (?, ?, ?, ?, ?)", (text, "http://127.0.0.1:1", "trades", "org", "print")
        )
        connection.execute("UPDATE marks SET org = 'org', bucket = 'trades'")
        assert marks(connection, TARGET, "print") == {mark}


def test_rows_are_forgotten(root: Path) -> None:
    """Those of the partitions that changed, of every load of that dataset; shards as a whole."""
    other = Chunk("date=2024-01-03/trades.parquet", 0, 50)
    for bucket, fingerprint in (("id", "print"), ("other", "other")):
        with Ledger.opened(root, TARGET, bucket, fingerprint, restart=False) as ledger:
            for chunk in (Chunk(PARTITION.path, 0, 100), other):
                ledger.acknowledge(RowSet(chunk), 0)
            ledger.finish()
    forget_rows(root, "print", [PARTITION.path])
    last = last_load(root)
    assert last is not None
    assert (last.fingerprint, last.finished != "") == ("other", True)
    with Ledger.opened(root, TARGET, "other", "other", restart=False) as ledger:
        assert ledger.rows.pending(PARTITION) == []
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        assert ledger.rows.pending(PARTITION) == [Chunk(PARTITION.path, 0, 100)]
        assert ledger.rows.pending(Partition(other.partition, 50, 1, 2, 10, "00")) == []
        assert ledger.restored == {}
        assert ledger.begin_shard(7) == 2
    last = last_load(root)
    assert last is not None
    assert (last.fingerprint, last.finished) == ("print", "")


def test_where_there_is_no_ledger_there_is_nothing_to_forget(tmp_path: Path) -> None:
    """And none is made."""
    forget_rows(tmp_path, "print", ["path"])
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_the_system_refuses_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks two loads would not know of each other."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(LoadError, match=r"load\.lock: cannot be written: Operation not supported"), opened_ledger(root):
        pass
    monkeypatch.undo()
    with opened_ledger(root), pytest.raises(ConfigError, match="another load"), opened_ledger(root):
        pass
