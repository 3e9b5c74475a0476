"""Columns of values against each other."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.tsm.decode.columns import Column
from loader.verification.series_columns import stored_forms
from loader.verification.values.columns import columns_differences, columns_equal, day_counts

DAY = 86_400_000_000_000
SCHEMA = PointSchema("m", ("a",), (Field("f", FieldType.FLOAT), Field("text", FieldType.STRING)), "time")
Points = dict[bytes, list[tuple[int, float, bytes]]]


def columns(points: Points) -> list[Column]:
    """Return the columns of SCHEMA for points (time, f, text) by series."""
    bounds = np.cumsum([0, *(len(rows) for rows in points.values())])
    rows = [row for rows in points.values() for row in rows]
    times = np.array([row[0] for row in rows], np.int64)
    floats = np.array([row[1] for row in rows], np.float64).view(np.uint64)
    texts = pa.array([row[2] for row in rows], pa.large_binary())
    forms = stored_forms(pl.Series(list(points), dtype=pl.Binary))
    return [Column(forms, bounds, times, values) for values in (floats, texts)]


GOOD: Points = {b"m": [(1, 0.0, b"x")], b"m,a=b": [(1, 1.5, b""), (2, 2.5, b"y"), (DAY, 0.1, b"z")]}


def test_equal_columns() -> None:
    """Equal columns are equal, also where one knows series without points."""
    assert columns_equal(columns(GOOD), columns(GOOD))
    assert columns_equal(columns({b"m,a=a": [], **GOOD}), columns({**GOOD, b"m,c=d": []}))


@pytest.mark.parametrize(
    "other",
    [
        {b"m": GOOD[b"m"], b"m,a=c": GOOD[b"m,a=b"]},
        {b"m": [*GOOD[b"m"], (2, 2.5, b"y")], b"m,a=b": [(1, 1.5, b""), (DAY, 0.1, b"z")]},
        {b"m": GOOD[b"m"]},
    ],
)
def test_other_series(other: Points) -> None:
    """Points of other series are not equal, nor those that are divided among the same series in another way."""
    assert not columns_equal(columns(GOOD), columns(other))
    there = columns(GOOD)[0]
    apart = Column(there.series, np.array([0, 2, 4]), there.times, there.values)
    assert not columns_equal([there], [apart])


@pytest.mark.parametrize(
    ("series", "row", "point", "difference"),
    [
        (b"m", 0, (1, -0.0, b"x"), ("different", "1970-01-01", "a=", "f")),
        (b"m,a=b", 0, (1, struct.unpack("<d", struct.pack("<Q", 1))[0], b""), ("different", "1970-01-01", "a=b", "f")),
        (b"m,a=b", 2, (DAY, 0.1, b"Z"), ("different", "1970-01-02", "a=b", "text")),
        (b"m,a=b", 0, (1, 1.5, b"\xff"), ("different", "1970-01-01", "a=b", "text")),
        (b"m,a=b", 1, (3, 2.5, b"y"), ("missing", "1970-01-01", "a=b", "")),
    ],
)
def test_one_difference(series: bytes, row: int, point: Any, difference: tuple[str, ...]) -> None:
    """Any other bit or time makes columns differ, and is named by day, series and field."""
    changed = {**GOOD, series: [point if at == row else old for at, old in enumerate(GOOD[series])]}
    assert not columns_equal(columns(GOOD), columns(changed))
    found = next(columns_differences(SCHEMA, columns(GOOD), columns(changed)))
    assert (found.kind, found.day, found.series, found.field) == difference


def test_bytes_that_no_text_has() -> None:
    """Bytes that would be shown like the text that is expected are a difference all the same."""
    sides = [columns({b"m": [(DAY, 1.0, text)]}) for text in (b"\\xff", b"\xff")]
    (difference,) = columns_differences(SCHEMA, *sides)
    assert (difference.kind, difference.day, difference.series) == ("different", "1970-01-02", "a=")
    assert difference.field == "text"


def test_two_texts_of_one_series() -> None:
    """Two stored texts of the same tags stay apart, so that neither hides the other."""
    first, second = stored_forms(pl.Series([b"m,a=b", b"m,a\\=b", b"m,a=b,c="])), stored_forms(pl.Series([b"m,a=b"]))
    assert len(set(first)) == 3
    assert set(second) < set(first)


def test_counts_by_day() -> None:
    """Values are counted by series and day, field by field."""
    first, second = columns(GOOD)
    fewer = Column(second.series[1:], np.array([0, 1]), second.times[-1:], second.values[-1:])
    counts = day_counts(SCHEMA, [first, fewer])
    assert counts[FieldType.FLOAT].sort("t0", "day").select("t0", "day", "field", "count").rows() == [
        ("", 0, 0, 1),
        ("b", 0, 0, 2),
        ("b", DAY, 0, 1),
    ]
    assert counts[FieldType.STRING].select("t0", "day", "field", "count").rows() == [("b", DAY, 1, 1)]


def test_every_day_is_counted_by_itself() -> None:
    """Days before 1970, and the first and the last that are stored, begin where they do."""
    first, last = -(2**63) + 2, 2**63 - 3
    times = [first, first + 1, -2 * DAY, -DAY - 1, -DAY, -1, 0, DAY - 1, DAY, last - DAY, last - 1, last]
    counts = day_counts(SCHEMA, columns({b"m": [(time, 0.0, b"") for time in times]}))[FieldType.FLOAT].sort("day")
    assert counts["day"].to_list() == sorted({max(time // DAY * DAY, first) for time in times})
    assert counts["count"].to_list() == [2, 2, 2, 2, 1, 1, 2]
