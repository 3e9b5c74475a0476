"""Computes counts, sums, minima and maxima of the dataset per series and UTC day, and picks rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from loader.dataset.instant import DAY
from loader.dataset.manifest import Partition
from loader.dataset.schema import PointSchema
from loader.servers.frames import ANSWER_TYPES, day_of, field_columns, tag_columns
from loader.verification.aggregates.frames import functions_of, key_columns
from loader.verification.identities import identity_columns, merge_rows, text_tags
from loader.verification.outcome import merge_unfit
from loader.verification.points import Rows, unfit_rows
from loader.verification.reading import read_rows
from loader.verification.settings import UnfitRows
from loader.verification.texts import compact, shortened
from loader.verification.windows import day_stop, days_of

MERGED_BYTES = 128 << 20
"""Bytes of rows that are searched for repeated identities at a time."""
_RUN_ROWS = 8
"""Average rows of a run of one series and day from which aggregating by runs is faster."""
_ROW_BYTES = 48
"""Bytes of an identity in memory, about."""


@dataclass
class Expected:
    """The aggregates and picked rows of partitions.

    ``cells`` has the tags, ``day`` and columns such as ``sum0``, of field 0; ``picked`` has the points of picked rows;
    ``superseded`` counts values that a later row of the same identity replaces; ``unfit`` are rows that cannot be
    points, by reason.
    """

    cells: pl.DataFrame
    picked: pl.DataFrame
    superseded: int
    unfit: tuple[UnfitRows, ...] = ()


def summarise(
    root: Path, schema: PointSchema, partitions: Sequence[Partition], picks: Mapping[str, Sequence[int]]
) -> Expected:
    """Aggregate ``partitions``, which overlap in time, and pick rows by number (ascending) in each.

    For one partition whose rows are in time order, or in series order with ascending times in each series, memory is
    bounded by one batch. Otherwise repeated identities must be found: the partitions are read as many times as it takes
    to search MERGED_BYTES of rows at a time. Integer sums wrap at 64 bits, as the server's do. Raises StageError.
    """
    if len(partitions) == 1:
        found = _in_order(root, schema, partitions[0], picks[partitions[0].path])
        if found:
            return found
    return _in_no_order(root, schema, partitions, picks)


def merge_cells(schema: PointSchema, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge the cells of ``parts``, of which several may hold the same series and day."""
    merged = []
    for number, entry in enumerate(schema.fields):
        for function in functions_of(entry.type):
            value = pl.col(f"{function}{number}")
            merged.append({"min": value.min(), "max": value.max()}.get(function, value.sum()))
    return pl.concat(parts).group_by(key_columns(schema)).agg(merged)


def series_points(
    root: Path, schema: PointSchema, partitions: Sequence[Partition], series: Sequence[str], day: int
) -> pl.DataFrame:
    """Return the points (``time``, fields) of one series and day, by time; strings are in their short form.

    Memory is bounded by these points and one batch.
    """
    tags = tag_columns(len(schema.tags))
    wanted = pl.col("time").is_between(day, day_stop(day) - 1)
    for tag, value in zip(tags, series, strict=True):
        wanted &= pl.col(tag).cast(pl.String) == value
    parts = [
        shortened(text_tags(schema, rows.points.filter(wanted)))
        for partition in partitions
        if partition.time_min < day_stop(day) and partition.time_max >= day
        for rows in read_rows(root, schema, partition)
    ]
    if not parts:
        fields = {f"f{number}": ANSWER_TYPES[entry.type] for number, entry in enumerate(schema.fields)}
        return pl.DataFrame(schema={"time": pl.Int64, **fields})
    return points_of(schema, merge_rows(schema, pl.concat(parts))[0])


def points_of(schema: PointSchema, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` as ``Dialect.parse_points`` returns points: ``time`` and the fields, by time."""
    return rows.select("time", *field_columns(len(schema.fields))).sort("time")


class _Sum:
    """Adds up the aggregates, picked and unfit rows of batches."""

    def __init__(self, schema: PointSchema, partitions: Sequence[Partition]) -> None:
        self.schema = schema
        first, last = (partition.time_min // DAY for partition in partitions), (p.time_max // DAY for p in partitions)
        self.day, last_day = min(first), max(last)
        self.one_day = self.day == last_day
        self.cells: list[pl.DataFrame] = []
        self.picked: list[pl.DataFrame] = []
        self.superseded = 0
        self.unfit: tuple[UnfitRows, ...] = ()

    def add(self, points: pl.DataFrame) -> None:
        self.cells.append(self._aggregate(points))

    def add_unfit(self, partition: Partition, rows: Rows) -> None:
        self.unfit = merge_unfit((*self.unfit, *unfit_rows(partition, rows.unfit)))

    def result(self) -> Expected:
        cells = merge_cells(self.schema, self.cells)
        return Expected(cells, pl.concat(self.picked), self.superseded, self.unfit)

    def _aggregate(self, points: pl.DataFrame) -> pl.DataFrame:
        """Return the cells of ``points``; days are only computed where there are several.

        Rows in series order are aggregated run by run, which takes a third of the time; a cell may then come twice.
        """
        keys = key_columns(self.schema)
        columns = []
        for number, entry in enumerate(self.schema.fields):
            value = pl.col(f"f{number}")
            known = {"count": value.count().cast(pl.Int64), "sum": value.sum(), "min": value.min(), "max": value.max()}
            columns += [known[name].alias(f"{name}{number}") for name in functions_of(entry.type)]
        days = pl.lit(day_of(self.day * DAY)) if self.one_day else days_of(pl.col("time"))
        dated = points.with_columns(days.alias("day"))
        changes = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
        begins = dated.select(changes).to_series().arg_true().to_numpy()
        if len(begins) * _RUN_ROWS <= points.height:
            rows = np.diff(begins, append=points.height)
            run = pl.Series("run", np.repeat(np.arange(len(begins), dtype=np.uint32), rows)).set_sorted()
            cells = dated.group_by(run).agg(pl.col(keys).first(), *columns).drop("run")
        else:
            cells = dated.group_by(keys).agg(columns)
        return text_tags(self.schema, cells)


def _in_order(root: Path, schema: PointSchema, partition: Partition, picks: Sequence[int]) -> Expected | None:
    """Aggregate rows that are in series order or in time order, None where they are in neither."""
    total = _Sum(schema, [partition])
    by_series, by_time = _SeriesOrder(schema), _TimeOrder(schema, total)
    for rows in read_rows(root, schema, partition):
        total.add_unfit(partition, rows)
        points, picked = rows.points, shortened(rows.pick(picks))
        by_series.add(points)
        if not by_time.add(points, picked):
            if not by_series.holds:
                return None
            total.add(points)
            total.picked.append(text_tags(schema, picked))
        # Otherwise they would be held while the next ones are read.
        del rows, points
    by_time.end()
    found = total.result()
    return found if by_time.holds or by_series.is_whole(found.cells) else None


class _SeriesOrder:
    """Checks whether rows come series by series with strictly ascending times: then no two have one identity.

    ``holds`` is true as long as times ascend within the runs of series.
    """

    def __init__(self, schema: PointSchema) -> None:
        self.holds = True
        self._tags = tag_columns(len(schema.tags))
        self._last: tuple[object, ...] | None = None
        self._runs = 0

    def add(self, points: pl.DataFrame) -> None:
        """Check the next rows."""
        if not self.holds or points.is_empty():
            return
        same = pl.lit(value=True)
        for tag in self._tags:
            same &= pl.col(tag) == pl.col(tag).shift(1)
        later = pl.col("time") > pl.col("time").shift(1)
        changes, self.holds = points.select((~same).slice(1).sum(), (later | ~same).slice(1).all().alias("later")).row(
            0
        )
        identity = points.select(*self._tags, "time")
        first, last = identity.row(0), identity.row(-1)
        self._runs += changes
        if self._last is None or self._last[:-1] != first[:-1]:
            self._runs += 1
        else:
            self.holds = self.holds and first[-1] > self._last[-1]
        self._last = last

    def is_whole(self, cells: pl.DataFrame) -> bool:
        """Tell whether each series came in one run only; ``cells`` are those of all rows."""
        return self.holds and self._runs == cells.select(*self._tags, series=pl.lit(1)).unique().height


class _TimeOrder:
    """Aggregates rows in time order, where rows of one identity are close. ``holds`` while rows are in that order."""

    def __init__(self, schema: PointSchema, total: _Sum) -> None:
        self.holds = True
        self._schema = schema
        self._total = total
        self._held: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._last: int | None = None

    def add(self, points: pl.DataFrame, picked: pl.DataFrame) -> bool:
        """Add a batch, or return False; rows of its last time are held until no more of that time can come."""
        times = points["time"]
        if self.holds and points.height:
            follows = times.is_sorted() and (self._last is None or times[0] >= self._last)
            if not follows or sum(part.estimated_size() for part, _ in self._held) > MERGED_BYTES:
                self.end()
                self.holds = False
        if not self.holds:
            return False
        if points.is_empty():
            self._held.append((text_tags(self._schema, points), text_tags(self._schema, picked)))
            return True
        self._last = times[-1]
        points, picked = text_tags(self._schema, points), text_tags(self._schema, picked)
        before, same = pl.col("time") < self._last, pl.col("time") == self._last
        if times[0] < self._last:
            self._held.append((points.filter(before), picked.filter(before)))
            self.end()
        self._held.append((points.filter(same), picked.filter(same)))
        return True

    def end(self) -> None:
        """Add what is held."""
        held, self._held = self._held, []
        if held:
            self._add_group(held)

    def _add_group(self, parts: Sequence[tuple[pl.DataFrame, pl.DataFrame]]) -> None:
        points, picked = (pl.concat(side) for side in zip(*parts, strict=True))
        if points["time"].n_unique() < points.height:
            identity = identity_columns(self._schema)
            points, superseded = merge_rows(self._schema, points)
            self._total.superseded += superseded
            picked = points.join(picked.select(identity), on=identity, how="semi")
        self._total.add(points)
        self._total.picked.append(picked)


def _in_no_order(
    root: Path, schema: PointSchema, partitions: Sequence[Partition], picks: Mapping[str, Sequence[int]]
) -> Expected:
    """Aggregate rows in any order, in passes, each for a part of the identities."""
    total = _Sum(schema, partitions)
    identity = identity_columns(schema)
    wanted = []
    size = 0.0
    for partition in partitions:
        for rows in read_rows(root, schema, partition):
            total.add_unfit(partition, rows)
            points = text_tags(schema, shortened(rows.points))
            size += points.estimated_size() + _ROW_BYTES * points.height
            wanted.append(text_tags(schema, rows.pick(picks[partition.path])).select(identity))
    passes = int(size // MERGED_BYTES) + 1
    for number in range(passes):
        parts = list(_parts(root, schema, partitions, number, passes))
        points, superseded = merge_rows(schema, pl.concat(parts))
        total.superseded += superseded
        total.add(points)
        total.picked.append(points.join(pl.concat(wanted), on=identity, how="semi"))
    return total.result()


def _parts(
    root: Path, schema: PointSchema, partitions: Sequence[Partition], number: int, passes: int
) -> Iterator[pl.DataFrame]:
    """Yield the rows of pass ``number``: those whose identity falls into it by its hash."""
    digest = sum((pl.col(name).hash() for name in identity_columns(schema)), pl.lit(0, pl.UInt64))
    for partition in partitions:
        for rows in read_rows(root, schema, partition):
            points = text_tags(schema, shortened(rows.points))
            yield points if passes == 1 else compact(points.filter(digest % passes == number))
