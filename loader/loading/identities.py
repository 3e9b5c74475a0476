"""Finds rows of one identity: InfluxDB keeps one point of them, with the last value of each field."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from loader.dataset.instant import instant
from loader.dataset.manifest import Manifest, Partition
from loader.encoding.arrays import Integers, Mask, last_in_groups
from loader.encoding.folds import merged_folds
from loader.encoding.series import Numbers
from loader.events import Notice, Observer
from loader.loading.identity_reader import THREADS, IdentityReader, overlapping
from loader.loading.known_rows import KnownRows
from loader.loading.repetitions import Identities, Slice, keys_of
from loader.loading.series_order import SeriesOrder
from loader.quantities import counted
from loader.waiting import Workers

_EXAMPLES = 3


def look_at_identities(
    root: Path, manifest: Manifest, observe: Observer, stop: threading.Event | None = None
) -> KnownRows:
    """Return which values of the dataset at ``root`` are superseded, and in which order series lie; report the former.

    Rows are ordered by partition in the manifest, then by row. Rows that cannot be points replace nothing. A dataset
    whose manifest says that it is distinct, or that its rows were moved apart, is not read. Partitions that do not
    overlap others in time are checked as a stream, THREADS of them at a time, if their rows are in series order with
    ascending times in each series, or in time order. Other rows are compared in portions that fit into MOST_BYTES.
    About 200 bytes are held for each series. Setting ``stop`` ends it early.
    Raises StageError and EncodeError as reading does, StageError for times outside the time range of a partition in the
    manifest, and ConfigError when there is no room for temporary files.
    """
    found = KnownRows()
    for part in () if manifest.distinct or manifest.moves else manifest.measurements:
        search = _Search(IdentityReader(root, part.schema, stop or threading.Event()), found)
        with Workers(THREADS) as workers:
            for group, ordered in search.reader.in_order(overlapping(part.partitions), workers):
                if isinstance(ordered, SeriesOrder):
                    found.add_order(group[0], ordered)
                elif not ordered:
                    search.look_at(group)
    if found.values_superseded:
        observe(
            Notice(
                f"{counted(found.values_superseded, 'value is', 'values are')} replaced by later rows of the same"
                f" series and time, and left out: {counted(found.rows_superseded, 'row loses', 'rows lose')} all values"
            )
        )
    return found


@dataclass(frozen=True)
class _Search:
    """Searches one group of partitions after another."""

    reader: IdentityReader
    found: KnownRows

    def look_at(self, group: Sequence[Partition]) -> None:
        """Add the superseded values in ``group`` to those found."""
        known: Numbers = {}
        for part in self.reader.slices(group):
            self._look_within(group, known, part)

    def _look_within(self, group: Sequence[Partition], known: Numbers, part: Slice) -> None:
        """Search the rows in ``part``, in halves if there are many.

        Keys of eight bytes are compared first; only rows whose keys are repeated are compared in full.
        """
        keys = self.reader.keys_within(group, known, part)
        same = keys.find_repetitions() if keys is not None else np.zeros(0, np.bool_)
        repetitions = np.count_nonzero(same)
        if keys is None or (repetitions > self.reader.most_rows and part.divisible):
            del keys, same
            for half in part.halves():
                self._look_within(group, known, half)
        elif repetitions:
            repeated = keys.repeated(same)
            found = [
                (number, identities.at(np.isin(keys_of(identities), repeated)))
                for number, identities in self.reader.within(group, known, part)
            ]
            self._compare(group, _repeated(found))

    def _compare(self, group: Sequence[Partition], frame: pl.DataFrame) -> None:
        """Add the superseded values in the rows of ``frame``, which has all rows of their identities."""
        if not frame.height:
            return
        numbers, rows = frame["partition"].to_numpy(), frame["row"].to_numpy()
        present = self.reader.present(group, numbers, rows)
        begins = frame.select(
            ((pl.col("series") != pl.col("series").shift(1)) | (pl.col("time") != pl.col("time").shift(1))).fill_null(
                True
            )
        ).to_series()
        starts = np.flatnonzero(begins.to_numpy())
        owners = np.cumsum(begins.to_numpy()) - 1
        order = np.arange(frame.height)
        superseded = np.zeros_like(present)
        for field in range(present.shape[1]):
            last = last_in_groups(present[:, field], starts)
            superseded[:, field] = present[:, field] & (order < last[owners])
        self._count_in_folds(frame["time"].to_numpy(), superseded)
        whole = superseded.any(axis=1) & (superseded == present).all(axis=1)
        for number, partition in enumerate(group):
            place = np.flatnonzero(numbers == number)
            self.found.add_superseded(partition, rows[place], superseded[place], whole[place])
        for line in np.flatnonzero(superseded.any(axis=1))[: _EXAMPLES - len(self.found.examples)].tolist():
            former, later = (f"{group[numbers[each]].path} row {rows[each]:,}" for each in (line, line + 1))
            self.found.examples.append(f"{former} and {later} ({instant(frame['time'][line])})")

    def _count_in_folds(self, times: Integers, superseded: Mask) -> None:
        if superseded.any():
            folds = merged_folds(self.reader.schema.policy, int(times.min()), int(times.max()))
            self.found.values_in_folds += int(np.count_nonzero(superseded[folds.either_pass(times)]))


def _repeated(parts: Sequence[tuple[int, Identities]]) -> pl.DataFrame:
    """Return the rows that share their identity with others, by identity and then in the order of the dataset."""
    frame = pl.concat(
        [
            pl.DataFrame({"series": part.series, "time": part.times, "row": part.rows}).with_columns(
                partition=pl.lit(number, pl.Int32)
            )
            for number, part in parts
        ]
    )
    repeated = frame.filter(frame.select(pl.struct("series", "time").is_duplicated()).to_series())
    return repeated.sort("series", "time", "partition", "row")
