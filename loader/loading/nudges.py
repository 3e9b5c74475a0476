"""Moves rows of one identity apart: each to the first free nanosecond after the row before it in its series."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from loader.dataset.instant import DAY, TIME_MAX
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.moves import no_moves, with_moves
from loader.dataset.scratch import Scratch
from loader.encoding.arrays import Integers, Mask
from loader.encoding.ascend import ascend
from loader.encoding.series import Numbers, run_begins
from loader.errors import ConfigError
from loader.events import Notice, Observer
from loader.loading.identity_reader import THREADS, IdentityReader, overlapping
from loader.loading.repetitions import Identities, Slice
from loader.waiting import Workers


def move_apart(root: Path, manifest: Manifest, observe: Observer, stop: threading.Event) -> Manifest:
    """Return ``manifest`` with moves, so that no two rows of an identity set the same field, and report how many.

    In each series rows go by time, then by partition in the manifest, then by row. One that sets a field which a row
    before it at its time sets is moved by a nanosecond, and those that follow by as much as it takes to stay behind;
    rows of one identity that set different fields stay one point.

    Where there are no repetitions, rows are read once. Of others, as many as MOST_BYTES hold keys of are laid into
    temporary files at a time, forty bytes each, and placed from there; eight bytes stay for each row of a partition of
    which some are moved. Memory is MOST_BYTES, and about 200 bytes for each series of a measurement. Setting ``stop``
    ends it early. Raises StageError and EncodeError as reading does, and ConfigError for a row that would leave its
    day, or when there is no room for temporary files.
    """
    steps: dict[str, Integers] = {}
    last: dict[str, int] = {}
    for part in manifest.measurements:
        nudger = _Nudger(IdentityReader(root, part.schema, stop), steps, last)
        with Workers(THREADS) as workers:
            for group, ordered in nudger.reader.in_order(overlapping(part.partitions), workers):
                nudger.look_at(group, ordered=bool(ordered))
    moved = with_moves(manifest, steps, last)
    if moved.moves:
        observe(Notice(str(moved.moves)))
    return moved


_ALL_FIELDS = -1


@dataclass(frozen=True)
class _Point:
    """The point that the last row belongs to: its series, its time before it was moved, and which fields it has."""

    series: int
    time: int
    fields: int


class _Nudger:
    """Places the rows of groups of partitions, in time order; ``last`` has the last time of partitions in ``steps``."""

    def __init__(self, reader: IdentityReader, steps: dict[str, Integers], last: dict[str, int]) -> None:
        self.reader = reader
        self._steps = steps
        self._last = last
        self._scratch = Scratch()
        self._known: Numbers = {}
        # The last time that was given to a row of each series, by number; then the last time of all moved rows.
        self._placed = np.zeros(0, np.int64)
        self._reach: int | None = None
        self._point = _Point(-1, 0, 0)

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
        elif len(keys) and (self._reaches(part.start) or keys.find_repetitions().any()):
            rows = len(keys)
            del keys
            self._place_all(group, part, self._gather(group, part, rows))

    def _gather(self, group: Sequence[Partition], part: Slice, rows: int) -> _Gathered:
        """Lay the identities of the ``rows`` rows in ``part`` into temporary files, in the order of the dataset."""
        scratch = Scratch()
        series, times, numbers, places = (scratch.zeros(8 * rows).view(np.int64) for _ in range(4))
        start = 0
        for number, found in self.reader.within(group, self._known, part):
            stop = start + len(found.rows)
            series[start:stop], times[start:stop], places[start:stop] = found.series, found.times, found.rows
            numbers[start:stop] = number
            start = stop
        series, times, numbers, places = (each[:start] for each in (series, times, numbers, places))
        return _Gathered(Identities(series, times, places), numbers)

    def _place_all(self, group: Sequence[Partition], part: Slice, gathered: _Gathered) -> None:
        """Place the rows that were gathered, those of ``part``, some at a time."""
        most = self.reader.most_rows
        parts = max(1, -(-len(gathered.numbers) // most))
        width = -(-(part.stop - part.start) // parts)
        starts = range(part.start, part.stop, width)
        waiting = [replace(part, start=start, stop=min(start + width, part.stop)) for start in reversed(starts)]
        while waiting:
            within = waiting.pop()
            positions = np.flatnonzero(within.holds(gathered.identities))
            if len(positions) > most and within.stop - within.start > 1:
                waiting += reversed(within.halves())
                continue
            if len(positions) > most:
                # Of one moment: those of a series are in their order already, and go on where the last ones ended.
                positions = positions[np.argsort(gathered.identities.series[positions], kind="stable")]
            for start in range(0, len(positions), most):
                self._place(group, gathered.sorted(positions[start : start + most]))

    def _place(self, group: Sequence[Partition], rows: _Gathered) -> None:
        """Place ``rows``, which are sorted, and are the next ones of each series."""
        self._placed = np.append(self._placed, np.full(len(self._known) - len(self._placed), np.iinfo(np.int64).min))
        series, times = rows.identities.series, rows.identities.times
        same = self._repeat(series, times)
        doubtful = same | np.append(same[1:], False) | (self._spread(series, times) != times)
        # The last row may be followed by one of its identity, and is cheap to look at.
        doubtful[-1] = True
        present = self.reader.present(group, rows.numbers[doubtful], rows.identities.rows[doubtful])
        # What cannot be a point has no field, and takes no time.
        fit = present.any(axis=1)
        points = ~doubtful
        points[doubtful] = fit
        if not points.any():
            return
        rows, doubtful = rows.at(points), doubtful[points]
        series, times = rows.identities.series, rows.identities.times
        joins = np.zeros(len(series), np.bool_)
        joins[doubtful] = self._joins(series, times, doubtful, present[fit])
        # Rows before the first new point belong to the point that was placed last.
        placed = np.append(self._placed[series[0]], self._spread(series[~joins], times[~joins]))[np.cumsum(~joins)]
        ends = np.append(series[1:] != series[:-1], True)
        self._placed[series[ends]] = placed[ends]
        moved = placed != times
        for number, partition in enumerate(group):
            here = moved & (rows.numbers == number)
            self._move(partition, rows.identities.rows[here], times[here], placed[here])

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
            self._steps[partition.path] = no_moves(self._scratch, partition)
        self._steps[partition.path][rows] = placed - times
        latest = int(placed.max())
        self._last[partition.path] = max(self._last.get(partition.path, latest), latest)
        self._reach = max(self._reach or latest, latest)

    def _joins(self, series: Integers, times: Integers, doubtful: Mask, present: Mask) -> Mask:
        """Tell which of the ``doubtful`` rows, which have the fields ``present``, join the point of the row before."""
        joins = np.zeros(len(present), np.bool_)
        follows = self._repeat(series, times)[doubtful]
        taken = self._point.fields
        if len(present) and present.all(axis=0).any():
            # All have some field, so no two of them are one point; the first may belong to the one before.
            first, last = _masks(present[[0, -1]])
            joins[0] = follows[0] and not taken & first
            taken = last | taken if joins.all() else last
        else:
            for row, (again, fields) in enumerate(zip(follows.tolist(), _masks(present), strict=True)):
                joins[row] = again and not taken & fields
                taken = taken | fields if joins[row] else fields
        self._point = _Point(int(series[-1]), int(times[-1]), taken if doubtful[-1] else _ALL_FIELDS)
        return joins

    def _repeat(self, series: Integers, times: Integers) -> Mask:
        """Tell of each row whether it has the identity of the row before it."""
        repeat = ~run_begins((series, times), len(series))
        repeat[0] = (series[0], times[0]) == (self._point.series, self._point.time)
        return repeat

    def _spread(self, series: Integers, times: Integers) -> Integers:
        """Return strictly ascending times for each series, after those that it was given before; rows are by series.

        Each day is treated separately: no row may leave its day, and differences across the whole range of times exceed
        64 bits.
        """
        days, clocks = times // DAY, times % DAY
        begins = run_begins((series, days), len(series))
        before = self._placed[series[begins]]
        behind = np.where(before // DAY == days[begins], before % DAY + 1, 0)
        clocks[begins] = np.maximum(clocks[begins], behind)
        return ascend(clocks, begins) + days * DAY


def _masks(present: Mask) -> Iterator[int]:
    """Yield the bits of each row as a number."""
    for row in np.packbits(present, axis=1):
        yield int.from_bytes(row.tobytes())


@dataclass(frozen=True)
class _Gathered:
    """Identities of rows, and the numbers of their partitions in a group."""

    identities: Identities
    numbers: Integers

    def at(self, positions: Integers | Mask) -> _Gathered:
        """Return the rows at ``positions``."""
        return _Gathered(self.identities.at(positions), self.numbers[positions])

    def sorted(self, positions: Integers) -> _Gathered:
        """Return the rows at ``positions`` by series and time, and then in the order of the dataset."""
        chosen = self.identities.at(positions)
        return self.at(positions[np.lexsort((chosen.times, chosen.series))])
