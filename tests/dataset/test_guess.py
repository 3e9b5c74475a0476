"""The guess which column is what: each part has a reason, and what is guessed can be loaded."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.adopt import make_manifest
from loader.dataset.guess import LEFT_OUT, Seen, guess_columns, guess_keys, guess_mapping
from loader.dataset.inspection import inspect
from loader.dataset.place import find_place
from loader.encoding.escaping import check_names
from loader.events import ignore

ROWS = 40
NOW = 1_704_067_200
UTC = pa.timestamp("s", "UTC")
NAIVE = pa.timestamp("us")


def column(name: str, values: Any, **more: Any) -> Seen:
    """Return a column whose values are all in the sample."""
    array = pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)])
    return Seen(pa.field(name, array.type), 0, array, **more)


def times(kind: pa.DataType = UTC, unit: int = 1) -> pa.Array:
    """Return a time of 2024 for each row."""
    return pa.array([(NOW + row) * unit for row in range(ROWS)], pa.int64()).cast(kind)


def guess(*seen: Seen) -> dict[str, tuple[str, str]]:
    """Return role and reason of each column."""
    return {found.name: (found.role, found.reason) for found in guess_columns(seen, ROWS)}


FEW, MANY = ["x", "y"] * 20, [f"text {row}" for row in range(ROWS)]


@pytest.mark.parametrize(
    ("name", "values", "role", "reason"),
    [
        ("host", FEW, "tag", "it has few values (2 in 40 rows; few is a tenth or less)"),
        ("host", ["x", "y", "z", None] * 10, "tag", "it has few values (4 in 40 rows; "),
        ("host", ["x", "y", "z", "w", None] * 8, "field string", "it has many values (5 in 40 rows; few is a tenth"),
        ("host", pa.array(FEW).dictionary_encode(), "tag", "it has few values"),
        ("level", pa.array([1, 2] * 20).dictionary_encode(), "tag", "it has few values"),
        ("ratio", pa.array([0.5, 1.5] * 20).dictionary_encode(), "field float", "it is what is measured"),
        ("text", MANY, "field string", "it has many values (40 in 40 rows; "),
        ("text", pa.nulls(ROWS, pa.string()), "field string", "the sample has no value of it"),
        ("site", ["x"] * ROWS, "tag", "it has few values (1 in 40 rows; "),
        ("ok", [True, False] * 20, "field boolean", "it is what is measured"),
        ("ok", [True] * ROWS, "field boolean", "it is what is measured"),
        ("ok", pa.array([True, False] * 20).dictionary_encode(), "field boolean", "it is what is measured"),
        ("station_id", [7] * ROWS, "field integer", "it is a number that is the same in all rows"),
        ("level", pa.array([7] * ROWS).dictionary_encode(), "field integer", "it is a number that is the same"),
        ("VendorID", [1, 2] * 20, "tag", "it has few values"),
        ("trip_id", list(range(ROWS)), "field integer", "it has many values"),
        ("bid", [1, 2] * 20, "field integer", "it is what is measured"),
        ("passengers", [1, 2] * 20, "field integer", "it is what is measured"),
        ("fare", [0.5] * ROWS, "field float", "it is what is measured"),
        ("nothing", pa.nulls(ROWS), LEFT_OUT, "it has no value"),
        ("parts", [[1]] * ROWS, LEFT_OUT, "it is nested: take it apart first"),
        ("raw", [b"x"] * ROWS, LEFT_OUT, "binary has no form in a field"),
        ("key", pa.array([b"x" * 16] * ROWS, pa.uuid()), LEFT_OUT, "extension<arrow.uuid> has no form in a field"),
        ("__index_level_0__", [1] * ROWS, LEFT_OUT, "it is the index of pandas"),
        *((name, [1] * ROWS, LEFT_OUT, "points keep this name for themselves") for name in ("time", "_field")),
        *((name, [1] * ROWS, LEFT_OUT, "its name cannot be that of") for name in ("", "a=b", "a\nb", "a\\", "\tx")),
    ],
)
def test_the_part_of_a_column(name: str, values: Any, role: str, reason: str) -> None:
    """Text and codes of few values are tags, constant numbers and booleans are not; what has no form is left out."""
    found = guess(column("when", times()), column(name, values))[name]
    assert found[0] == role
    assert found[1].startswith(reason)


def test_columns_of_one_name() -> None:
    """They cannot be told apart, so none of them plays a part, not even that of the time."""
    twice = [Seen(pa.field("t", UTC), None, None, repeated=True) for _ in range(2)]
    found = guess_columns([*twice, column("x", [1.5] * ROWS)], ROWS)
    assert [each.role for each in found] == [LEFT_OUT, LEFT_OUT, "field float"]
    assert "more than one column" in found[0].reason
    assert guess_mapping("m", found, [*twice]) is None


def test_a_column_that_the_sample_lacks() -> None:
    """It is a field, whose values nobody has counted; it is no time."""
    later = Seen(pa.field("host", pa.string()), 3, None, everywhere=False)
    found = guess_columns([Seen(pa.field("t", UTC), 0, None), later], ROWS)
    assert [(each.role, each.distinct) for each in found] == [("field integer", None), ("field string", None)]


STAMPED = column("pickup", times(NAIVE, 1_000_000))
NAMED = column("Timestamp", times())
WHOLE = column("created_at", times(pa.int64(), 1_000))
DAYS = column("day", [date(2024, 1, 1)] * ROWS)


@pytest.mark.parametrize(
    ("seen", "time", "unit", "reason"),
    [
        ([WHOLE, DAYS, STAMPED, NAMED], "Timestamp", "", "it has timestamps, and the name of a time"),
        ([WHOLE, DAYS, STAMPED], "pickup", "", "it is the first column of timestamps; it has no zone: is it UTC?"),
        ([DAYS, WHOLE], "created_at", "ms", "its name is that of a time, and its values are times of this century in"),
        ([column("time_ns", times(pa.int64(), 10**9))], "time_ns", "ns", "its name is that of a time"),
        ([column("ts", pa.array([None, NOW * 10**6]))], "ts", "us", "its name is that of a time"),
        ([column("epoch", times(pa.int64()))], "epoch", "s", "its name is that of a time"),
        ([column("updatedAt", times(pa.int64()))], "updatedAt", "s", "its name is that of a time"),
        ([DAYS], "day", "", "it is the first column of dates, and none has times"),
        ([column("empty", pa.nulls(ROWS, UTC)), DAYS], "day", "", "it is the first column of dates"),
        ([column("some", times(), everywhere=False), DAYS], "day", "", "it is the first column of dates"),
        ([column("counts", times(pa.int64()))], None, "", ""),
        ([column("epoch", [7] * ROWS)], None, "", ""),
        ([column("epoch", [7, NOW])], None, "", ""),
        ([column("epoch", pa.nulls(ROWS, pa.int64()))], None, "", ""),
    ],
)
def test_the_time(seen: list[Seen], time: str | None, unit: str, reason: str) -> None:
    """Timestamps come first, then integers called like times that are of this century in one unit, then dates."""
    found = guess_columns([*seen, column("x", [1.5] * ROWS)], ROWS)
    mapping = guess_mapping("m", found, [*seen, column("x", [1.5] * ROWS)])
    assert (mapping and mapping.time) == time
    assert (mapping.time_unit if mapping else "") == unit
    assert [each.reason.startswith(reason) for each in found if each.role == "time"] == [True] * bool(time)


@pytest.mark.parametrize(
    ("kinds", "timezone", "remarks"),
    [((UTC, UTC), "", 0), ((NAIVE, NAIVE), "UTC", 1), ((NAIVE, UTC), "UTC", 1), ((UTC, NAIVE), "UTC", 1)],
)
def test_timestamps_without_a_zone(kinds: tuple[pa.DataType, pa.DataType], timezone: str, remarks: int) -> None:
    """They are taken for UTC, which is said once, whether time or field."""
    seen = [column("begin", times(kinds[0])), column("end", times(kinds[1]))]
    found = guess_columns(seen, ROWS)
    mapping = guess_mapping("m", found, seen)
    assert mapping is not None
    assert mapping.policy.timezone == timezone
    assert sum("is it UTC?" in each.reason for each in found) == remarks


@pytest.mark.parametrize(
    ("name", "measurement"),
    [("trips", "trips"), ("yellow-trips 2024", "yellow_trips_2024"), ("", "points"), ("*", "points")],
)
def test_the_measurement(name: str, measurement: str) -> None:
    """It has letters, digits and underscores."""
    seen = [column("t", times()), column("x", [1.5] * ROWS)]
    mapping = guess_mapping(name, guess_columns(seen, ROWS), seen)
    assert mapping is not None
    assert mapping.measurement == measurement


def test_keys_of_paths() -> None:
    """Those that all paths have, and no column has, are tags, but for a calendar's and reserved names."""
    paths: list[dict[str, str | None]] = [
        {"zone": "a", "Day": "1", "x": "1", "time": "1", "part": "1"},
        {"zone": None, "Day": "2", "x": "1", "time": "1"},
    ]
    found = list(guess_keys(paths, [3, 4], ["x"]))
    assert [(each.name, each.role, each.nulls, each.distinct) for each in found] == [
        ("zone", "tag", 4, 2),
        ("Day", LEFT_OUT, 0, 2),
        ("time", LEFT_OUT, 0, 1),
    ]
    assert "repeats the time" in found[1].reason
    assert "keep this name" in found[2].reason


ANY_NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
VALUES: tuple[Any, ...] = (
    *(times(), times(NAIVE), times(pa.int64()), FEW, MANY, [1, 2] * 20, [0.5] * ROWS, [True] * ROWS),
    *(pa.nulls(ROWS), [[1]] * ROWS, [{"a\nb": 1}] * ROWS, [b"x"] * ROWS, pa.array(FEW).dictionary_encode()),
    *([date(2024, 1, 1)] * ROWS, pa.array(FEW, pa.string_view()), pa.array([1] * ROWS, pa.duration("s"))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ANY_NAME | st.sampled_from(["time", "ts", "_field", "a"]), st.sampled_from(VALUES))))
def test_what_is_guessed_can_be_loaded(
    tmp_path_factory: pytest.TempPathFactory, columns: list[tuple[str, Any]]
) -> None:
    """Whatever columns a file has, their guess is taken, and each name in it has a form."""
    path = tmp_path_factory.mktemp("any") / "any.parquet"
    names = [name for name, _ in columns]
    arrays = [pa.array(values) for values in (*(values for _, values in columns), [0.5] * ROWS)]
    pq.write_table(pa.Table.from_arrays(arrays, [*names, "y"]), path)
    found = inspect(path)
    assert [each.name for each in found.columns] == [*names, "y"]
    assert bool(found.mapping) == (not found.problem)
    if found.mapping:
        manifest = make_manifest(find_place(path), found.mapping, ignore)
        check_names(manifest.schema)
