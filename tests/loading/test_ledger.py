"""The ledger: what was acknowledged stays acknowledged, and nothing else does."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import STATE, Partition
from loader.errors import ConfigError, LoadError
from loader.loading.ledger import Ledger, forget, last_load, ledger_path
from loader.loading.row_set import RowSet
from loader.servers.base import Target

TARGET = Target("http://127.0.0.1:1/", "trades", "org", token="very-secret-token")
PARTITION = Partition("date=2024-01-02/trades.parquet", 100, 1, 2, 10, "00")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset's folder with a place for the ledger."""
    (tmp_path / STATE).mkdir()
    return tmp_path


def chunk(start: int, stop: int) -> Chunk:
    """Return rows of the one partition."""
    return Chunk(PARTITION.path, start, stop)


def test_a_new_load_has_everything_pending(root: Path) -> None:
    """Nothing is acknowledged before the first acknowledgement."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        assert ledger.rows.pending(PARTITION) == [chunk(0, 100)]


def test_acknowledged_rows_survive_and_gaps_remain(root: Path) -> None:
    """A second run finds the gaps that the first left, in order."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge(RowSet(chunk(10, 20)), 0)
        ledger.acknowledge(RowSet(chunk(40, 60)), 2)
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        assert ledger.rows.pending(PARTITION) == [chunk(0, 10), chunk(20, 40), chunk(60, 100)]
        assert ledger.rejected == 2


def test_attempts_are_never_counted_from_the_start(root: Path) -> None:
    """A load that begins again knows no restored shard, but numbers its attempts on: old files may still be there."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        assert [ledger.begin_shard(7), ledger.begin_shard(7)] == [1, 2]
        ledger.acknowledge_shard(7, 100)
        assert ledger.restored == {7: 100}
    with Ledger.opened(root, TARGET, "id", "print", restart=True) as ledger:
        assert ledger.restored == {}
        assert ledger.begin_shard(7) == 3


def test_a_bucket_that_is_made_anew_is_forgotten(root: Path) -> None:
    """Every load into it is gone, of whatever dataset and bucket id; loads into other places stay."""
    other = Target(TARGET.url, "other", TARGET.org)
    for target, bucket_id, fingerprint in ((TARGET, "", "print"), (TARGET, "id", "older"), (other, "", "print")):
        with Ledger.opened(root, target, bucket_id, fingerprint, restart=False) as ledger:
            ledger.acknowledge(RowSet(chunk(0, 100)), 0)
    forget(root, TARGET)
    for target, bucket_id, fingerprint, pending in (
        (TARGET, "", "print", [chunk(0, 100)]),
        (TARGET, "id", "older", [chunk(0, 100)]),
        (other, "", "print", []),
    ):
        with Ledger.opened(root, target, bucket_id, fingerprint, restart=False) as ledger:
            assert ledger.rows.pending(PARTITION) == pending


def test_the_last_load_is_read_where_nothing_can_be_written() -> None:
    """Where SQLite has no place for what its readers share, the ledger is read all the same."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / STATE).mkdir()
        with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
            ledger.acknowledge(RowSet(chunk(0, 7)), 0)
        user = os.geteuid()
        root.chmod(0o755)
        (root / STATE).chmod(0o555)
        try:
            if user == 0:  # the superuser may write anywhere
                os.seteuid(65534)
            last = last_load(root)
        finally:
            os.seteuid(user)
            (root / STATE).chmod(0o755)
    assert last is not None
    assert last.rows == 7


def test_a_ledger_without_tables_is_none(root: Path) -> None:
    """A load that was killed, or found the disk full, amid making its ledger has loaded nothing."""
    path = ledger_path(root)
    path.write_bytes(b"")
    assert last_load(root) is None
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    assert path.stat().st_size
    assert last_load(root) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40)), max_size=12))
def test_pending_is_the_complement_of_what_was_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, ranges: list[tuple[int, int]]
) -> None:
    """Whatever ranges are acknowledged in whatever order, pending rows are exactly the others, in maximal ranges."""
    root = tmp_path_factory.mktemp("ledger")
    (root / STATE).mkdir()
    rows = set(range(100))
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        for start, length in ranges:
            stop = min(100, start + length)
            ledger.acknowledge(RowSet(chunk(start, stop)), 0)
            rows -= set(range(start, stop))
        pending = ledger.rows.pending(PARTITION)
    assert {row for gap in pending for row in range(gap.start, gap.stop)} == rows
    assert all(first.stop < second.start for first, second in pairwise(pending))


@pytest.mark.parametrize(
    "other",
    [
        (Target("http://127.0.0.1:2", "trades", "org"), "id", "print"),
        (Target("http://127.0.0.1:1", "other", "org"), "id", "print"),
        (Target("http://127.0.0.1:1", "trades", "other"), "id", "print"),
        (TARGET, "a bucket of the same name, made anew", "print"),
        (TARGET, "id", "another dataset"),
    ],
)
def test_another_target_or_dataset_is_another_load(root: Path, other: tuple[Target, str, str]) -> None:
    """Acknowledgements count only for the bucket and the dataset that they were given for."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge(RowSet(chunk(0, 100)), 0)
    with Ledger.opened(root, *other, restart=False) as ledger:
        assert ledger.rows.pending(PARTITION) == [chunk(0, 100)]


def test_restart_forgets(root: Path) -> None:
    """A restarted load has everything pending and nothing rejected."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge(RowSet(chunk(0, 100)), 3)
        ledger.finish()
    with Ledger.opened(root, TARGET, "id", "print", restart=True) as ledger:
        assert ledger.rows.pending(PARTITION) == [chunk(0, 100)]
        assert ledger.rejected == 0


def test_last_load_is_the_one_that_began_last(root: Path) -> None:
    """An older load that is begun again becomes the last one."""
    assert last_load(root) is None
    for bucket in ("first", "second", "first"):
        with Ledger.opened(root, Target("http://h", bucket, "org"), "", "print", restart=False) as ledger:
            ledger.acknowledge(RowSet(chunk(0, 30)), 1)
    last = last_load(root)
    assert last is not None
    assert (last.bucket, last.rows, last.rejected, last.finished) == ("first", 30, 2, "")


def test_last_load_of_an_empty_ledger_is_none(root: Path) -> None:
    """A ledger without loads is no load."""
    sqlite3.connect(ledger_path(root)).close()
    assert last_load(root) is None


def test_the_token_is_not_in_the_ledger(root: Path) -> None:
    """No byte of any file beside the dataset holds the token."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge(RowSet(chunk(0, 30)), 0)
        files = [path.read_bytes() for path in (root / STATE).iterdir()]
    assert all(b"very-secret-token" not in content for content in files)
    assert "very-secret-token" not in repr(TARGET)


def test_two_loads_at_once_are_refused(root: Path) -> None:
    """The second load of a dataset is told that another one runs."""
    with (
        Ledger.opened(root, TARGET, "id", "print", restart=False),
        pytest.raises(ConfigError, match="another load"),
        Ledger.opened(root, TARGET, "id", "print", restart=False),
    ):
        pass


def test_a_damaged_ledger_is_named(root: Path) -> None:
    """A ledger that is not a database is an error with its path, not a traceback of SQLite."""
    ledger_path(root).write_bytes(b"not a database, but long enough to look at" * 50)
    with (
        pytest.raises(LoadError, match=r"ledger\.sqlite"),
        Ledger.opened(root, TARGET, "id", "print", restart=False),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Without a place for the ledger no load begins."""
    with (
        pytest.raises(LoadError, match=r"load\.lock"),
        Ledger.opened(tmp_path / "missing", TARGET, "id", "print", restart=False),
    ):
        pass
