"""Whether rows in time order are told to be distinct without a closer look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.dataset.manifest import Partition
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.loading import time_order
from loader.loading.time_order import distinct_in_time_order

SCHEMA = PointSchema("m", ("x", "y"), (Field("v", FieldType.INTEGER),), "t", "s")
SECOND = 1_000_000_000
WHOLE = Partition("p", 1, 0, 100 * SECOND, 1, "")
Row = tuple[str | None, str | None, int | None]


def batch(rows: Sequence[Row], *, dictionaries: bool = True) -> pa.RecordBatch:
    """Return ``rows`` with tags as dictionaries or as text."""
    x, y, t = ([row[column] for row in rows] for column in range(3))
    tags = [pa.array(each, pa.string()) for each in (x, y)]
    if dictionaries:
        tags = [tag.dictionary_encode() for tag in tags]
    return pa.record_batch([*tags, pa.array(t, pa.int64())], names=["x", "y", "t"])


def told(*parts: Sequence[Row], dictionaries: bool = True) -> bool:
    """Return what is told of batches."""
    return distinct_in_time_order((batch(part, dictionaries=dictionaries) for part in parts), SCHEMA, WHOLE)


rows = st.tuples(st.sampled_from([None, "", "a", "b"]), st.sampled_from([None, "", "c"]), st.integers(0, 3))


@settings(deadline=None)
@given(st.lists(st.lists(rows, max_size=6), max_size=4), st.booleans(), st.booleans(), st.sampled_from([1 << 62, 2, 9]))
@example([[("a", "c", 1)], [("a", "c", 1)]], True, False, 1 << 62)
@example([[("a", None, 1)], [], [("a", "", 1)]], True, False, 1 << 62)
@example([[("a", "c", 1), ("b", "c", 1)], [("a", "", 1)], [("b", "c", 1)]], True, False, 2)
def test_any_rows(parts: list[list[Row]], dictionaries: bool, ordered: bool, most: int) -> None:
    """It is what a look at each row says, however rows are parted into batches, and however large numbers get."""
    if ordered:
        every = iter(sorted((row for part in parts for row in part), key=lambda row: row[2] or 0))
        parts = [[row for row, _ in zip(every, part, strict=False)] for part in parts]
    flat = [(x or "", y or "", t) for part in parts for x, y, t in part]
    times = [t for _, _, t in flat]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_order, "_MOST_CODE", most)
        assert told(*parts, dictionaries=dictionaries) == (times == sorted(times) and len({*flat}) == len(flat))


@pytest.mark.parametrize("texts", [["a", "a"], ["a", None], [None, "b"]])
def test_dictionaries_that_are_none(texts: list[str | None]) -> None:
    """Two numbers of one text are one tag, and so are a null among the texts and a null among the rows."""
    numbers: list[int | None] = [0, 1] if None not in texts else [texts.index(None), None]
    x = pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(texts))
    part = pa.record_batch([x, pa.array(["c", "c"]), pa.array([1, 1], pa.int64())], names=["x", "y", "t"])
    assert not distinct_in_time_order([part], SCHEMA, WHOLE)
    later = part.set_column(2, "t", pa.array([1, 2], pa.int64()))
    assert distinct_in_time_order([later], SCHEMA, WHOLE)


def test_no_tags() -> None:
    """Rows of the one series differ by time alone."""
    schema = PointSchema("m", (), SCHEMA.fields, "t", "s")
    for times, distinct in (([1, 2, 3], True), ([1, 2, 2], False)):
        part = pa.record_batch([pa.array(times, pa.int64())], names=["t"])
        assert distinct_in_time_order([part], schema, WHOLE) == distinct


def test_what_takes_a_closer_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times that are missing or not those of the manifest, batches of other types, and too many rows of one time."""
    assert told([("a", "c", 1), ("b", "c", 1)], [("a", "c", 2)])
    assert not told([("a", "c", None)])
    assert not told([("a", "c", 101)])
    assert not told([("a", "c", -1)])
    mixed = [batch([("a", "c", 1)]), batch([("b", "c", 1)], dictionaries=False)]
    assert not distinct_in_time_order(mixed, SCHEMA, WHOLE)
    for limit, most in (("MOST_HELD", 1), ("MOST_HELD_BYTES", 40)):
        with monkeypatch.context() as patch:
            patch.setattr(time_order, limit, most)
            assert told([("a", "c", 1), ("b", "c", 2)])
            assert not told([("a", "c", 1), ("b", "c", 1)])


def test_texts_of_former_batches_are_released() -> None:
    """Memory is that of two batches, also where each has other tags than all before it."""
    held = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(20):
            yield batch([(f"{number:03}{row:01000}", "c", 100 * number // 20 + row // 100) for row in range(200)])
            held.append(pa.total_allocated_bytes())

    assert distinct_in_time_order(batches(), SCHEMA, replace(WHOLE, time_max=1_000 * SECOND))
    assert held[-1] - held[0] < 4 * 200 * 1_000
