"""Rows of one series and time in a sorted stream: merged into one point, refused, or moved apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from loader.dataset.instant import DAY, TIME_MAX, instant
from loader.dataset.policy import OnDuplicate
from loader.encoding.arrays import Integers, Mask, last_in_groups
from loader.encoding.ascend import ascend
from loader.encoding.folds import NO_FOLDS, Folds
from loader.errors import ConfigError

_EXAMPLES = 3
TIME, ORDER = "\0time", "\0order"
"""Columns beside tags and fields, which cannot have such names."""


class PointMerger:
    """Makes one row of each identity in a stream of batches, sorted by series, time and order.

    The first columns are those of ``series``, then come TIME, ORDER and fields. Rows that set different fields are
    merged. Of rows that set the same field the last one counts, or, with ``nudge``, later ones are moved by a
    nanosecond, and the rows after them in the series as far as needed to stay after them. In ``folds``, local times of
    two passes became one time. Memory is a batch and a row.
    """

    def __init__(
        self, series: Sequence[str], on_duplicate: str, address: Callable[[int], str], folds: Folds = NO_FOLDS
    ) -> None:
        self._series = series
        self._nudges = on_duplicate == OnDuplicate.NUDGE
        self._address = address
        self._folds = folds
        self._held: pa.RecordBatch | None = None
        self._held_time = 0
        """The time of the held row before it was moved."""
        self.superseded = 0
        """Values that a later row of the same identity replaces."""
        self.superseded_in_folds = 0
        """How many of them are in a fold."""
        self.moved = 0
        """Rows that were moved."""
        self.examples: list[str] = []

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add rows, and return the points that no later row can change.

        Raises ConfigError when a row would be moved to another day.
        """
        if not len(batch):
            return batch
        times = batch.column(TIME).to_numpy()
        if self._held is not None:
            times = np.append(self._held_time, times)
            batch = _joined(self._held, batch)
        self._held_time = int(times[-1])
        if len(batch) > 1:
            series = self._same_series(batch)
            if self._nudges:
                if (series & (batch.column(TIME).to_numpy()[1:] <= batch.column(TIME).to_numpy()[:-1])).any():
                    batch = self._nudge(batch, series, times)
            elif (same := series & (times[1:] == times[:-1])).any():
                batch = self._merge(batch, same)
        self._held = batch.slice(len(batch) - 1)
        return batch.slice(0, len(batch) - 1)

    def finish(self) -> pa.RecordBatch | None:
        """Return the last point, if there was any."""
        held, self._held = self._held, None
        return held

    def _same_series(self, batch: pa.RecordBatch) -> Mask:
        """Tell for each row except the first whether it has the series of the one before."""
        same = np.ones(len(batch) - 1, np.bool_)
        for name in self._series:
            codes = _codes(batch.column(name))
            same &= codes[1:] == codes[:-1]
        return same

    def _fields(self, batch: pa.RecordBatch) -> list[str]:
        names: list[str] = batch.schema.names
        return names[len(self._series) + 2 :]

    def _merge(self, batch: pa.RecordBatch, same: Mask) -> pa.RecordBatch:
        starts = np.flatnonzero(np.append(True, ~same))
        merged, superseded = self._gather(batch, starts)
        if superseded.any():
            self.superseded += int(superseded.sum())
            owners = np.cumsum(np.append(True, ~same)) - 1
            ends = np.append(starts[1:], len(batch)) - 1
            orders, times = batch.column(ORDER).to_numpy(), batch.column(TIME).to_numpy()
            self.superseded_in_folds += int(superseded[self._folds.either_pass(times)].sum())
            for row in np.flatnonzero(superseded)[: _EXAMPLES - len(self.examples)].tolist():
                pair = self._address(int(orders[row])), self._address(int(orders[ends[owners[row]]]))
                self.examples.append(f"{pair[0]} and {pair[1]} ({instant(int(times[row]))})")
        return merged

    def _gather(self, batch: pa.RecordBatch, starts: Integers) -> tuple[pa.RecordBatch, Integers]:
        """Merge the rows from each of ``starts`` to the next; return also how many values of each are superseded."""
        order = np.arange(len(batch))
        ends = np.append(starts[1:], len(batch)) - 1
        superseded = np.zeros(len(batch), np.int64)
        columns = []
        for name in batch.schema.names:
            column = batch.column(name)
            if name in self._fields(batch):
                valid = column.is_valid().to_numpy(zero_copy_only=False)
                last = last_in_groups(valid, starts)
                superseded += valid & (order < np.repeat(last, ends - starts + 1))
                columns.append(column.take(pa.array(last, mask=last < 0)))
            else:
                columns.append(column.take(pa.array(ends)))
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema), superseded

    def _nudge(self, batch: pa.RecordBatch, series: Mask, times: Integers) -> pa.RecordBatch:
        """Return points that set no field twice, each later than the one before it in its series."""
        if any(batch.column(name).null_count == 0 for name in self._fields(batch)):
            return self._spread(batch, series)
        valid = np.array([batch.column(name).is_valid() for name in self._fields(batch)], np.bool_)
        masks = [int.from_bytes(row.tobytes(), "little") for row in np.packbits(valid, axis=0).T]
        at: list[int] = batch.column(TIME).to_numpy().tolist()
        original: list[int] = times.tolist()
        continues = [False, *series.tolist()]
        starts, placed, taken = [0], [at[0]], masks[0]
        for row in range(1, len(at)):
            again = continues[row] and original[row] == original[row - 1]
            if again and not taken & masks[row]:
                taken |= masks[row]
                continue
            time = at[row]
            if continues[row] and time <= placed[-1]:
                time = placed[-1] + 1
                self.moved += 1
                if time // DAY != original[row] // DAY or time > TIME_MAX:
                    raise self._no_room(batch, row)
            starts.append(row)
            placed.append(time)
            taken = masks[row]
        merged, _ = self._gather(batch, np.array(starts))
        return _retimed(merged, placed)

    def _spread(self, batch: pa.RecordBatch, series: Mask) -> pa.RecordBatch:
        """Return points that share some field: no two of them can be merged, so each gets a time of its own."""
        times = batch.column(TIME).to_numpy()
        # Within a day, which no row may leave: differences across the whole range of times exceed 64 bits.
        clocks = times % DAY
        begins = np.append(False, ~series | (times[1:] // DAY != times[:-1] // DAY))
        placed = ascend(clocks, begins)
        steps = placed - clocks
        self.moved += int(np.count_nonzero(steps))
        late = np.flatnonzero((placed >= DAY) | (times > TIME_MAX - steps))
        if len(late):
            raise self._no_room(batch, int(late[0]))
        return _retimed(batch, times + steps)

    def _no_room(self, batch: pa.RecordBatch, row: int) -> ConfigError:
        return ConfigError(
            f"{self._address(int(batch.column(ORDER)[row].as_py()))}: no nanosecond of its day is left to move it to",
            hint="let the last row of equal times count (--on-duplicate last), or make more columns tags",
        )


def _retimed(batch: pa.RecordBatch, times: Sequence[int] | Integers) -> pa.RecordBatch:
    position = batch.schema.get_field_index(TIME)
    return batch.set_column(position, batch.schema.field(position), pa.array(times, pa.int64()))


def _codes(column: pa.Array) -> Integers:
    """Return numbers that are equal where values are, null included."""
    if pa.types.is_integer(column.type):
        codes: Integers = column.to_numpy()
        return codes
    found: Integers = column.dictionary_encode(null_encoding="encode").indices.to_numpy()
    return found


def _joined(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches([first, second]).combine_chunks().to_batches()
    return batch
