"""Times of a source that its zone has twice: which rows have them, to which pass they belong, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from loader.dataset.arrow_types import CHOICES
from loader.dataset.policy import Ambiguous, Policy
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.folds import NO_FOLDS, Folds, find_folds
from loader.encoding.passes import Passes, SequenceScan, Span, Undecided, infer_passes
from loader.encoding.selection import SelectedRows
from loader.encoding.series import Numbers, find_series, number_series
from loader.errors import ConfigError
from loader.events import Notice, Observer

ANY_MEASUREMENT = "any"
"""The name of the measurement as long as a column says the real one."""
IN_UTC = "convert the times to UTC first (docs/own-data.md shows it for Polars and pandas)"
INFER = "let the order of rows tell the passes apart (--ambiguous infer)"


class LocalTimes:
    """The rows of a source whose times, ``first`` to ``last`` (instants), are local times by ``policy``.

    All rows are given to ``add`` in their order, then ``decide`` is called; from then on ``resolve`` tells instants. If
    ``needed`` is false, no time is there twice, and neither is necessary. Memory is that of two ``SequenceScan``, and
    about 150 bytes for each series.
    """

    def __init__(self, policy: Policy, first: int, last: int) -> None:
        self._policy = policy
        self._folds = Folds(find_folds(policy.local, first, last) if policy.local else ())
        self._series = SequenceScan(self._folds)
        self._files = SequenceScan(self._folds)
        self._known: Numbers = {}
        self._passes = Passes(self._folds)

    @property
    def needed(self) -> bool:
        """Whether the zone has some times of the range twice."""
        return bool(self._folds.folds)

    def add(self, file: int, selected: SelectedRows, schema: PointSchema, times: Integers, rows: Integers) -> None:
        """Add the points ``selected`` of a file, with their times, and their numbers in the source."""
        times = self._folds.first_of_both(times)

        def fields(places: Integers) -> Mask:
            found = [selected.points.column(each.column).is_valid() for each in schema.fields]
            return np.array([each.to_numpy(zero_copy_only=False)[places] for each in found], np.bool_).T

        self._series.add(self._number(selected, schema), times, rows, fields)
        self._files.add(np.full(len(rows), file), times, rows, lambda places: np.zeros((len(places), 0), np.bool_))

    def decide(self, file_of: Callable[[int], int], address: Callable[[int], str], observe: Observer) -> None:
        """Do what the policy says of times that are there twice, and say so.

        ``file_of`` and ``address`` tell the number of the file of a row, and its file and row as text. Raises
        ConfigError where such times are refused, or where their pass is to be inferred, and cannot.
        """
        if not self._series.spans:
            return
        passes, undecided = infer_passes(self._folds, self._series, self._files, file_of)
        zone, rows = self._policy.local, sum(span.rows for span in self._series.spans.values())
        seen = self._seen(address)
        if self._policy.ambiguous == Ambiguous.INFER:
            if undecided:
                raise self._cannot_infer(undecided, address)
            self._passes = passes
            observe(Notice(f"{rows:,} rows have a time that {zone} has twice: their order tells the two passes apart"))
        elif self._policy.ambiguous == Ambiguous.REFUSE:
            span = min(self._series.spans.values(), key=lambda each: each.first)
            first = f"{address(span.first)} ({self._local(span.time)})"
            what = f"{rows:,} rows have a time that {zone} has twice, as clocks go back, first {first}"
            why = self._why(undecided[0], address) if undecided else ""
            infer = f"the order of rows does not tell the passes apart ({why}): {IN_UTC}"
            hint = infer if undecided else INFER
            raise ConfigError(
                f"{what}; "
                + (f"both passes seem to be there: {seen}" if seen else "nothing shows if both passes are there"),
                hint=f"{hint}; {CHOICES}",
            )
        elif seen:
            which = "first" if self._policy.ambiguous == Ambiguous.EARLIEST else "second"
            other = "--ambiguous infer tells them apart" if not undecided else IN_UTC
            observe(
                Notice(
                    f"{rows:,} rows have a time that {zone} has twice, and --ambiguous {self._policy.ambiguous} takes"
                    f" all of them for the {which} pass, though both seem to be there ({seen}): {other}"
                )
            )

    @property
    def merged_folds(self) -> Folds:
        """The folds whose two passes the policy takes for one."""
        return self._folds if self._policy.ambiguous in {Ambiguous.EARLIEST, Ambiguous.LATEST} else NO_FOLDS

    def resolve(self, selected: SelectedRows, schema: PointSchema, times: Integers, rows: Integers) -> Integers:
        """Return the instants of the points ``selected``, whose ``times`` are as they were converted."""
        if self._policy.ambiguous != Ambiguous.INFER or not self._passes.begins:
            return times
        return self._passes.resolve(self._number(selected, schema), times, rows)

    def _number(self, selected: SelectedRows, schema: PointSchema) -> Integers:
        runs = find_series(selected.points, schema)
        return np.repeat(number_series(runs, self._known), runs.lengths)

    def _seen(self, address: Callable[[int], str]) -> str:
        """Return in a sentence what shows that both passes are there, "" if nothing does."""

        def place(number: int, span: Span) -> int:
            if self._series.late(number) >= 0:
                return -1
            return span.step if span.steps else span.repeat

        shown = [
            (row, number, span) for (number, _), span in self._series.spans.items() if (row := place(number, span)) >= 0
        ]
        if not shown:
            return ""
        row, number, span = min(shown, key=lambda each: each[0])
        return f"{self._name(number)} {'goes back' if span.steps else 'repeats a time'} at {address(row)}"

    def _cannot_infer(self, undecided: tuple[Undecided, ...], address: Callable[[int], str]) -> ConfigError:
        first = undecided[0]
        others = sum(each.rows for each in undecided) - 1
        more = (
            f"; nor can that of {others:,} more rows, of {len({each.series for each in undecided}):,} series"
            if others
            else ""
        )
        return ConfigError(
            f"{address(first.first)}, {self._name(first.series)}: {self._local(first.time)} is twice in"
            f" {self._policy.local}, and its pass cannot be inferred: {self._why(first, address)}{more}",
            hint=f"put the rows of each series in the order in which they were measured, or {IN_UTC}; {CHOICES}",
        )

    def _why(self, undecided: Undecided, address: Callable[[int], str]) -> str:
        return undecided.why.format(*map(address, undecided.others))

    def _local(self, time: int) -> str:
        return f"{datetime.fromtimestamp(time // 1_000_000_000, ZoneInfo(self._policy.local)):%Y-%m-%d %H:%M:%S}"

    def _name(self, number: int) -> str:
        name = next(name for name, other in self._known.items() if other == number)
        return f"series {name.removeprefix(ANY_MEASUREMENT + ',')}" if isinstance(name, str) else "a series"
