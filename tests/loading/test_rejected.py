"""Rejected rows are in their file once, however runs end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader.dataset import state
from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.manifest import STATE
from loader.loading.ledger import Ledger
from loader.loading.rejected import Rejections
from loader.loading.row_set import RowSet
from loader.servers.base import Target

TARGET = Target("http://127.0.0.1:1", "trades", "org")


def rejected(*rows: int) -> list[RejectedRow]:
    """Return rejected rows of one partition."""
    return [RejectedRow("p.parquet", row, "price", "nan", "no number") for row in rows]


def kept(path: Path) -> list[int]:
    """Return the rows in a file of rejected rows."""
    return [json.loads(line)["row"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize("rest", ["", '{"partition": "p.parq'])
def test_rows_of_a_killed_run_are_rejected_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, rest: str
) -> None:
    """Lines that were written before a kill, and of which the ledger does not know, make room for the same again."""
    monkeypatch.setattr(state, "_PIECE_BYTES", piece)
    (tmp_path / STATE).mkdir()
    for run, expected in enumerate(([], [0, 1], [0, 1, 2, 3])):
        with Ledger.opened(tmp_path, TARGET, "id", "print", restart=False) as ledger:
            rejections = Rejections.of_load(tmp_path, ledger, 100)
            path = rejections.file.path
            assert (kept(path) if path.exists() else []) == expected
            rejections.keep(rejected(2 * run, 2 * run + 1))
            ledger.acknowledge(RowSet(Chunk("p.parquet", 10 * run, 10 * run + 10)), 2)
            rejections.keep(rejected(2 * run + 2, 2 * run + 3))
            with path.open("a") as file:
                file.write(rest)


def test_a_file_with_fewer_rows_stays(tmp_path: Path) -> None:
    """Who moves the file away between two runs finds the rows of the second in a new one, and those of the third."""
    (tmp_path / STATE).mkdir()
    for run in range(3):
        with Ledger.opened(tmp_path, TARGET, "id", "print", restart=False) as ledger:
            rejections = Rejections.of_load(tmp_path, ledger, 100)
            rejections.keep(rejected(run))
            ledger.acknowledge(RowSet(Chunk("p.parquet", run, run + 1)), 1)
        if not run:
            rejections.file.path.rename(tmp_path / "away")
    assert kept(rejections.file.path) == [1, 2]
