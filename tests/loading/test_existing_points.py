"""What a ledger keeps of a bucket that the load did not make, and of how the load began."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import STATE
from loader.errors import LoadError
from loader.loading.existing_points import Existing, Origin
from loader.loading.ledger import Ledger, forget, ledger_path, origin
from loader.loading.row_set import RowSet
from loader.servers.base import Target

TARGET = Target("http://127.0.0.1:1/", "trades", "org")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset's folder, without a ledger."""
    (tmp_path / STATE).mkdir()
    return tmp_path


def test_what_shards_held_stays_until_a_restart(root: Path) -> None:
    """It is what the bucket held before the load; a load that begins again looks anew."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.existing.note({-7: Existing(3, 2), 0: Existing(0)})
        ledger.existing.note({0: Existing(5)})
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        assert ledger.existing.by_shard == {-7: Existing(3, 2), 0: Existing(5)}
    with Ledger.opened(root, TARGET, "other", "print", restart=False) as ledger:
        assert ledger.existing.by_shard == {}
    with Ledger.opened(root, TARGET, "id", "print", restart=True) as ledger:
        assert ledger.existing.by_shard == {}


def test_how_a_load_began(root: Path) -> None:
    """The load method is that of the last run, the making of the bucket that of the first."""
    assert origin(root, TARGET, "print") is None
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.existing.begin("restore", made=False)
        ledger.existing.begin("write", made=True)
    assert origin(root, TARGET, "print") == Origin("id", "write", made=False)
    assert origin(root, TARGET, "another") is None
    forget(root, TARGET)
    assert origin(root, TARGET, "print") is None


def test_a_load_of_an_older_version(root: Path) -> None:
    """What it has acknowledged tells the load method; whether it made its bucket is not known."""
    with Ledger.opened(root, TARGET, "id", "nothing", restart=False):
        pass
    with Ledger.opened(root, TARGET, "id", "rows", restart=False) as ledger:
        ledger.acknowledge(RowSet(Chunk("a", 0, 30)), 0)
        assert origin(root, TARGET, "rows") == Origin("id", "write", None)
    with Ledger.opened(root, TARGET, "id", "shards", restart=False) as ledger:
        ledger.begin_shard(7)
    assert origin(root, TARGET, "nothing") == Origin("id", "", None)
    assert origin(root, TARGET, "shards") == Origin("id", "restore", None)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("existing", (1, "x", 0, 0, 0)),
        ("existing", (1, 0, -1, 0, 0)),
        ("existing", (1, 0, 0, "many", 0)),
        ("origins", (1, "post", 0)),
        ("origins", (1, "write", 7)),
    ],
)
def test_a_ledger_of_others(root: Path, table: str, values: tuple[object, ...]) -> None:
    """What the loader would not write is said to be damaged."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False):
        pass
    with closing(sqlite3.connect(ledger_path(root))) as connection, connection:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    read = (lambda: origin(root, TARGET, "print")) if table == "origins" else (lambda: existing_of(root))
    with pytest.raises(LoadError, match="it is damaged"):
        read()


def existing_of(root: Path) -> object:
    """Return what the ledger says of shards."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        return ledger.existing.by_shard
