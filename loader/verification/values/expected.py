"""All values of the dataset in a window, in the form of those that come from the server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.reader import read_batches
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import read_columns
from loader.encoding.compiled import compiled
from loader.encoding.escaping import sort_tags
from loader.encoding.selection import select_points
from loader.encoding.series import SeriesRuns, find_series
from loader.encoding.tsm.decode.columns import Column, ascending, bounds_within, pick
from loader.verification.plan import Window

BATCH_ROWS = 1_000_000


@dataclass
class _Rows:
    """The rows of a window as they come: runs of one series each, and a list of arrays a column."""

    numbers: dict[str, int] = field(default_factory=dict)
    codes: list[Integers] = field(default_factory=list)
    starts: list[Integers] = field(default_factory=list)
    times: list[Integers] = field(default_factory=list)
    fields: list[list[pl.Series]] = field(default_factory=list)

    def add(self, runs: SeriesRuns, times: Integers, columns: Sequence[pl.Series]) -> None:
        """Add the rows of a batch."""
        codes = [self.numbers.setdefault(text, len(self.numbers)) for text in runs.texts.to_pylist()]
        self.codes.append(np.array(codes, np.int64)[runs.codes])
        self.starts.append(runs.starts)
        self.times.append(times)
        for parts, column in zip(self.fields, columns, strict=True):
            parts.append(column)


@dataclass(frozen=True)
class ExpectedValues:
    """One column a field of the points in a window; ``duplicates`` are rows left out for a later one's identity."""

    columns: list[Column]
    duplicates: int

    @property
    def size(self) -> int:
        """Number of values."""
        return sum(len(column.times) for column in self.columns)


def expected_values(root: Path, schema: PointSchema, window: Window) -> ExpectedValues:
    """Return the values of the points in ``window``; of equal identities, those of the last row.

    Rows may be in any order; in series order they are only copied, run by run. Memory is bounded by twice the rows
    of the partitions. Raises StageError; EncodeError for what no server can hold.
    """
    # Tags are in the order of storage keys.
    keyed = replace(schema, tags=sort_tags(schema.tags))
    rows = _Rows(fields=[[] for _ in schema.fields])
    for partition in window.partitions:
        address = Chunk(partition.path, 0, 0)
        for batch in read_batches(root, keyed, Chunk(partition.path, 0, partition.rows), BATCH_ROWS):
            address = Chunk(partition.path, address.stop, address.stop + len(batch))
            _add(rows, keyed, address, batch, window)
    return _arrange(schema, rows)


def _add(rows: _Rows, schema: PointSchema, address: Chunk, batch: pa.RecordBatch, window: Window) -> None:
    """Add what of ``batch`` lies in ``window``."""
    points = select_points(batch, schema, address).points
    columns = read_columns(points, schema)
    runs, times, values = find_series(points, schema), columns.times.to_numpy(), columns.values
    within = (times >= window.start) & (times < window.stop)
    if not within.all():
        times, values = times[within], tuple(column.filter(within) for column in values)
        runs = replace(runs, starts=np.append(0, np.cumsum(within))[runs.starts])
    rows.add(runs, times, values)


def _arrange(schema: PointSchema, rows: _Rows) -> ExpectedValues:
    """Arrange the rows by series; what is arranged of ``rows`` is dropped, so that it is not held twice."""
    series = sorted(text.encode() for text in rows.numbers)
    ranks = np.empty(len(series), np.int64)
    ranks[[rows.numbers[text.decode()] for text in series]] = np.arange(len(series))
    lengths = [np.diff(starts) for starts in rows.starts]
    owners, sizes = _joined([ranks[codes] for codes in rows.codes]), _joined(lengths)
    by = np.argsort(owners, kind="stable")
    ends = np.cumsum(sizes[by])
    to = np.empty_like(ends)
    to[by] = ends - sizes[by]
    places = np.split(to, np.cumsum([len(part) for part in lengths]))
    bounds = np.append(0, ends)[np.searchsorted(owners[by], np.arange(len(series) + 1))]
    total = int(bounds[-1])

    def arranged(parts: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        out = np.empty(total, dtype)
        for part, starts, place in zip(parts, rows.starts, places, strict=False):
            _copy_runs(part, starts, place, out)
        return out

    times = arranged(rows.times, np.int64)
    rows.times.clear()
    order = ascending(times, bounds)
    if order:
        times, bounds = times[order[0]], order[1]
    columns = []
    for entry, parts in zip(schema.fields, rows.fields, strict=True):
        if entry.type is FieldType.STRING:
            numbers = np.split(np.arange(total), np.cumsum([len(part) for part in parts]))
            values = _texts(pl.concat(parts).gather(arranged(numbers, np.int64)))
        else:
            values = arranged((_numbers(part, entry) for part in parts), _dtype(entry))
        valid = None
        if any(part.has_nulls() for part in parts):
            valid = arranged((part.is_not_null().to_numpy() for part in parts), np.bool_)
        parts.clear()
        if order:
            values, valid = pick(values, order[0]), None if valid is None else valid[order[0]]
        if valid is None:
            columns.append(Column(series, bounds, times, values))
        else:
            columns.append(Column(series, bounds_within(bounds, valid), times[valid], pick(values, valid)))
    return ExpectedValues(columns, total - len(times))


def _joined(parts: list[Integers]) -> Integers:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _dtype(entry: Field) -> npt.DTypeLike:
    return np.uint8 if entry.type is FieldType.BOOLEAN else np.uint64


def _numbers(part: pl.Series, entry: Field) -> npt.NDArray[Any]:
    """Return a batch of a field that is no string as Column has it; anything where it is null."""
    if entry.type is FieldType.BOOLEAN:
        return part.cast(pl.UInt8).fill_null(0).to_numpy()
    return part.fill_null(0).to_numpy().view(np.uint64)


def _texts(texts: pl.Series) -> pa.LargeBinaryArray:
    return texts.cast(pl.Binary).to_arrow(compat_level=pl.CompatLevel.oldest())


@compiled
def _copy_runs(source: npt.NDArray[Any], starts: Integers, to: Integers, out: npt.NDArray[Any]) -> None:
    """Copy run ``i``, from ``starts[i]`` to ``starts[i + 1]``, to ``out`` from ``to[i]`` on."""
    for run in range(len(to)):
        shift = to[run] - starts[run]
        for row in range(starts[run], starts[run + 1]):
            out[row + shift] = source[row]
