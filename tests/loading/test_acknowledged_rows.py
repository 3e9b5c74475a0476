"""Acknowledged rows, in whatever order they were sent: none is forgotten, none is invented."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import STATE, Partition
from loader.errors import LoadError
from loader.loading import acknowledged_rows
from loader.loading.acknowledged_rows import CELL_ROWS, AcknowledgedRows
from loader.loading.changed_files import forget_rows
from loader.loading.ledger import Ledger, last_load, ledger_path
from loader.loading.row_set import RowSet
from loader.servers.base import Target

TARGET = Target("http://127.0.0.1:1", "trades", "org")
ROWS = 2 * CELL_ROWS + 100
PARTITION = Partition("date=2024-01-02/trades.parquet", ROWS, 1, 2, 10, "00")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset's folder with a place for the ledger."""
    (tmp_path / STATE).mkdir()
    return tmp_path


@pytest.fixture
def ledger(root: Path) -> Iterator[Ledger]:
    """Return a ledger in which nothing is acknowledged."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        yield ledger


def chunk(start: int, stop: int) -> Chunk:
    """Return rows of the one partition."""
    return Chunk(PARTITION.path, start, stop)


def acknowledge(ledger: Ledger, start: int, stop: int, rows: range | list[int], rejected: int = 0) -> None:
    """Acknowledge ``rows`` of a chunk."""
    ledger.acknowledge(RowSet(chunk(start, stop), np.array(rows, np.int64)), rejected)


def known(rows: AcknowledgedRows, partition: Partition) -> set[int]:
    """Return which rows of ``partition`` are acknowledged."""
    found = set(range(partition.rows))
    for gap in rows.pending(partition):
        mask = rows.mask(gap)
        left = np.arange(gap.start, gap.stop) if mask is None else gap.start + np.flatnonzero(~mask)
        assert gap.rows - rows.count_scattered(gap) == len(left)
        found -= set(left.tolist())
    return found


def test_rows_of_a_chunk_are_a_range_once_all_are_there(ledger: Ledger, root: Path) -> None:
    """Until then each of them counts, over the bounds of cells, too; afterwards nothing is left of the bits."""
    start, stop = CELL_ROWS - 10, CELL_ROWS + 20
    acknowledge(ledger, start, stop, range(start, stop, 2), 3)
    assert known(ledger.rows, PARTITION) == {*range(start, stop, 2)}
    assert last_load(root).rows == 15  # type: ignore[union-attr]
    acknowledge(ledger, start, stop, range(start + 1, stop, 2))
    assert ledger.rows.pending(PARTITION) == [chunk(0, start), chunk(stop, ROWS)]
    assert [ledger.rows.mask(gap) for gap in ledger.rows.pending(PARTITION)] == [None, None]
    assert (last_load(root).rows, ledger.rejected) == (30, 3)  # type: ignore[union-attr]


def test_a_chunk_cut_otherwise_goes_on_with_what_is_there(ledger: Ledger) -> None:
    """A later run may read larger chunks; it adds what is missing to what the former one left."""
    acknowledge(ledger, 0, 10, [1, 3, 5])
    acknowledge(ledger, 10, 20, [10, 19])
    acknowledge(ledger, 5, 20, [6, 7, 8, 9, *range(11, 19)])
    assert ledger.rows.pending(PARTITION) == [chunk(0, 5), chunk(20, ROWS)]
    assert known(ledger.rows, PARTITION) == {1, 3, *range(5, 20)}


def test_other_loads_and_partitions_are_not_touched(ledger: Ledger) -> None:
    """Bits belong to one partition."""
    acknowledge(ledger, 0, 10, [1])
    other = Chunk("date=2024-01-03/trades.parquet", 0, 10)
    assert ledger.rows.mask(other) is None
    assert ledger.rows.count_scattered(other) == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_sets_of_any_chunks(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Acknowledged are exactly the rows that were, in whatever chunks and runs; the ledger's own count agrees."""
    root = tmp_path_factory.mktemp("ledger")
    (root / STATE).mkdir()
    partition = Partition(PARTITION.path, 40, 1, 2, 10, "00")
    expected: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acknowledged_rows, "CELL_ROWS", 16)
        patch.setattr(acknowledged_rows, "_CELL_BYTES", 2)
        for _ in range(data.draw(st.integers(1, 3))):
            with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
                pending = ledger.rows.pending(partition)
                for gap in pending:
                    stop = data.draw(st.integers(gap.start + 1, gap.stop))
                    window = chunk(gap.start, stop)
                    mask = ledger.rows.mask(window)
                    left = [row for row in range(gap.start, stop) if mask is None or not mask[row - gap.start]]
                    order = data.draw(st.permutations(left))
                    size = data.draw(st.integers(1, 20))
                    sets = [order[first : first + size] for first in range(0, len(order), size)]
                    for numbers in sets[: data.draw(st.integers(0, len(sets)))]:
                        acknowledge(ledger, window.start, window.stop, numbers)
                        expected.update(numbers)
                assert known(ledger.rows, partition) == expected
            last = last_load(root)
            assert last is not None
            assert last.rows == len(expected)


def damage(root: Path, column: str, value: object) -> None:
    """Leave a ledger with a cell that has ``value`` in ``column``."""
    with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
        acknowledge(ledger, 0, 10, [1])
    with closing(sqlite3.connect(ledger_path(root))) as database, database:
        database.execute(f"UPDATE scattered SET {column} = ?", (value,))


@pytest.mark.parametrize("bits", [b"", b"\xff" * 10, "text", 5, 0.5, b"\xff" * (CELL_ROWS // 8 + 1)])
def test_damaged_bits(root: Path, bits: Any) -> None:
    """Bits of another size, or none at all, are damage that is named."""
    damage(root, "bits", bits)
    with (
        pytest.raises(LoadError, match="it is damaged: the bits of 131072 rows"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        ledger.rows.mask(chunk(0, 10))
    with pytest.raises(LoadError, match="it is damaged: the bits"):
        last_load(root)


@pytest.mark.parametrize("cell", [0.5, 1.25])
def test_a_damaged_number_of_a_cell(root: Path, cell: float) -> None:
    """The number of a cell is an integer."""
    damage(root, "cell", cell)
    with (
        pytest.raises(LoadError, match="it is damaged: the number of a cell"),
        Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger,
    ):
        ledger.rows.count_scattered(chunk(0, ROWS))


def test_bits_are_forgotten_with_the_rest(root: Path) -> None:
    """A restart, another mapping and a changed file forget them as they forget ranges."""
    for forget in ("restart", "another", "changed"):
        with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
            acknowledge(ledger, 0, 10, [1, 2])
            assert known(ledger.rows, PARTITION) == {1, 2}
        match forget:
            case "restart":
                Ledger.opened(root, TARGET, "id", "print", restart=True).__enter__()
            case "another":
                Ledger.opened(root, TARGET, "id", "other", restart=False).__enter__()
            case _:
                forget_rows(root, "print", [PARTITION.path])
        with Ledger.opened(root, TARGET, "id", "print", restart=False) as ledger:
            assert known(ledger.rows, PARTITION) == set()
