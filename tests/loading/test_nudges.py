"""Where rows of one identity are moved to, in whatever order and partition they are."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.dataset import moves, reader
from loader.dataset.instant import DAY, TIME_MAX, TIME_MIN
from loader.dataset.manifest import ADOPTED, Manifest, read_manifest, write_manifest
from loader.dataset.moves import read_moves, write_moves
from loader.dataset.state import make_state
from loader.errors import ConfigError, StageError
from loader.events import Event, Notice, ignore
from loader.loading import identity_reader
from loader.loading.nudges import move_apart
from tests.loading.test_identities import Row, dataset


def placed(root: Path, *parts: Sequence[Row]) -> list[list[int | None]]:
    """Return the time of each row of each of ``parts`` once they are moved apart."""
    manifest = move_apart(root, dataset(root, *parts), ignore, threading.Event())
    steps = [[0] * each.rows if each.moves is None else each.moves.tolist() for each in manifest.partitions]
    return [
        [None if row[1] is None else row[1] + step for row, step in zip(part, each, strict=True)]
        for part, each in zip(parts, steps, strict=True)
    ]


def expected(*parts: Sequence[Row]) -> list[list[int | None]]:
    """Return the same, row after row: each behind the point before it, unless it sets other fields of it."""
    times = [[row[1] for row in part] for part in parts]
    rows = [
        (row[0] or "", row[1], part, number, row)
        for part, each in enumerate(parts)
        for number, row in enumerate(each)
        if row[1] is not None and row[2:] != (None, None)
    ]
    former, last, taken = ("", 0), 0, (False, False)
    for series, time, part, number, row in sorted(rows, key=lambda row: row[:4]):
        sets = row[2] is not None, row[3] is not None
        joins = former == (series, time) and not any(mine and there for mine, there in zip(sets, taken, strict=True))
        if not joins:
            behind = former[0] == series and last >= time and last // DAY == time // DAY
            last = last + 1 if behind else time
            taken = sets
        else:
            taken = sets[0] or taken[0], sets[1] or taken[1]
        former = series, time
        times[part][number] = last
    return times


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.one_of(st.none(), st.integers(0, 6), st.integers(DAY, DAY + 2)),
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.none(), st.floats(0, 1)),
    ),
    max_size=12,
)


SPARSE: list[Row] = [("a", 5, 1, None), ("a", 5, None, 1.0), ("a", 5, 2, None), ("a", 5, None, None), ("a", 6, 1, 1.0)]


@given(st.lists(ROWS, min_size=1, max_size=3).filter(any), st.sampled_from([1 << 20, 500, 1]))
@example([SPARSE, SPARSE], 1)
@example([[("a", 5, None, None), ("a", 5, None, None)]], 1)
@example([[("a", 0, 1, None)] * 3 + [("a", 1, 1, None)] * 3 + [("a", DAY + 2, 1, None)]], 500)
@settings(max_examples=60, deadline=None)
def test_any_rows(tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]], most: int) -> None:
    """Each row is behind the one before it in its series, however few are looked at at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity_reader, "MOST_BYTES", most)
        assert placed(tmp_path_factory.mktemp("rows"), *parts) == expected(*parts)


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6).map(sorted), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None)
def test_what_spills_over(tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]) -> None:
    """Partitions that follow each other in time, each in order, are moved on when rows of the one before reach them."""
    rows = [[("a", 3 * number + time // 2, 1, 1.0) for time in part] for number, part in enumerate(parts)]
    assert placed(tmp_path_factory.mktemp("rows"), *rows) == expected(*rows)


def test_it_says_how_many(tmp_path: Path) -> None:
    """How many rows are moved and how far is told once; of distinct rows nothing is."""
    events: list[Event] = []
    many = move_apart(tmp_path, dataset(tmp_path, [("a", 5, 1, 1.0)] * 1_001), events.append, threading.Event())
    assert events == [Notice(str(many.moves))]
    assert str(many.moves) == "1,000 rows are moved behind others of the same series and time, by 1,000 ns at most"
    assert many.partitions[0].time_max == 1_005
    none = move_apart(tmp_path, dataset(tmp_path, [("a", 5, 1, 1.0)]), events.append, threading.Event())
    assert (len(events), none.moves, none.partitions[0].moves) == (1, None, None)


@pytest.mark.parametrize("time", [DAY - 1, TIME_MAX, -1])
def test_no_row_leaves_its_day(tmp_path: Path, time: int) -> None:
    """A row that would is an error with its place."""
    with pytest.raises(ConfigError, match=r"9\.parquet row 1: no nanosecond of its day is left"):
        placed(tmp_path, [("a", time, 1, 1.0)] * 2)


def test_the_ends_of_time(tmp_path: Path) -> None:
    """From the first time to the last, no difference goes round."""
    rows = [("a", time, 1, 1.0) for time in (TIME_MIN, TIME_MIN, TIME_MAX - 1, TIME_MAX - 1)]
    assert placed(tmp_path, rows) == [[TIME_MIN, TIME_MIN + 1, TIME_MAX - 1, TIME_MAX]]


def test_a_stop_ends_it(tmp_path: Path) -> None:
    """Nothing is moved once it is told to stop."""
    stop = threading.Event()
    stop.set()
    for parts in ([[("a", 5, 1, 1.0)] * 2], [[("a", 5, 1, 1.0)]] * 2):
        assert move_apart(tmp_path, dataset(tmp_path, *parts), ignore, stop).moves is None


@pytest.mark.parametrize("times", range(1, 8))
def test_a_stop_at_any_moment_ends_it(tmp_path: Path, times: int) -> None:
    """Whatever is being read when it is told to stop, it ends without an error."""
    looks = iter([False] * times)
    stop = threading.Event()
    stop.is_set = lambda: next(looks, True)  # type: ignore[method-assign]
    move_apart(tmp_path, dataset(tmp_path, [("a", 5, 1, 1.0)] * 2, [("a", 5, 1, 1.0)]), ignore, stop)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """Return a manifest whose moves are written, in several row groups."""
    monkeypatch.setattr(moves, "_GROUP_ROWS", 2)
    monkeypatch.setattr(reader, "JOINED_ROWS", 3)
    parts = [("a", 5, 1, 1.0)] * 5, [("b", 9, 1, 1.0)], [("b", 5, 1, 1.0)] * 3
    found = replace(dataset(tmp_path, *parts), settings={"source": ADOPTED})
    made = move_apart(tmp_path, found, ignore, threading.Event())
    make_state(tmp_path)
    write_moves(tmp_path, made)
    write_manifest(tmp_path, made)
    return made


def test_moves_are_kept(tmp_path: Path, kept: Manifest) -> None:
    """What is read is what was written; a manifest without moves has none, and another fingerprint."""
    read = read_moves(tmp_path, read_manifest(tmp_path))
    assert [None if part.moves is None else part.moves.tolist() for part in read.partitions] == [
        [0, 1, 2, 3, 4],
        None,
        [0, 1, 2],
    ]
    assert read == kept
    plain = replace(kept, moves=None)
    assert read_moves(tmp_path, plain) is plain
    assert plain.fingerprint != kept.fingerprint


FAULTS: dict[str, list[tuple[Any, Any, Any]]] = {
    "other moves": [(0, 1, 2)],
    "no partition 3": [(3, 1, 1)],
    "no partition -1": [(-1, 1, 1)],
    "does not have": [(0, 5, 1)],
    "rows that": [(0, -1, 1)],
    "other columns": [(0, None, 1)],
    "steps that": [(0, 1, 0)],
    "are none": [(0, 1, DAY)],
    "another order": [(0, 2, 1), (0, 1, 1)],
    "in another": [(0, 1, 1), (0, 2, 1), (0, 2, 1)],
    "order": [(2, 1, 1), (2, 2, 1), (0, 1, 1)],
}


@pytest.mark.parametrize("words", FAULTS)
def test_other_moves_are_refused(tmp_path: Path, kept: Manifest, words: str) -> None:
    """What the manifest does not count, or no dataset can have, is an error that names the file."""
    columns = zip(zip(*FAULTS[words], strict=True), moves._COLUMNS.types, strict=True)
    arrays = [pa.array(column, kind) for column, kind in columns]
    path = tmp_path / ".loader" / "moves.parquet"
    pq.write_table(pa.table(arrays, schema=moves._COLUMNS), path, row_group_size=2)
    assert kept.moves
    counted = replace(kept, moves=replace(kept.moves, rows=len(arrays[0])))
    with pytest.raises(StageError, match=rf"moves\.parquet: .*{words}"):
        read_moves(tmp_path, counted)
    with pytest.raises(StageError, match="where the manifest counts 6"):
        read_moves(tmp_path, kept)


def test_moves_that_are_no_parquet_or_gone(tmp_path: Path, kept: Manifest) -> None:
    """So are a damaged file, one of other columns, and none."""
    path = tmp_path / ".loader" / "moves.parquet"
    pq.write_table(pa.table({"x": [1] * 6}), path, row_group_size=2)
    with pytest.raises(StageError, match="other columns"):
        read_moves(tmp_path, kept)
    pq.write_table(pa.table([[0] * 6, [0] * 6, [1] * 6], schema=moves._COLUMNS), path)
    with pytest.raises(StageError, match="row group 0 has 6 rows"):
        read_moves(tmp_path, kept)
    path.write_bytes(b"PAR1")
    with pytest.raises(StageError, match="cannot be read"):
        read_moves(tmp_path, kept)
    path.unlink()
    with pytest.raises(StageError, match="is missing"):
        read_moves(tmp_path, kept)


def test_moves_of_a_staged_dataset(tmp_path: Path, kept: Manifest) -> None:
    """The manifest of one that has moves is damaged: nobody moves its rows."""
    write_manifest(tmp_path, replace(kept, settings={}))
    with pytest.raises(StageError, match="moves in a dataset that was staged"):
        read_manifest(tmp_path)


def test_rows_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows of some series have one time, few are placed at a time, and sparse ones join as they should."""
    sets = [(1, None), (None, 1.0), (None, None), (1, 1.0), (None, 2.0), (2, None), (1, None)]
    rows: list[Row] = [(series, 5, *sets[number % 7]) for number in range(40) for series in ("a", "b", "c")]
    whole = expected(rows, rows)
    for most in (200, 202 * 5, 202 * 11, 202 * 64):
        monkeypatch.setattr(identity_reader, "MOST_BYTES", most)
        assert placed(tmp_path, rows, rows) == whole


def test_many_partitions_take_few_files(tmp_path: Path) -> None:
    """Each of hundreds of partitions with moved rows needs no file of its own."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    parts = [[("a", 10 * number, 1, 1.0)] * 2 for number in range(300)]
    made = move_apart(tmp_path, dataset(tmp_path, *parts), ignore, threading.Event())
    assert made.moves
    assert made.moves.rows == 300
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
