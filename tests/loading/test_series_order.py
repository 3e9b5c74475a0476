"""Whether rows are told to lie in series order without a closer look at them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.dataset.manifest import Partition
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.loading import series_order
from loader.loading.series_order import SeriesOrder, find_series_order

SCHEMA = PointSchema("m", ("x", "y"), (Field("v", FieldType.INTEGER),), "t", "s")
SECOND = 1_000_000_000
WHOLE = Partition("p", 1, 0, 100 * SECOND, 1, "")
Row = tuple[str, str, int]


def batch(rows: Sequence[Row], kind: pa.DataType | None = None) -> pa.RecordBatch:
    """Return ``rows`` with tags as dictionaries, and times as integers or as ``kind``."""
    x, y, t = ([row[column] for row in rows] for column in range(3))
    columns = [pa.array(x, pa.string()).dictionary_encode(), pa.array(y, pa.string()).dictionary_encode()]
    return pa.record_batch([*columns, pa.array(t, pa.int64()).cast(kind or pa.int64())], names=["x", "y", "t"])


def in_order(rows: Sequence[Row]) -> bool:
    """Tell the same, row by row."""
    series = [name for name, _ in groupby(row[:2] for row in rows)]
    ascends = all(former[2] < later[2] for former, later in pairwise(rows) if former[:2] == later[:2])
    return ascends and len(set(series)) == len(series)


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "c"]), st.integers(0, 9)), max_size=6)),
    st.booleans(),
)
@example([[("a", "", 1)], [("a", "", 1)]], False)
@example([[("a", "", 1)], [], [("a", "", 2), ("b", "", 0)], [("a", "", 3)]], False)
def test_any_rows(parts: list[list[Row]], ordered: bool) -> None:
    """It is what a look at each row says, however rows are parted into batches."""
    if ordered:
        rows = iter(sorted({row for part in parts for row in part}))
        parts = [[row for row, _ in zip(rows, part, strict=False)] for part in parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_order, "_RUN_ROWS", 0)
        found = find_series_order(map(batch, parts), SCHEMA, WHOLE)
    assert isinstance(found, SeriesOrder) == in_order([row for part in parts for row in part])


def test_a_dictionary_with_a_text_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two numbers of one text are one series."""
    monkeypatch.setattr(series_order, "_RUN_ROWS", 0)
    texts = pa.array(["a", "a"])
    for times, expected in (([1, 2], True), ([2, 2], False)):
        x = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), texts)
        y = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), texts)
        rows = pa.record_batch([x, y, pa.array(times)], names=["x", "y", "t"])
        assert isinstance(find_series_order([rows], SCHEMA, WHOLE), SeriesOrder) is expected


def test_text_that_is_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such rows have an order, but are no points: a load takes a closer look at them."""
    monkeypatch.setattr(series_order, "_RUN_ROWS", 0)
    texts = pa.array([b"a", b"\xff"]).view(pa.string())
    x = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), texts)
    for size, fits in ((1, True), (2, False)):
        rows = pa.record_batch([x, x, pa.array([1, 1])], names=["x", "y", "t"]).slice(0, size)
        order = find_series_order([rows], SCHEMA, WHOLE)
        assert isinstance(order, SeriesOrder)
        assert [*order.starts.values()] == [0, 1][:size]
        assert (order.runs(SCHEMA) is not None) is fits


def test_an_order_that_is_not_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many series, or long names, only that they lie in order is told."""
    rows = batch([("a", "b", 1), ("c", "d", 1)])
    monkeypatch.setattr(series_order, "_RUN_ROWS", 0)
    order = find_series_order([rows], SCHEMA, WHOLE)
    assert isinstance(order, SeriesOrder)
    monkeypatch.setattr(series_order, "MOST_SIZE", order.size - 1)
    assert find_series_order([rows], SCHEMA, WHOLE) is True


def test_no_tags() -> None:
    """Without tags all rows are one series."""
    schema = PointSchema("m", (), SCHEMA.fields, "t", "s")
    assert find_series_order([batch([("", "", 1)]), batch([("", "", 2)])], schema, WHOLE)
    assert find_series_order([batch([("", "", 1)]), batch([("", "", 1)])], schema, WHOLE) is False


ODD = {
    "no dictionary": pa.record_batch({"x": ["a"], "y": ["b"], "t": [1]}),
    "a null": batch([("a", None, 1)]),  # type: ignore[list-item]
    "no time": batch([("a", "b", None)]),  # type: ignore[list-item]
    "early": batch([("a", "b", -1)]),
    "late": batch([("a", "b", 101)]),
    "beyond all times": batch([("a", "b", 2**62)]),
    "short runs": batch([(str(number), "", 1) for number in range(100)]),
    "in another unit": batch([("a", "b", 101_000)], pa.timestamp("ms")),
}


@pytest.mark.parametrize("what", ODD)
def test_what_takes_a_closer_look(what: str) -> None:
    """Nothing is told of it."""
    assert find_series_order([ODD[what]], SCHEMA, WHOLE) is None
