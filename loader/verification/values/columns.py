"""Compares columns of values bit for bit, and finds the differences where they are not equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from loader.dataset.instant import DAY
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.columns import Column, Values, same_series
from loader.servers.base import PointsQuery
from loader.servers.frames import ANSWER_TYPES, LAST, day_of, tag_columns
from loader.verification.aggregates.frames import Aggregates, join_answers, key_columns
from loader.verification.differences import compare_points
from loader.verification.series import series_name, tag_values
from loader.verification.series_columns import form_tags
from loader.verification.settings import Difference
from loader.verification.values.differing import differing_series, values_equal
from loader.verification.windows import day_stop, days_of


def columns_equal(expected: Sequence[Column], found: Sequence[Column]) -> bool:
    """Tell whether every series, timestamp and value is the same; what fields share is compared once."""
    sides = without_empty_series(expected), without_empty_series(found)
    compared: set[tuple[int, int]] = set()
    for wanted, there in zip(*sides, strict=True):
        series, bounds, times = (
            (id(getattr(wanted, name)), id(getattr(there, name))) for name in ("series", "bounds", "times")
        )
        if series not in compared and not same_series(wanted.series, there.series):
            return False
        if bounds not in compared and not np.array_equal(wanted.bounds, there.bounds):
            return False
        if times not in compared and not np.array_equal(wanted.times, there.times):
            return False
        compared |= {series, bounds, times}
        if not values_equal(wanted.values, there.values):
            return False
    return True


def columns_differences(
    schema: PointSchema, expected: Sequence[Column], found: Sequence[Column]
) -> Iterator[Difference]:
    """Yield the differences by series and UTC day, in the words of ``compare_points``.

    Memory is bounded by the series, the names of those that differ, and the points of one of them.
    """
    sides = without_empty_series(expected), without_empty_series(found)
    differing = pl.concat(map(differing_series, *sides)).unique().sort()
    places = [[_places(column, differing) for column in side] for side in sides]
    for text in differing:
        wanted, there = (
            [_cut(column, place.get(text)) for column, place in zip(side, of_side, strict=True)]
            for side, of_side in zip(sides, places, strict=True)
        )
        yield from _series_differences(schema, text, _frame(schema, wanted), _frame(schema, there))


def day_counts(schema: PointSchema, columns: Sequence[Column]) -> Aggregates:
    """Return how many values of each field every (series, UTC day) has, in the form of answers to queries."""
    # Times that fields share are counted once.
    counted: dict[tuple[int, int, int], pl.DataFrame] = {}
    frames = []
    for number, column in enumerate(columns):
        shared = id(column.series), id(column.bounds), id(column.times)
        if shared not in counted:
            counted[shared] = _days(schema, column)
        field = pl.lit(number, pl.Int32).alias("field")
        frames.append(counted[shared].select(*key_columns(schema), field, "value"))
    return join_answers(schema, [("count", frame) for frame in frames])


def _days(schema: PointSchema, column: Column) -> pl.DataFrame:
    """Return how many points each (series, UTC day) has."""
    begins = np.zeros(len(column.times), np.bool_)
    _begin_days(column.times, column.bounds, begins)
    starts = np.flatnonzero(begins)
    owners = np.searchsorted(column.bounds, starts, "right") - 1
    counts = pl.DataFrame(
        {
            "day": pl.select(days_of(pl.lit(pl.Series(column.times[starts], dtype=pl.Int64)))).to_series(),
            "value": pl.Series(np.diff(np.append(starts, len(begins))), dtype=pl.Int64),
        }
    )
    names = tag_columns(len(schema.tags))
    if not names:
        return counts
    texts = form_tags(schema, column.series).select(pl.all().gather(owners))
    return pl.concat([texts, counts], how="horizontal")


@compiled
def _begin_days(times: Integers, bounds: Integers, begins: Mask) -> None:
    """Set ``begins``, which is false, where a UTC day or a series begins; times ascend in each series."""
    for series in range(len(bounds) - 1):
        last = LAST
        for position in range(bounds[series], bounds[series + 1]):
            if position == bounds[series] or times[position] > last:
                begins[position] = True
                # The last day ends after the last 64-bit time.
                last = LAST
                if times[position] <= LAST - DAY:
                    last = times[position] + (DAY - 1 - times[position] % DAY)


def series_frames(schema: PointSchema, columns: Sequence[Column]) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """Yield the schema's tags of each series and its points, as ``Dialect.parse_points`` returns them."""
    filled = without_empty_series(columns)
    series = pl.concat([column.series for column in filled]).unique().sort()
    places = [_places(column, series) for column in filled]
    for text in series:
        cuts = [_cut(column, place.get(text)) for column, place in zip(filled, places, strict=True)]
        yield tag_values(schema, text), _frame(schema, cuts)


def without_empty_series(columns: Sequence[Column]) -> list[Column]:
    """Return ``columns`` without the series that have no points; what they share stays shared."""
    kept: dict[tuple[int, int], tuple[pl.Series, Integers]] = {}
    for column in columns:
        shared = id(column.series), id(column.bounds)
        if shared not in kept:
            filled = np.diff(column.bounds) > 0
            kept[shared] = column.series, column.bounds
            if not filled.all():
                bounds = np.append(column.bounds[:-1][filled], column.bounds[-1])
                kept[shared] = column.series.filter(pl.Series(filled)), bounds
    parts = [kept[id(column.series), id(column.bounds)] for column in columns]
    return [
        replace(column, series=series, bounds=bounds) for column, (series, bounds) in zip(columns, parts, strict=True)
    ]


def _places(column: Column, series: pl.Series) -> Mapping[bytes, slice]:
    """Return where the points of each of ``series`` are that ``column`` has."""
    numbers = column.series.is_in(series.implode()).arg_true()
    starts, stops = (bounds[numbers.to_numpy()].tolist() for bounds in (column.bounds, column.bounds[1:]))
    return dict(zip(column.series.gather(numbers).to_list(), map(slice, starts, stops), strict=True))


def _cut(column: Column, place: slice | None) -> Column:
    """Return the points of one series."""
    span = place or slice(0, 0)
    values = (
        column.values[span]
        if isinstance(column.values, np.ndarray)
        else column.values.slice(span.start, span.stop - span.start)
    )
    return Column(column.series[:0], np.array([0, span.stop - span.start]), column.times[span], values)


def _frame(schema: PointSchema, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the points of one series as ``Dialect.parse_points`` does."""
    frame = pl.DataFrame({"time": np.unique(np.concatenate([column.times for column in columns]))})
    values = []
    for number, (field, column) in enumerate(zip(schema.fields, columns, strict=True)):
        typed = _typed(field, column.values)
        if len(typed) < frame.height:
            # Times that the field lacks take their value from the null appended after its values.
            places = np.full(frame.height, len(typed))
            places[np.searchsorted(frame["time"].to_numpy(), column.times)] = np.arange(len(typed))
            typed = typed.extend_constant(None, 1).gather(places)
        values.append(typed.alias(f"f{number}"))
    return frame.with_columns(values)


def _typed(field: Field, values: Values) -> pl.Series:
    """Return ``values`` in the type of ANSWER_TYPES."""
    if not isinstance(values, np.ndarray):
        return pl.Series(values)
    views: Mapping[FieldType, npt.DTypeLike] = {FieldType.FLOAT: np.float64, FieldType.INTEGER: np.int64}
    viewed: npt.NDArray[Any] = values.view(views.get(field.type, values.dtype))
    return pl.Series(viewed).cast(ANSWER_TYPES[field.type])


def _series_differences(
    schema: PointSchema, text: bytes, expected: pl.DataFrame, found: pl.DataFrame
) -> Iterator[Difference]:
    tags, name = tag_values(schema, text), series_name(schema, text)
    day = pl.col("time") // DAY
    for number in sorted({*expected.select(day).to_series(), *found.select(day).to_series()}):
        query = PointsQuery(schema, tags, day_of(number * DAY), day_stop(number * DAY))
        sides = [side.filter(day == number) for side in (expected, found)]
        for difference in compare_points(query, *sides):
            yield replace(difference, series=name)
