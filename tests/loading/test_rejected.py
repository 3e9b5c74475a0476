"""Rejected rows are in their file once, however runs end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader.dataset import rejected_file
from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.manifest import STATE
from loader.dataset.rejected_file import RejectedFile
from loader.errors import ConfigError, LoadError, StageError
from loader.loading.ledger import Ledger
from loader.loading.rejected import Rejections, most_rejected
from loader.loading.row_set import RowSet
from loader.servers.base import Target

TARGET = Target("http://127.0.0.1:1", "trades", "org")


def rejected(*rows: int) -> list[RejectedRow]:
    """Return rejected rows of one partition."""
    return [RejectedRow("p.parquet", row, "price", "nan", "no number") for row in rows]


def kept(path: Path) -> list[int]:
    """Return the rows in a file of rejected rows."""
    return [json.loads(line)["row"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])  # bytes that are read of a line at a time
@pytest.mark.parametrize("rest", ["", '{"partition": "p.parq'])
def test_rows_of_a_killed_run_are_rejected_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, rest: str
) -> None:
    """Lines that were written before a kill, and of which the ledger does not know, make room for the same again."""
    monkeypatch.setattr(rejected_file, "MOST_BYTES", piece)
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


@pytest.mark.parametrize("text", ["A\nB\n\nC", "\n A\n\t\nB\nC\n", "A\n\nB\nC", "A\nB\nC\nD\n", "A\nB\nC\n"])
def test_what_an_editor_leaves_is_mended(tmp_path: Path, text: str) -> None:
    """Blank lines count as no rows, and the next row begins a line of its own."""
    file = RejectedFile(tmp_path, "load-1")
    file.append([])
    file.path.write_text(text)
    file.keep_first(3)
    file.append([{"row": 4}])
    assert [line.strip() for line in file.path.read_text().splitlines()] == ["A", "B", "C", '{"row": 4}']


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


@pytest.mark.parametrize(
    ("limit", "rows", "most"),
    [(0, 5, 0), (7, 5, 7), ("1000", 5, 1_000), ("0%", 5, 0), ("100%", 5, 5), ("0.5%", 999, 4), ("33.3%", 1_000, 333)],
)
def test_a_limit_is_a_number_or_a_percentage(limit: int | str, rows: int, most: int) -> None:
    """Of the dataset's rows, rounded down, without floats."""
    assert most_rejected(limit, rows) == most


@pytest.mark.parametrize("limit", [-1, "-1", "101%", "100.1%", "5 %", "%", "", "many", "1e3", "nan%", "\u0661%", 0.5])
def test_other_limits_are_refused(limit: object) -> None:
    """Whatever is neither, or more than all rows."""
    with pytest.raises(ConfigError, match="max rejected of"):
        most_rejected(limit, 10)  # type: ignore[arg-type]


def test_rows_are_dropped_from_the_file(tmp_path: Path) -> None:
    """Only those that are named; lines of another form stay, and nothing is made where there is no file."""
    file = RejectedFile(tmp_path, "load-1")
    (tmp_path / STATE).mkdir()
    file.drop(lambda path, row: True)
    assert not file.path.exists()
    file.append([{"partition": path, "row": row} for path in ("a", "b") for row in range(3)])
    others = '[1]\n{"partition": "a"}\n{"partition": "a", "row": []}\nhalf a l'
    with file.path.open("a") as end:
        end.write(others)
    file.drop(lambda path, row: path == "a" and row < 2)
    text = file.path.read_text()
    assert text.endswith(others)
    assert [(each["partition"], each["row"]) for each in map(json.loads, text.splitlines()[:4])] == [
        ("a", 2),
        ("b", 0),
        ("b", 1),
        ("b", 2),
    ]


def test_a_file_that_cannot_be_replaced(tmp_path: Path) -> None:
    """Nothing takes its place: neither after an error of the disk, nor where a link stands."""
    file = RejectedFile(tmp_path, "load-1")
    file.append([{"partition": "a", "row": 1}])
    full = OSError(28, "no room")
    with pytest.raises(LoadError, match="cannot be written: no room"), file.replaced():
        raise full
    assert kept(file.path) == [1]
    file.path.parent.rename(tmp_path / "away")
    file.path.parent.symlink_to(tmp_path / "away")
    with pytest.raises(StageError, match="link"), file.replaced():
        pass
    with pytest.raises(LoadError, match="cannot be read"):
        list(file.lines())


def test_a_replay_that_was_killed_is_settled(tmp_path: Path) -> None:
    """Rows that the server took, and that are still in the file, leave it when the load is run again."""
    (tmp_path / STATE).mkdir()
    with Ledger.opened(tmp_path, TARGET, "id", "print", restart=False) as ledger:
        rejections = Rejections.of_load(tmp_path, ledger, 100)
        rejections.keep(rejected(1, 2, 3, 4))
        ledger.acknowledge(RowSet(Chunk("p.parquet", 0, 10)), 4, 1)
        ledger.finish()
        ledger.acknowledge_replayed("p.parquet", {1: False, 3: True})
        ledger.acknowledge_replayed("p.parquet", {1: False}, skipped=True)  # it is known already
        assert (ledger.rejected, ledger.skipped, ledger.rows_done) == (2, 1, 10)
    assert kept(rejections.file.path) == [1, 2, 3, 4]
    for _ in range(2):
        with Ledger.opened(tmp_path, TARGET, "id", "print", restart=False) as ledger:
            assert Rejections.of_load(tmp_path, ledger, 100).total == 2
        assert kept(rejections.file.path) == [2, 4]
    with Ledger.opened(tmp_path, TARGET, "id", "print", restart=False) as ledger:
        ledger.acknowledge_replayed("p.parquet", {2: False, 4: False, 5: False})  # the last was never rejected
        ledger.acknowledge_replayed("p.parquet", {6: False})
        assert (ledger.rejected, ledger.rows_done) == (0, 10)
        ledger.acknowledge(RowSet(Chunk("p.parquet", 10, 20)), 0)
