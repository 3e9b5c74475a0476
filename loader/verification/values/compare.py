"""Differences between columns of values: nothing is looked at twice where all bits are equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import DTYPES
from loader.encoding.series_text import series_tags
from loader.encoding.tsm.decode.columns import Column, Values
from loader.servers.base import PointsQuery
from loader.servers.frames import instant
from loader.verification.compare import compare_points
from loader.verification.expected import column as label
from loader.verification.found import joined
from loader.verification.plan import DAY
from loader.verification.settings import Difference


def columns_equal(expected: Sequence[Column], found: Sequence[Column]) -> bool:
    """Tell whether every series, timestamp and value is the same; times that fields share are compared once."""
    compared: set[tuple[int, int]] = set()
    for wanted, there in zip(map(populated, expected), map(populated, found), strict=True):
        if wanted.series != there.series or not np.array_equal(wanted.bounds, there.bounds):
            return False
        pair = id(wanted.times), id(there.times)
        if pair not in compared and not np.array_equal(wanted.times, there.times):
            return False
        compared.add(pair)
        if not values_equal(wanted.values, there.values):
            return False
    return True


def columns_differences(
    schema: PointSchema, expected: Sequence[Column], found: Sequence[Column]
) -> Iterator[Difference]:
    """Yield the differences by series and UTC day, in the words of ``compare_points``.

    Memory is bounded by the points of one series.
    """
    sides = [[_places(column) for column in side] for side in (expected, found)]
    for text in sorted(set[bytes]().union(*(places for side in sides for places in side))):
        wanted = [_cut(column, places.get(text)) for column, places in zip(expected, sides[0], strict=True)]
        there = [_cut(column, places.get(text)) for column, places in zip(found, sides[1], strict=True)]
        if not columns_equal(wanted, there):
            differences = list(_series_differences(schema, text, _frame(schema, wanted), _frame(schema, there)))
            yield from differences or [_odd_text(schema, text, wanted)]


def day_counts(schema: PointSchema, columns: Sequence[Column]) -> pl.DataFrame:
    """Return how many values of each field every (series, UTC day) has, as answers to queries say it."""
    frames = [
        _days(schema, named).rename({"value": label(field, "count")})
        for field, named in zip(schema.fields, columns, strict=True)
    ]
    return joined(schema, frames)


def _days(schema: PointSchema, column: Column) -> pl.DataFrame:
    days = column.times // DAY
    begins = np.ones(len(days), np.bool_)
    begins[1:] = days[1:] != days[:-1]
    begins[column.bounds[:-1][np.diff(column.bounds) > 0]] = True
    starts = np.flatnonzero(begins)
    owners = np.searchsorted(column.bounds, starts, "right") - 1
    tags = [series_name(schema, text)[0] for text in column.series]
    texts: pl.DataFrame = pl.DataFrame(tags, schema=dict.fromkeys(schema.tags, pl.String), orient="row")[
        owners.tolist()
    ]
    return texts.with_columns(
        pl.Series("day", days[starts] * DAY, pl.Int64),
        pl.Series("value", np.diff(np.append(starts, len(days))), pl.Int64),
    )


def series_frames(schema: PointSchema, columns: Sequence[Column]) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """Yield the schema's tags of each series and its points, as ``Dialect.parse_points`` returns them."""
    places = [_places(column) for column in columns]
    for text in sorted(set[bytes]().union(*places)):
        cuts = [_cut(column, place.get(text)) for column, place in zip(columns, places, strict=True)]
        yield series_name(schema, text)[0], _frame(schema, cuts)


def populated(column: Column) -> Column:
    """Return ``column`` without the series that have no points."""
    filled = np.flatnonzero(np.diff(column.bounds))
    if len(filled) == len(column.series):
        return column
    bounds = np.append(column.bounds[filled], column.bounds[-1])
    return replace(column, series=[column.series[number] for number in filled.tolist()], bounds=bounds)


def values_equal(left: Values, right: Values) -> bool:
    """Tell whether all values have the same bits."""
    return bool(np.array_equal(left, right) if isinstance(left, np.ndarray) else left.equals(right))


def series_name(schema: PointSchema, text: bytes) -> tuple[tuple[str, ...], str]:
    """Return the values of the schema's tags and the name of a series, which has all tags that it has."""
    tags = series_tags(text.decode(errors="backslashreplace"))
    named = {**dict.fromkeys(schema.tags, ""), **tags}
    return tuple(named[tag] for tag in schema.tags), ",".join(f"{tag}={value}" for tag, value in named.items())


def _places(column: Column) -> Mapping[bytes, slice]:
    """Return where the points of each series are; those without points have no place."""
    spans = (slice(start, stop) for start, stop in pairwise(column.bounds.tolist()))
    return {text: span for text, span in zip(column.series, spans, strict=True) if span.start < span.stop}


def _cut(column: Column, place: slice | None) -> Column:
    """Return the points of one series."""
    span = place or slice(0, 0)
    values = (
        column.values[span]
        if isinstance(column.values, np.ndarray)
        else column.values.slice(span.start, span.stop - span.start)
    )
    return Column([b""], np.array([0, span.stop - span.start]), column.times[span], values)


def _frame(schema: PointSchema, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the points of one series as ``Dialect.parse_points`` does."""
    frame = pl.DataFrame({"time": np.empty(0, np.int64)})
    for field, column in zip(schema.fields, columns, strict=True):
        other = pl.DataFrame({"time": column.times, field.column: _typed(field, column.values)})
        frame = frame.join(other, on="time", how="full", coalesce=True)
    return frame.sort("time")


def _typed(field: Field, values: Values) -> pl.Series:
    """Return values in the type of answers; of text that is not UTF-8, the odd bytes as escapes."""
    if not isinstance(values, np.ndarray):
        texts = [text.decode(errors="backslashreplace") for text in values.to_pylist()]
        return pl.Series(texts, dtype=pl.String)
    views: Mapping[FieldType, npt.DTypeLike] = {FieldType.FLOAT: np.float64, FieldType.INTEGER: np.int64}
    viewed: npt.NDArray[Any] = values.view(views.get(field.type, values.dtype))
    return pl.Series(viewed).cast(DTYPES[field.type])


def _odd_text(schema: PointSchema, text: bytes, expected: Sequence[Column]) -> Difference:
    """Return the difference of a series whose strings differ in bytes that no text has."""
    day = min(int(column.times[0]) for column in expected if len(column.times))
    detail = "strings are stored as bytes that are not UTF-8"
    return Difference("different", instant(day)[:10], series_name(schema, text)[1], "", detail)


def _series_differences(
    schema: PointSchema, text: bytes, expected: pl.DataFrame, found: pl.DataFrame
) -> Iterator[Difference]:
    tags, name = series_name(schema, text)
    day = pl.col("time") // DAY
    for number in sorted({*expected.select(day).to_series(), *found.select(day).to_series()}):
        query = PointsQuery(schema, tags, number * DAY, (number + 1) * DAY)
        sides = [side.filter(day == number) for side in (expected, found)]
        for difference in compare_points(query, *sides):
            yield replace(difference, series=name)
