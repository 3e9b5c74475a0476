"""Which values a later row of the same identity replaces, in whatever order and partition the rows are."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset import reader, scratch
from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, StageError
from loader.events import Event, Notice, ignore
from loader.loading import identity_reader, known_rows, repetitions, series_order
from loader.loading.identities import look_at_identities

SCHEMA = PointSchema("m", ("tag",), (Field("v", FieldType.INTEGER), Field("f", FieldType.FLOAT)), "t", "ns")
Row = tuple[str | None, int | None, int | None, float | None]
"""Tag, time, and the two fields."""


def dataset(root: Path, *parts: Sequence[Row]) -> Manifest:
    """Write each of ``parts`` as a partition, its name its number; return their manifest."""
    partitions = []
    for number, rows in enumerate(parts):
        frame = pl.DataFrame(
            [[row[column] for row in rows] for column in range(4)],
            schema={"tag": pl.String, "t": pl.Int64, "v": pl.Int64, "f": pl.Float64},
        )
        # The order of partitions is that of the manifest, not of their names.
        path = root / f"{9 - number}.parquet"
        frame.write_parquet(path, row_group_size=3)
        times = [row[1] for row in rows if row[1] is not None] or [0]
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        partitions.append(Partition(path.name, len(rows), min(times), max(times), size, checksum))
    return Manifest((SCHEMA,), {}, {}, tuple(partitions), complete=True)


def found(root: Path, *parts: Sequence[Row]) -> list[list[tuple[bool, bool]]]:
    """Return of each row of each of ``parts`` which of its two values are superseded."""
    manifest = dataset(root, *parts)
    events: list[Event] = []
    result = look_at_identities(root, manifest, events.append)
    masks = [
        mask.tolist() if (mask := result.superseded(Chunk(partition.path, 0, partition.rows))) is not None else None
        for partition in manifest.partitions
    ]
    answer = [
        [(bool(pair[0]), bool(pair[1])) for pair in mask] if mask is not None else [(False, False)] * len(part)
        for mask, part in zip(masks, parts, strict=True)
    ]
    assert result.values_superseded == sum(sum(pair) for part in answer for pair in part)
    assert [type(event) for event in events] == ([Notice] if result.values_superseded else [])
    return answer


def slow(*parts: Sequence[Row]) -> list[list[tuple[bool, bool]]]:
    """Return what ``found`` should, the obvious way."""
    answer = [[[False, False] for _ in part] for part in parts]
    seen: dict[tuple[str, int, int], tuple[int, int]] = {}
    for number, part in enumerate(parts):
        for row, (tag, time, *values) in enumerate(part):
            if time is None or values == [None, None] or any(math.isnan(value or 0) for value in values):
                continue
            for field, value in enumerate(values):
                if value is not None:
                    identity = (tag or "", time, field)
                    if identity in seen:
                        part_before, row_before = seen[identity]
                        answer[part_before][row_before][field] = True
                    seen[identity] = (number, row)
    return [[(pair[0], pair[1]) for pair in part] for part in answer]


def whole(tag: str | None, time: int) -> Row:
    """Return a row with both fields."""
    return (tag, time, 1, 0.5)


@pytest.fixture(params=[(1_000_000, 384 << 20), (1, 384 << 20), (1, 100)])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at all rows at a time, at a row group, or sort about two rows at a time."""
    joined, most = request.param
    monkeypatch.setattr(reader, "JOINED_ROWS", joined)
    monkeypatch.setattr(identity_reader, "MOST_BYTES", most)


A, B, C = (lambda time, tag=tag: whole(tag, time) for tag in "abc")


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize(
    "parts",
    [
        [],
        [[]],
        [[A(1)]],
        # in series order, over several row groups
        [[A(1), A(2), B(1), B(2), B(3), C(1)], [A(4), B(4)]],
        # in time order
        [[A(1), B(1), A(2), B(2), A(3), B(3), A(4)]],
        # a series' times descend
        [[A(3), A(2), A(1)]],
        # partitions that overlap
        [[A(1), A(5)], [A(2), B(5)], [], [A(9)]],
        # many series at one moment, not in their order
        [[A(7), B(7), C(7)], [whole("d", 7), whole("e", 7), whole("", 7)]],
        # null and empty are one series
        [[whole(None, 1), whole("", 2), whole(None, 3)]],
        # sparse rows of one identity
        [[("a", 1, 1, None), ("a", 1, None, 0.5), ("a", 2, 1, None)]],
        # what cannot be a point replaces nothing
        [[A(1), ("a", 1, 2, math.nan), ("a", 1, None, None), ("a", None, 3, 0.5)]],
    ],
)
def test_nothing_is_superseded(tmp_path: Path, parts: list[list[Row]]) -> None:
    """Rows whose identities or fields are distinct keep all their values, in every order."""
    assert found(tmp_path, *parts) == [[(False, False)] * len(part) for part in parts]


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize(
    ("parts", "places"),
    [
        ([[A(1), A(1)]], [(0, 0)]),
        ([[A(1), B(1), B(2), C(1), B(1)]], [(0, 1)]),
        # a series that comes back two row groups later
        ([[A(1), B(1), B(2), B(3), C(1), C(2), A(1)]], [(0, 0)]),
        ([[A(1), A(2), A(3), A(4), A(1)]], [(0, 0)]),
        ([[A(1), B(3)], [B(3), C(4)]], [(0, 1)]),
        ([[A(1), A(9)], [B(2)], [B(2)]], [(1, 0)]),
        ([[A(1), whole(None, 3), whole("", 3)]], [(0, 1)]),
        ([[A(7), B(7), C(7), B(7)]], [(0, 1)]),
        ([[A(7)] * 9, [A(7)] * 2], [*((0, row) for row in range(9)), (1, 0)]),
    ],
)
def test_the_last_row_of_an_identity_stays(
    tmp_path: Path, parts: list[list[Row]], places: list[tuple[int, int]]
) -> None:
    """All rows but the last one of an identity are superseded, and no others."""
    expected = [[((number, row) in places,) * 2 for row in range(len(part))] for number, part in enumerate(parts)]
    assert found(tmp_path, *parts) == expected


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize(
    "parts",
    [[[A(1), B(1), A(2), C(2), A(1)]], [[B(1), A(1), C(1)], [A(1)]], [[A(3), B(3), A(2)]], [[A(7), B(7)] * 20]],
)
def test_keys_that_are_equal_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[list[Row]]) -> None:
    """Rows of different series whose keys are the same are no duplicates, however many there are."""
    monkeypatch.setattr(repetitions, "_ODD", 0)
    assert found(tmp_path, *parts) == slow(*parts)


def test_values_that_are_found_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition may have superseded rows in several of the slices that are sorted."""
    monkeypatch.setattr(identity_reader, "MOST_BYTES", 100)
    rows = [A(1), A(1), A(1_000), A(1_000), A(2_000), A(2_000)]
    assert found(tmp_path, rows) == [[(True, True), (False, False)] * 3]


@pytest.mark.usefixtures("sizes")
def test_the_last_value_of_a_field_stays(tmp_path: Path) -> None:
    """Of sparse rows of one identity, each field has its last value."""
    rows: list[Row] = [("a", 1, 1, 0.5), ("a", 1, 2, None), ("a", 1, None, 1.5), ("a", 1, 3, None)]
    assert found(tmp_path, rows) == [[(True, True), (True, False), (False, False), (False, False)]]


values = st.none() | st.integers(0, 3)
any_rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.none() | st.integers(-4, 4),
        values,
        st.none() | st.sampled_from([0.5, math.nan]),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(any_rows, max_size=4))
def test_any_rows(tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]]) -> None:
    """The values that are superseded are those that the obvious way finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity_reader, "MOST_BYTES", 200)
        assert found(tmp_path_factory.mktemp("rows"), *parts) == slow(*parts)


def test_a_part_of_a_partition(tmp_path: Path) -> None:
    """The mask of a chunk is that of its rows, wherever it begins."""
    manifest = dataset(tmp_path, [A(time // 2) for time in range(40)])
    result = look_at_identities(tmp_path, manifest, ignore)
    for start, stop in ((0, 40), (7, 8), (8, 24), (3, 29)):
        mask = result.superseded(Chunk("9.parquet", start, stop))
        assert mask is not None
        assert mask.tolist() == [[row % 2 == 0] * 2 for row in range(start, stop)]
    assert (result.rows_superseded, result.values_superseded) == (20, 40)


def test_a_dataset_that_is_distinct_is_not_read(tmp_path: Path) -> None:
    """What staging has made sure of is not looked at again: not even files that are gone are missed."""
    manifest = dataset(tmp_path, [A(1), A(1)])
    (tmp_path / "9.parquet").unlink()
    assert look_at_identities(tmp_path, replace(manifest, distinct=True), ignore).values_superseded == 0
    with pytest.raises(StageError):
        look_at_identities(tmp_path, manifest, ignore)


def test_a_stop_ends_the_search(tmp_path: Path) -> None:
    """A search that is to stop reads nothing more."""
    stop = threading.Event()
    stop.set()
    for parts in ([A(1), A(1)],), ([A(1)], [A(1)]):
        assert look_at_identities(tmp_path, dataset(tmp_path, *parts), ignore, stop).values_superseded == 0


def test_times_that_the_manifest_does_not_say(tmp_path: Path) -> None:
    """Partitions are parted by the times of the manifest, so a row outside of them is an error that names it."""
    manifest = dataset(tmp_path, [A(1), A(5)], [B(9)])
    first, second = manifest.partitions
    with pytest.raises(StageError, match=r"9\.parquet, row 1: the time 5 is not among .* 1 to 3"):
        look_at_identities(tmp_path, replace(manifest, partitions=(replace(first, time_max=3), second)), ignore)


def test_no_room_for_a_bit_of_each_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room is named before anything is loaded."""

    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch.os, "posix_fallocate", full)
    with pytest.raises(ConfigError, match="No space left") as caught:
        look_at_identities(tmp_path, dataset(tmp_path, [A(1), A(1)]), ignore)
    assert "TMPDIR" in caught.value.hint


@pytest.mark.parametrize("time", [1, 0])
def test_a_series_that_goes_on_in_another_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: int) -> None:
    """Its first time there is compared with the last one before."""
    monkeypatch.setattr(reader, "JOINED_ROWS", 1)
    monkeypatch.setattr(reader, "GROUP_ROWS", 1)
    rows = [A(1), A(time), B(1)]
    assert found(tmp_path, rows) == [[(time == 1,) * 2, (False,) * 2, (False,) * 2]]


def test_orders_that_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of partitions in order, of which all rows were seen, as far as there is room."""
    monkeypatch.setattr(series_order, "_RUN_ROWS", 0)
    manifest = dataset(tmp_path, [A(1), A(2), B(1)], [A(6), A(5)], [A(9)])
    first, mixed, last = manifest.partitions
    known = look_at_identities(tmp_path, manifest, ignore)
    order = known.order(first)
    assert order is not None
    assert (order.rows, order.starts, known.order(mixed)) == (3, {(b"a",): 0, (b"b",): 2}, None)
    assert known.order(last) is not None
    known.add_order(mixed, order)
    assert known.order(mixed) is None, "it is one of three rows"
    monkeypatch.setattr(known_rows, "MOST_ORDER_BYTES", order.size)
    known = look_at_identities(tmp_path, manifest, ignore)
    assert (known.order(first) is None, known.order(last)) == (False, None)
