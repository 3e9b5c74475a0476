"""Batches in the order of days and keys, whatever their number, and what goes wrong meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import EncodeError, StageError
from loader.staging import sorting
from loader.staging.identities import DAY, ORDER, TIME
from loader.staging.sorting import sort_batches

COLUMNS = pa.schema([('odd "name', pa.string()), (TIME, pa.int64()), (ORDER, pa.int64()), ("v", pa.uint64())])
KEYS = ('odd "name', TIME, ORDER)


def batch(names: list[str | None], times: list[int], first: int = 0) -> pa.RecordBatch:
    """Return rows of names and times."""
    orders = list(range(first, first + len(names)))
    columns = [names, times, orders, [2**64 - 1] * len(names)]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind) for column, kind in zip(columns, COLUMNS.types, strict=True)], schema=COLUMNS
    )


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(1, 3))
def test_rows_come_by_day_and_keys(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, threads: int) -> None:
    """Days before 1970 and texts of any bytes, null first, are in the order that Python has."""
    texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
    rows = data.draw(st.lists(st.tuples(texts, st.integers(-3 * DAY, 3 * DAY) | st.integers(-3, 3)), max_size=40))
    parts = [rows[:7], rows[7:]]
    batches = (
        batch([row[0] for row in part], [row[1] for row in part], 7 * number) for number, part in enumerate(parts)
    )
    found = list(sort_batches(COLUMNS, batches, KEYS, tmp_path_factory.mktemp("sort"), threads))
    table = pa.Table.from_batches(found, schema=COLUMNS)
    numbered = [(text, time, number) for number, (text, time) in enumerate(rows)]
    wanted = sorted(numbered, key=lambda row: (row[1] // DAY, row[0] is not None, (row[0] or "").encode(), *row[1:]))
    assert list(zip(*(table[key].to_pylist() for key in KEYS), strict=True)) == wanted
    assert set(table["v"].to_pylist()) <= {2**64 - 1}


def test_what_the_source_raises_is_raised(tmp_path: Path) -> None:
    """It arrives with its type and words, not as an error of the library that reads it."""

    def failing() -> Iterator[pa.RecordBatch]:
        yield batch(["a"] * 5, [1] * 5)
        raise EncodeError("row 7 is odd")

    with pytest.raises(EncodeError, match="row 7 is odd"):
        list(sort_batches(COLUMNS, failing(), KEYS, tmp_path, 2))


def test_no_room_for_what_memory_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder, and another is asked for."""
    monkeypatch.setattr(sorting, "MEMORY", "2MB")
    (tmp_path / "file").write_text("")
    batches = (batch(["x" * 100] * 50_000, [number] * 50_000) for number in range(8))
    with pytest.raises(StageError, match="the rows cannot be sorted") as caught:
        list(sort_batches(COLUMNS, batches, KEYS, tmp_path / "file", 1))
    assert "--temp" in caught.value.hint


def test_more_than_memory_holds_lies_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sorted all the same."""
    monkeypatch.setattr(sorting, "MEMORY", "64MB")
    rows, parts = 100_000, 12
    batches = (
        batch(["x" * 50] * rows, list(range(parts - part - 1, rows * parts, parts)), part * rows)
        for part in range(parts)
    )
    last, total = -1, 0
    for piece in sort_batches(COLUMNS, batches, KEYS, tmp_path, 2):
        times = piece.column(TIME).to_numpy()
        assert times[0] > last
        assert (times[1:] > times[:-1]).all()
        last, total = int(times[-1]), total + len(piece)
    assert total == rows * parts


def test_a_stop_leaves_no_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go at once, even while something is added: what sorts may take longer to end than a person waits."""
    temporary = tmp_path / "temp"
    temporary.mkdir()
    (temporary / "x.parquet").write_text("")
    found = sort_batches(COLUMNS, (batch(["a"], [number]) for number in range(3)), KEYS, temporary, 1)
    next(found)
    remove, removed = shutil.rmtree, []

    def adding(folder: Path, ignore_errors: bool) -> None:
        removed.append(folder)
        if len(removed) > 1:
            remove(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", adding)
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert removed == [temporary, temporary]
    assert not temporary.exists()
