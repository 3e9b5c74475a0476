"""Moves rows of one identity apart: each to the first free nanosecond after the row before it in its series."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from loader.dataset.instant import DAY, TIME_MAX
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.moves import no_moves, with_moves
from loader.encoding.arrays import Integers, Mask
from loader.errors import ConfigError
from loader.events import Notice, Observer
from loader.loading.identity_reader import THREADS, IdentityReader, Numbers, overlapping
from loader.loading.repetitions import Slice
from loader.waiting import Workers


def move_apart(root: Path, manifest: Manifest, observe: Observer, stop: threading.Event) -> Manifest:
    """Return ``manifest`` with moves, so that no two rows of an identity set the same field, and report how many.

    In each series rows are ordered by time, then by partition in the manifest, then by row. A row that sets a field
    which an earlier row of the same time sets, too, is moved by a nanosecond, and the rows after it as far as needed to
    stay after it. Rows of one identity that set different fields stay one point. Only series and times with repetitions
    are processed row by row. Memory is that of ``find_superseded`` and 8 bytes a series; temporary files have 8 bytes
    for each row of a partition with moved rows. Setting ``stop`` ends it early. Raises StageError and
    EncodeError as reading does, and ConfigError for a row that would leave its day, or when there is no room for
    temporary files.
    """
    steps: dict[str, Integers] = {}
    last: dict[str, int] = {}
    for part in manifest.measurements:
        nudger = _Nudger(IdentityReader(root, part.schema, stop), steps, last)
        with Workers(THREADS) as workers:
            for group, ordered in nudger.reader.in_order(overlapping(part.partitions), workers):
                nudger.look_at(group, ordered=ordered)
    moved = with_moves(manifest, steps, last)
    if moved.moves and moved.moves.rows:
        observe(Notice(str(moved.moves)))
    return moved


class _Nudger:
    """Places the rows of groups of partitions, in time order; ``last`` has the last time of partitions in ``steps``."""

    def __init__(self, reader: IdentityReader, steps: dict[str, Integers], last: dict[str, int]) -> None:
        self.reader = reader
        self._steps = steps
        self._last = last
        self._known: Numbers = {}
        # The last time that was given to a row of each series, by number; then the last time of all moved rows.
        self._placed = np.zeros(0, np.int64)
        self._reach: int | None = None

    def look_at(self, group: Sequence[Partition], *, ordered: bool) -> None:
        """Move rows of ``group`` where necessary; an ``ordered`` one has no repetitions. Groups come in time order."""
        if ordered and not self._reaches(min(partition.time_min for partition in group)):
            return
        for part in self.reader.slices(group):
            self._look_within(group, part)

    def _reaches(self, time: int) -> bool:
        return self._reach is not None and self._reach >= time

    def _look_within(self, group: Sequence[Partition], part: Slice) -> None:
        """Place the rows in ``part`` if keys repeat there or moved rows reach it; in halves if there are many rows."""
        keys = self.reader.keys_within(group, self._known, part)
        if keys is None:
            for half in part.halves():
                self._look_within(group, half)
        elif self._reaches(part.start) or keys.find_repetitions().any():
            del keys
            self._place_within(group, part)

    def _place_within(self, group: Sequence[Partition], part: Slice) -> None:
        """Place the rows in ``part``, in halves if there are many rows."""
        found: list[pl.DataFrame] = []
        size = 0
        for number, rows in self.reader.within(group, self._known, part):
            frame = pl.DataFrame({"series": rows.series, "time": rows.times, "row": rows.rows})
            found.append(frame.with_columns(partition=pl.lit(number, pl.Int32)))
            size += frame.height
            if size > self.reader.most_rows and part.divisible:
                del found, frame, rows
                for half in part.halves():
                    self._place_within(group, half)
                return
        if size:
            self._place(group, pl.concat(found).sort("series", "time", "partition", "row"))

    def _place(self, group: Sequence[Partition], frame: pl.DataFrame) -> None:
        """Place the rows of ``frame``, which is sorted."""
        series, times = frame["series"].to_numpy(), frame["time"].to_numpy()
        numbers, rows = frame["partition"].to_numpy(), frame["row"].to_numpy()
        self._placed = np.append(self._placed, np.full(len(self._known) - len(self._placed), np.iinfo(np.int64).min))
        same = np.append(False, (series[1:] == series[:-1]) & (times[1:] == times[:-1]))
        doubtful = same | np.append(same[1:], False) | (self._spread(series, times) != times)
        present = self.reader.present(group, numbers[doubtful], rows[doubtful])
        # A row that cannot be a point has no field, and takes up no time.
        points = ~doubtful
        points[doubtful] = present.any(axis=1)
        series, times, numbers, rows = (each[points] for each in (series, times, numbers, rows))
        if not len(series):
            return
        joins = np.zeros(len(series), np.bool_)
        joins[doubtful[points]] = _joins(series, times, doubtful[points], present[present.any(axis=1)])
        placed = self._spread(series[~joins], times[~joins])[np.cumsum(~joins) - 1]
        ends = np.append(series[1:] != series[:-1], True)
        self._placed[series[ends]] = placed[ends]
        moved = placed != times
        for number, partition in enumerate(group):
            self._move(partition, *(each[moved & (numbers == number)] for each in (rows, times, placed)))

    def _move(self, partition: Partition, rows: Integers, times: Integers, placed: Integers) -> None:
        if not len(rows):
            return
        # A time beyond 64 bits has wrapped around.
        if (late := (placed // DAY != times // DAY) | (placed > TIME_MAX) | (placed < times)).any():
            raise ConfigError(
                f"{partition.path} row {rows[late].min():,}: no nanosecond of its day is left to move it to",
                hint="let the last row of equal times count (--on-duplicate last), or make more columns tags",
            )
        if partition.path not in self._steps:
            self._steps[partition.path] = no_moves(partition)
        self._steps[partition.path][rows] = placed - times
        latest = int(placed.max())
        self._last[partition.path] = max(self._last.get(partition.path, latest), latest)
        self._reach = max(self._reach or latest, latest)

    def _spread(self, series: Integers, times: Integers) -> Integers:
        """Return strictly ascending times for each series, after those that it was given before; rows are by series.

        Each day is treated separately: no row may leave its day, and differences across the whole range of times exceed
        64 bits.
        """
        days, clocks = times // DAY, times % DAY
        begins = np.append(True, (series[1:] != series[:-1]) | (days[1:] != days[:-1]))
        before = self._placed[series[begins]]
        behind = np.where(before // DAY == days[begins], before % DAY + 1, 0)
        clocks[begins] = np.maximum(clocks[begins], behind)
        lead = clocks - np.arange(len(clocks))
        ahead = pl.DataFrame({"lead": lead, "run": np.cumsum(begins)}).select(pl.col("lead").cum_max().over("run"))
        spread: Integers = ahead.to_series().to_numpy() + np.arange(len(clocks)) + days * DAY
        return spread


def _joins(series: Integers, times: Integers, doubtful: Mask, present: Mask) -> Mask:
    """Tell which of the ``doubtful`` rows, which have the fields ``present``, join the point of the row before them."""
    joins = np.zeros(len(present), np.bool_)
    if present.all(axis=0).any():
        return joins  # there is a field that all rows have, so no two of them are one point
    again = np.append(False, (series[1:] == series[:-1]) & (times[1:] == times[:-1]))[doubtful]
    taken = 0
    for row, (follows, mask) in enumerate(zip(again.tolist(), _masks(present), strict=True)):
        joins[row] = follows and not taken & mask
        taken = taken | mask if joins[row] else mask
    return joins


def _masks(present: Mask) -> Iterator[int]:
    """Yield the bits of each row as a number."""
    for row in np.packbits(present, axis=1):
        yield int.from_bytes(row.tobytes())
