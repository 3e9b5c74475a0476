"""Rows of any width in order: those that are laid aside come as those that are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset import batches as dataset_batches
from loader.errors import EncodeError, StageError
from loader.staging import wide_rows
from loader.staging.identities import DAY, ORDER, TIME
from loader.staging.sorting import sort_batches
from loader.staging.wide_rows import sort_rows

COLUMNS = pa.schema(
    [("h", pa.string()), (TIME, pa.int64()), (ORDER, pa.int64()), ("s", pa.string()), ("v", pa.uint64())]
)
KEYS = ("h", TIME, ORDER)


def batch(rows: list[tuple[str | None, int, str | None]], first: int = 0) -> pa.RecordBatch:
    """Return rows of a tag, a time and a text."""
    tags, times, texts = ([row[number] for row in rows] for number in range(3))
    columns = [tags, times, range(first, first + len(rows)), texts, [2**64 - 1] * len(rows)]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind) for column, kind in zip(columns, COLUMNS.types, strict=True)], schema=COLUMNS
    )


def parted(rows: list[tuple[str | None, int, str | None]], size: int) -> Iterator[pa.RecordBatch]:
    """Yield ``rows`` in batches of ``size``."""
    for start in range(0, len(rows), size):
        yield batch(rows[start : start + size], start)


TAGS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=2)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES = st.integers(-3 * DAY, 3 * DAY) | st.integers(-3, 3)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(TAGS, TIMES, TEXTS), max_size=60), st.integers(1, 9))
def test_the_order_is_that_of_narrow_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, int, str | None]], size: int
) -> None:
    """Whatever lies in which run and piece, all columns of a row come together, in the same order."""
    folder = tmp_path_factory.mktemp("wide")
    wanted = pa.Table.from_batches(sort_batches(COLUMNS, parted(rows, size), KEYS, folder, 1), COLUMNS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide_rows, "WIDE_BYTES", -1)
        patch.setattr(wide_rows, "PEEK_BYTES", 200)
        patch.setattr(wide_rows, "RUN_BYTES", 600)
        patch.setattr(wide_rows, "PIECE_BYTES", 150)
        patch.setattr(dataset_batches, "BATCH_BYTES", 400)
        found = pa.Table.from_batches(sort_rows(COLUMNS, parted(rows, size), KEYS, folder, 1), COLUMNS)
    assert found == wanted


def test_wide_rows_are_sorted_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that memory does not hold together are sorted by their keys, and come in small batches."""
    chance = random.Random(1)
    rows: list[tuple[str | None, int, str | None]] = [
        (chance.choice(["a", "b", None]), chance.randrange(4 * DAY), chance.choice("xyz") * 20_000)
        for _ in range(2_000)
    ]
    monkeypatch.setattr("loader.staging.sorting.MEMORY", "16MB")
    monkeypatch.setattr(wide_rows, "PEEK_BYTES", 1 << 20)
    monkeypatch.setattr(wide_rows, "RUN_BYTES", 4 << 20)
    found = list(sort_rows(COLUMNS, parted(rows, 50), KEYS, tmp_path, 64))
    assert max(each.nbytes for each in found) <= dataset_batches.BATCH_BYTES + (1 << 20)
    order = sorted(range(len(rows)), key=lambda row: (rows[row][1] // DAY, rows[row][0] or "", rows[row][1], row))
    assert pa.Table.from_batches(found)[ORDER].to_pylist() == order
    assert pa.Table.from_batches(found)["s"].to_pylist() == [rows[row][2] for row in order]


@pytest.mark.parametrize(
    ("rows", "threads", "wide"),
    [
        ([("a", 1, "x")], wide_rows.MOST_THREADS, False),
        ([("a" * 1_000, 1, "x")], wide_rows.FEWER_THREADS, False),
        ([("a", 1, "x" * 1_000)], wide_rows.MOST_THREADS, True),
        ([], wide_rows.MOST_THREADS, False),
    ],
)
def test_the_width_decides(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str | None, int, str | None]],
    threads: int,
    wide: bool,
) -> None:
    """Wide fields are laid aside, wide keys have fewer threads; more threads than four share too little memory."""
    seen: list[tuple[int, bool]] = []

    def sorting(
        schema: pa.Schema, batches: Iterator[pa.RecordBatch], keys: tuple[str, ...], temporary: Path, threads: int
    ) -> Iterator[pa.RecordBatch]:
        seen.append((threads, "s" not in schema.names))
        return sort_batches(schema, batches, keys, temporary, threads)

    monkeypatch.setattr(wide_rows, "sort_batches", sorting)
    found = list(sort_rows(COLUMNS, parted(rows, 10), KEYS, tmp_path, 64))
    assert sum(map(len, found)) == len(rows)
    assert seen == [(threads, wide)]


def test_what_the_source_raises_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It arrives with its type and words, be it at once or later."""
    monkeypatch.setattr(wide_rows, "PEEK_BYTES", 1)

    def failing(number: int) -> Iterator[pa.RecordBatch]:
        yield from (batch([("a", 1, "x" * 1_000)]) for _ in range(number))
        raise EncodeError("row 7 is odd")

    for number in (0, 3):
        with pytest.raises(EncodeError, match="row 7 is odd"):
            list(sort_rows(COLUMNS, failing(number), KEYS, tmp_path, 1))


def test_rows_without_their_keys_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should two libraries disagree about an order, no row gets the fields of another."""
    monkeypatch.setattr(wide_rows, "_ordered", lambda table, keys: table.combine_chunks().to_batches()[0])
    rows: list[tuple[str | None, int, str | None]] = [("b", 1, "x" * 1_000), ("a", 2, "y" * 1_000)]
    with pytest.raises(StageError, match="another order than their keys"):
        list(sort_rows(COLUMNS, parted(rows, 10), KEYS, tmp_path, 1))


def test_runs_of_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are laid aside together, and runs one behind the other; DuckDB asks for them in threads of its own."""
    monkeypatch.setattr(wide_rows, "RUN_BYTES", 300)
    rows: list[tuple[str | None, int, str | None]] = [("a", number, "x" * 50) for number in range(8)]
    tables = list(wide_rows._tables(parted(rows, 1)))
    assert sum(map(len, tables)) == len(rows)
    assert 1 < len(tables) < len(rows)
    columns = pa.schema([*(COLUMNS.field(key) for key in KEYS), (wide_rows._RUN, pa.int32())])
    runs = wide_rows._Runs(tmp_path / "runs.arrow", [ORDER, "s", "v"])
    written = [run for table in tables for run in runs.write(wide_rows._ordered(table, KEYS), columns)]
    assert [run.column(wide_rows._RUN)[0].as_py() for run in written] == list(range(len(tables)))
    assert list(runs.written()) == []
    numbers = pa.concat_arrays([run.column(wide_rows._RUN) for run in written]).to_numpy()
    assert runs.read(numbers).column(ORDER).to_pylist() == list(range(len(rows)))
