"""One point of each identity in a sorted stream, whatever its batches: beside a slow reference."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.instant import DAY, TIME_MAX, TIME_MIN
from loader.errors import ConfigError
from loader.staging.identities import ORDER, TIME, PointMerger

COLUMNS = pa.schema(
    [
        ("a", pa.string()),
        ("b", pa.int64()),
        (TIME, pa.int64()),
        (ORDER, pa.int64()),
        ("x", pa.int64()),
        ("y", pa.string()),
    ]
)
Row = tuple[Any, ...]
rows_strategy = st.lists(
    st.tuples(
        st.sampled_from([None, "", "a"]),
        st.integers(0, 1),
        st.integers(0, 3),
        st.none() | st.integers(0, 9),
        st.none() | st.sampled_from(["", "z"]),
    ).filter(lambda row: row[3] is not None or row[4] is not None),
    max_size=30,
)


def in_order(rows: list[Row]) -> list[Row]:
    """Return rows by series, time and order, which is that in which they are given."""
    numbered = [(*row[:3], number, *row[3:]) for number, row in enumerate(rows)]
    return sorted(numbered, key=lambda row: (row[0] is not None, row[0] or "", *row[1:4]))


def merged(rows: list[Row], sizes: list[int], on_duplicate: str) -> tuple[list[Row], PointMerger]:
    """Return what comes of sorted rows, in batches of ``sizes`` again and again."""
    merger = PointMerger(("a", "b"), on_duplicate, "row {}".format)
    out: list[pa.RecordBatch] = []
    left, turn = rows, 0
    while left:
        size = sizes[turn % len(sizes)]
        part, left, turn = left[:size], left[size:], turn + 1
        columns = [pa.array(column, kind) for column, kind in zip(zip(*part, strict=True), COLUMNS.types, strict=True)]
        out.append(merger.add(pa.RecordBatch.from_arrays(columns, schema=COLUMNS)))
    last = merger.finish()
    table = pa.Table.from_batches([*out, *([last] if last else [])], schema=COLUMNS)
    return [tuple(row[name] for name in ("a", "b", TIME, "x", "y")) for row in table.to_pylist()], merger


def last_of(rows: list[Row]) -> tuple[list[Row], int]:
    """Return the last value of each field of each identity, and how many others there are, the slow way."""
    found: dict[Row, list[Any]] = {}
    superseded = 0
    for row in rows:
        values = found.setdefault(row[:3], [None, None])
        for place, value in enumerate(row[4:]):
            if value is not None:
                superseded += values[place] is not None
                values[place] = value
    return [(*key, *values) for key, values in found.items()], superseded


def moved_apart(rows: list[Row]) -> tuple[list[Row], int]:
    """Return rows with no two of an identity that set one field, the slow way."""
    points: list[list[Any]] = []
    moved, before = 0, None
    for row in rows:
        same = before is not None and before[:2] == row[:2]
        values = list(row[4:])
        if same and before and before[2] == row[2]:
            open_fields = points[-1][3:]
            if not any(one is not None and two is not None for one, two in zip(open_fields, values, strict=True)):
                points[-1][3:] = [one if two is None else two for one, two in zip(open_fields, values, strict=True)]
                continue
        time = row[2]
        if same and time <= points[-1][2]:
            time, moved = points[-1][2] + 1, moved + 1
        points.append([*row[:2], time, *values])
        before = row
    return [tuple(point) for point in points], moved


@settings(deadline=None)
@given(rows_strategy, st.lists(st.integers(1, 7), min_size=1, max_size=3))
def test_the_last_value_counts(rows: list[Row], sizes: list[int]) -> None:
    """Fields are merged one by one, and all others are counted, however the stream is cut."""
    ordered = in_order(rows)
    for on_duplicate in ("last", "fail"):
        found, merger = merged(ordered, sizes, on_duplicate)
        assert (found, merger.superseded) == last_of(ordered)
        assert bool(merger.examples) == bool(merger.superseded)


@settings(deadline=None)
@given(
    rows_strategy | rows_strategy.map(lambda rows: [(*row[:3], 1, row[4]) for row in rows]),
    st.lists(st.integers(1, 7), min_size=1, max_size=3),
)
def test_rows_are_moved_apart(rows: list[Row], sizes: list[int]) -> None:
    """No value is lost: later rows come later, by as little as it takes, however the stream is cut."""
    ordered = in_order(rows)
    found, merger = merged(ordered, sizes, "nudge")
    assert (found, merger.moved) == moved_apart(ordered)
    assert len({row[:3] for row in found}) == len(found)


def test_examples_say_where_rows_stand() -> None:
    """The rows of an example are those of the source, also over the end of a batch; there are three at most."""
    rows = [("a", 0, 5, number, 1, None) for number in range(9)]
    _, merger = merged(rows, [2], "fail")
    assert merger.examples[0] == "row 0 and row 1 (1970-01-01T00:00:00.000000005Z)"
    assert merger.examples[1] == "row 1 and row 3 (1970-01-01T00:00:00.000000005Z)"
    assert (len(merger.examples), merger.superseded) == (3, 8)


@pytest.mark.parametrize("others", [[], [("b", 0, 1, 9, None, "z")]])
def test_nothing_is_moved_to_another_day(others: list[Row]) -> None:
    """There it could meet another row: the error names the row, whether all rows have some field or not."""
    rows: list[Row] = [*(("a", 0, DAY - 1, number, 1, None) for number in range(2)), *others]
    with pytest.raises(ConfigError, match="row 1: no nanosecond of its day is left") as caught:
        merged(rows, [9], "nudge")
    assert "--on-duplicate last" in caught.value.hint


def test_no_rows_at_all() -> None:
    """A batch without rows, and a stream without batches, change nothing."""
    merger = PointMerger(("a", "b"), "last", str)
    assert len(merger.add(pa.RecordBatch.from_pylist([], schema=COLUMNS))) == 0
    assert merger.finish() is None


@pytest.mark.parametrize("x", [1, None])
def test_rows_at_the_ends_of_time(x: int | None) -> None:
    """The first ones are moved as all others; behind the last nanosecond there is no room."""
    others: list[Row] = [("b", 0, TIME_MAX - 1, 7, None, "z")] if x is None else []
    rows: list[Row] = [("a", 0, TIME_MIN, number, x, "y") for number in range(3)]
    found, _ = merged([*rows, *others], [2, 3], "nudge")
    assert [row[2] for row in found[:3]] == [TIME_MIN, TIME_MIN + 1, TIME_MIN + 2]
    rows = [("a", 0, TIME_MAX, number, x, "y") for number in range(2)]
    with pytest.raises(ConfigError, match="row 1: no nanosecond of its day is left"):
        merged([("a", 0, 0, 7, None, "z"), *rows], [9], "nudge")


def test_sparse_rows_stay_together() -> None:
    """Rows that set different fields of one point are one, also where others are moved."""
    rows: list[Row] = [("a", 0, 5, 0, 1, None), ("a", 0, 5, 1, None, "y"), ("a", 0, 5, 2, 2, None)]
    found, merger = merged(rows, [9], "nudge")
    assert found == [("a", 0, 5, 1, "y"), ("a", 0, 6, 2, None)]
    assert merger.moved == 1
