"""Reads all values of the dataset in a window, in the form of those from the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.arrays import Integers, Mask, Places
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.columns import Column, TooManyPoints, bounds_within, by_time, pick
from loader.servers.frames import tag_columns
from loader.verification.outcome import merge_unfit
from loader.verification.points import unfit_rows
from loader.verification.reading import read_rows
from loader.verification.series_columns import dataset_forms
from loader.verification.settings import UnfitRows
from loader.verification.texts import compact, short_texts
from loader.verification.values.extents import Extents
from loader.verification.values.series_numbers import SeriesNumbers
from loader.verification.windows import Window

_NUMBER_BYTES = 8


def row_bytes(schema: PointSchema) -> int:
    """Return how many bytes a row counts at least towards the ``most`` of ``expected_values``."""
    return _NUMBER_BYTES * (1 + len(schema.fields))


@dataclass
class _Rows:
    """The rows of a window in the order of reading: runs of one series each, and a list of arrays for each column."""

    series: SeriesNumbers = field(default_factory=SeriesNumbers)
    codes: list[Places] = field(default_factory=list)
    starts: list[Integers] = field(default_factory=list)
    times: list[Integers] = field(default_factory=list)
    fields: list[list[pl.Series]] = field(default_factory=list)
    size: int = 0

    def add(self, schema: PointSchema, points: pl.DataFrame) -> None:
        """Add the points of a batch, chunk by chunk: to make one array of several chunks would copy them."""
        tags = tag_columns(len(schema.tags))
        ends = np.cumsum([length for length in points["time"].chunk_lengths() if length])
        begins = np.zeros(points.height, np.bool_)
        begins[0] = begins[ends[:-1]] = True
        for tag in tags:
            column = points[tag]
            begins[1:] |= (column[1:] != column[:-1]).to_numpy()
        starts = np.flatnonzero(begins)
        codes = self._codes(schema, points.select(pl.col(tags).gather(starts)), len(starts))
        for first, stop in pairwise([0, *ends.tolist()]):
            runs = slice(*np.searchsorted(starts, (first, stop)))
            self.codes.append(codes[runs])
            self.starts.append(np.append(starts[runs], stop) - first)
            self._add_columns(points[first:stop])
        self.size += points.height * row_bytes(schema)

    def _codes(self, schema: PointSchema, heads: pl.DataFrame, number: int) -> Places:
        """Return the code of the series of each of ``number`` runs, whose tags are ``heads``."""
        if not heads.width:
            return np.full(number, self.series.add(pl.Series([b""])), np.int32)
        alike = _first_alike(heads.select(pl.all().to_physical()))
        distinct = alike.unique(maintain_order=True)
        first = self.series.add(dataset_forms(schema, heads[distinct].cast(pl.String)))
        codes = np.empty(number, np.int32)
        codes[distinct.to_numpy()] = np.arange(first, first + len(distinct), dtype=np.int32)
        found: Places = codes[alike.to_numpy()]
        return found

    def _add_columns(self, points: pl.DataFrame) -> None:
        self.times.append(points["time"].to_numpy())
        for number, parts in enumerate(self.fields):
            column = points[f"f{number}"]
            if column.dtype == pl.Binary:
                column = short_texts(column)
                self.size += int(column.bin.size().sum())
            parts.append(column)


@dataclass
class ExpectedValues:
    """The points in a window: a column for each field, with series in the form of ``dataset_forms``.

    ``superseded`` counts the values that a later row of the same identity replaces; ``unfit`` are rows that
    cannot be points, by reason.
    """

    columns: list[Column]
    superseded: int
    unfit: tuple[UnfitRows, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return sum(len(column.times) for column in self.columns)


def expected_values(
    root: Path,
    schema: PointSchema,
    window: Window,
    order: pl.Series,
    most: int,
    extents: Extents,
) -> ExpectedValues:
    """Return the values of the points in ``window``; for rows of one identity, the last value of each field.

    Series are in the ``order`` of the server, followed by those that it lacks. Rows may be in any order; those in
    series order are only copied, run by run. Batches that ``extents`` shows to be outside of the window are not read;
    the extents of batches that are read are added. Memory is bounded by twice ``most`` bytes, some 150 bytes a series
    and 50 a run of rows of one series, and a batch. Raises StageError, and TooManyPoints when there is more, unless
    ``most`` is 0.
    """
    rows = _Rows(fields=[[] for _ in schema.fields])
    unfit: tuple[UnfitRows, ...] = ()
    for partition in window.partitions:
        for batch in read_rows(root, schema, partition, partial(extents.outside, partition, window)):
            points, bad = batch.points, batch.unfit
            if not window.start <= partition.time_min <= partition.time_max < window.stop:
                # An unfit row without a valid time counts at the first or last time of its partition.
                known = pl.col("time").fill_null(partition.time_min).clip(partition.time_min, partition.time_max)
                extents.add(partition, batch.start, pl.concat([points["time"], bad.select(known).to_series()]))
                points = compact(points.filter(pl.col("time").is_between(window.start, window.stop - 1)))
                bad = bad.filter(known.is_between(window.start, window.stop - 1))
            if points.height:
                rows.add(schema, points)
            unfit = merge_unfit((*unfit, *unfit_rows(partition, bad)))
            if most and rows.size > most:
                raise TooManyPoints
            del batch, points, bad  # otherwise they would be held while the next ones are read
    columns, superseded = _arrange(schema, rows, order)
    return ExpectedValues(columns, superseded, unfit)


def answered_values(schema: PointSchema, points: pl.DataFrame) -> list[Column]:
    """Return ``points`` of a server (``time``, tags and fields, in the form of batches) as the columns of a window.

    Series are in the order of their forms. Memory is that of the points, twice.
    """
    rows = _Rows(fields=[[] for _ in schema.fields])
    if points.height:
        rows.add(schema, points)
    return _arrange(schema, rows, _NO_TEXTS)[0]


def _arrange(schema: PointSchema, rows: _Rows, order: pl.Series) -> tuple[list[Column], int]:
    """Arrange the rows by series; parts of ``rows`` are dropped once arranged, so that they are not held twice."""
    series, ranks = rows.series.ranked(order)
    places, bounds = _places(rows, ranks, len(series))
    total = int(bounds[-1])

    def arranged(parts: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        out = np.empty(total, dtype)
        for part, starts, place in zip(parts, rows.starts, places, strict=False):
            _copy_runs(part, starts, place, out)
        return out

    times = arranged(rows.times, np.int64)
    rows.times.clear()
    positions = by_time(times, bounds)
    if positions is not None:
        times = times[positions]
    repeats = positions is not None and _repeats(times, bounds)
    columns, superseded = [], 0
    for entry, parts in zip(schema.fields, rows.fields, strict=True):
        if entry.type is FieldType.STRING:
            numbers = np.split(np.arange(total), np.cumsum([len(part) for part in parts]))
            values = _texts(pl.concat(parts).gather(arranged(numbers, np.int64))) if parts else _texts(_NO_TEXTS)
        else:
            values = arranged((_numbers(part, entry) for part in parts), _dtype(entry))
        valid = None
        if any(part.has_nulls() for part in parts):
            valid = arranged((part.is_not_null().to_numpy() for part in parts), np.bool_)
        parts.clear()
        if positions is not None:
            values, valid = pick(values, positions), None if valid is None else valid[positions]
        column = Column(series, bounds, times, values)
        if valid is not None:
            column = _kept(column, valid)
        if repeats:
            last = _last_of_equal(column)
            superseded += len(last) - int(last.sum())
            column = _kept(column, last)
        columns.append(column)
    return columns, superseded


def _places(rows: _Rows, ranks: Places, series: int) -> tuple[list[Integers], Integers]:
    """Return where each run goes, chunk by chunk, and where each of the ``series`` begins and ends.

    ``ranks`` are the places of series by the codes in ``rows``, which are dropped.
    """
    owners = np.concatenate([np.empty(0, np.int32), *(ranks[codes] for codes in rows.codes)])
    rows.codes.clear()
    sizes = np.concatenate([np.empty(0, np.int32), *(np.diff(starts).astype(np.int32) for starts in rows.starts)])
    by = np.argsort(owners, kind="stable")
    ends = np.cumsum(sizes[by], dtype=np.int64)
    firsts = np.searchsorted(owners[by], np.arange(series + 1, dtype=np.int32))
    bounds = np.append(0, ends)[firsts]
    ends -= sizes[by]
    to = np.empty_like(ends)
    to[by] = ends
    return np.split(to, np.cumsum([len(starts) - 1 for starts in rows.starts])), bounds


def _repeats(times: Integers, bounds: Integers) -> bool:
    """Tell whether a time comes twice in a series."""
    equal = times[1:] == times[:-1]
    if not equal.any():
        return False
    begins = bounds[(bounds > 0) & (bounds < len(times))] - 1
    equal[begins] = False
    return bool(equal.any())


def _last_of_equal(column: Column) -> Mask:
    """Return which points are the last of their series and time."""
    last = np.ones(len(column.times), np.bool_)
    last[:-1] = column.times[1:] != column.times[:-1]
    last[column.bounds[1:][np.diff(column.bounds) > 0] - 1] = True
    return last


def _kept(column: Column, keep: Mask) -> Column:
    return Column(column.series, bounds_within(column.bounds, keep), column.times[keep], pick(column.values, keep))


_NO_TEXTS = pl.Series(dtype=pl.Binary)


def _dtype(entry: Field) -> npt.DTypeLike:
    return np.uint8 if entry.type is FieldType.BOOLEAN else np.uint64


def _numbers(part: pl.Series, entry: Field) -> npt.NDArray[Any]:
    """Return values of a field that is not a string in the form of Column; a null may become any value."""
    if entry.type is FieldType.BOOLEAN:
        part = part.cast(pl.UInt8)
    return (part.fill_null(0) if part.has_nulls() else part).to_numpy().view(_dtype(entry))


def _texts(texts: pl.Series) -> pa.LargeBinaryArray:
    return texts.to_arrow(compat_level=pl.CompatLevel.oldest())


def _first_alike(rows: pl.DataFrame) -> pl.Series:
    """Return for each row the number of the first one that is equal.

    Rows are grouped by their hashes, which takes less than by all columns, and compared with the first of their group:
    only where rows with one hash differ are they grouped by themselves.
    """
    alike = _firsts(rows.hash_rows().to_frame("hash"))
    return alike if rows.equals(rows[alike]) else _firsts(rows)


def _firsts(keys: pl.DataFrame) -> pl.Series:
    """Return for each row the number of the first one with the same ``keys``."""
    return keys.with_row_index("first").select(pl.col("first").first().over(keys.columns)).to_series()


@compiled
def _copy_runs(source: npt.NDArray[Any], starts: Integers, to: Integers, out: npt.NDArray[Any]) -> None:
    """Copy run ``i``, from ``starts[i]`` to ``starts[i + 1]``, to ``out`` from ``to[i]`` on."""
    for run in range(len(to)):
        # With unsigned indices, the compiled code copies many values at a time.
        start, place = np.uint64(starts[run]), np.uint64(to[run])
        for row in range(np.uint64(starts[run + 1]) - start):
            out[place + row] = source[start + row]
