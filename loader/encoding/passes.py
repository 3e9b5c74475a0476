"""Infers from the order of rows which pass of a fold a local time belongs to, or says why that cannot be known; pure.

A fold is an hour (or another span) of local times that a zone has twice. Of each sequence (the rows of one series, in
the order of the source) that has rows in a fold:

1. Anywhere else, the local times must not go back: a sequence that is out of order shows nothing.
2. If they go back exactly once within the fold, the row that does so is the first of the second pass. Rows before it
   are of the first pass. If they go back more than once, it is refused.
3. If they never go back, and exactly one row repeats the local time of the row before it, that row is the first of the
   second pass. This holds only if the two rows set some field in common (otherwise they may be one point), and if the
   sequence repeats no time elsewhere (otherwise the row may be a duplicate).
4. For both, some other row must show that the sequence ascends: one before the fold, one after it, or a later time
   within a pass. Two rows alone, or descending ones, show nothing.
5. A sequence that does not go back within the fold takes the beginning of the second pass from its file, if the rows
   of this file, all series together, fulfil 1, 2 and 4: then the file as a whole is in time order. The step back of
   the file must also be one of series by 2, and all rows of the sequence in the fold must be between rows of such
   series (otherwise the file may have one series after another). This comes before 3.

Everything else is undecided, even times at regular distances: a gap of an hour before them and one after them look the
same. So is a series that has rows in one pass only, and nothing of 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from loader.encoding.arrays import Bytes, Integers, Mask
from loader.encoding.folds import Folds
from loader.encoding.series import run_begins

_NEVER = np.iinfo(np.int64).min
"""Stands for the time of no row: no point has it."""


@dataclass
class Span:
    """The rows of one sequence in one fold; rows are numbered through the whole source, -1 where there is none."""

    first: int
    time: int
    """That of the first row."""
    last: int = -1
    rows: int = 0
    steps: int = 0
    """How often the time goes back: at ``step``, which follows ``before``, and at ``again``."""
    before: int = -1
    step: int = -1
    again: int = -1
    repeats: int = 0
    """How many rows repeat the time of the row before them, ``repeat`` first; ``apart`` tells if any share no field."""
    repeat: int = -1
    apart: bool = False
    ascends: bool = False
    present: Bytes = field(default_factory=lambda: np.zeros(0, np.uint8))
    """The bits of the fields that the last row has."""

    def add_steps(self, rows: Integers, back: Mask) -> None:
        """Count which of the next ``rows`` go ``back``."""
        for place in np.flatnonzero(back)[:2].tolist():  # more than two are as good as two
            if not self.steps:
                self.before, self.step = int(rows[place - 1]) if place else self.last, int(rows[place])
            elif self.steps == 1:
                self.again = int(rows[place])
            self.steps += 1

    def add_repeats(self, rows: Integers, same: Mask, present: Bytes) -> None:
        """Count which of the next ``rows``, which have the fields ``present``, have the ``same`` time as before."""
        for place in np.flatnonzero(same).tolist():
            if not (present[place] & (present[place - 1] if place else self.present)).any():
                self.apart = True
                continue
            self.repeat = self.repeat if self.repeats else int(rows[place])
            self.repeats += 1


class SequenceScan:
    """Collects what the rows of many sequences show of ``folds``.

    Memory is about 20 bytes for each sequence, and 400 for each one that has rows in a fold, for each fold.
    """

    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._last = np.zeros(0, np.int64)
        self._late = np.zeros(0, np.int64)
        self._repeats = np.zeros(0, np.bool_)
        self.spans: dict[tuple[int, int], Span] = {}
        """By the numbers of sequence and fold."""

    def late(self, sequence: int) -> int:
        """Return the first row of a sequence that is earlier than the one before it, outside of folds, or -1."""
        return int(self._late[sequence])

    def repeats(self, sequence: int) -> bool:
        """Tell whether a sequence repeats a time outside of folds."""
        return bool(self._repeats[sequence])

    def add(self, sequences: Integers, times: Integers, rows: Integers, fields: Callable[[Integers], Mask]) -> None:
        """Add rows, which follow those of earlier calls: the number of the sequence, the time and the number of each.

        ``times`` are instants of the first pass where a local time is in a fold. ``fields`` tells which fields the rows
        at some positions have. Memory is some dozen bytes a row.
        """
        if not len(times):
            return
        self._grow(int(sequences.max()) + 1)
        places = np.argsort(sequences, kind="stable")
        sequences, times, rows = sequences[places], times[places], rows[places]
        begins = run_begins((sequences,), len(sequences))
        former = np.append(_NEVER, times[:-1])
        former[begins] = self._last[sequences[begins]]
        ends = np.append(begins[1:], True)
        self._last[sequences[ends]] = times[ends]
        folds, former_folds = self._folds.first_pass(times), self._folds.first_pass(former)
        within = (folds >= 0) & (folds == former_folds)
        back, same = times < former, times == former
        odd = np.flatnonzero(back & ~within)[::-1]  # of several, the first is assigned last
        self._late[sequences[odd]] = np.where(self._late[sequences[odd]] < 0, rows[odd], self._late[sequences[odd]])
        self._repeats[sequences[same & ~within]] = True
        ascends = (former != _NEVER) & (times > former)
        inside = np.flatnonzero(folds >= 0)
        inside = inside[np.lexsort((inside, folds[inside], sequences[inside]))]
        packed = np.packbits(fields(places[inside]), axis=1)
        starts = np.flatnonzero(run_begins((sequences[inside], folds[inside]), len(inside)))
        for start, stop in pairwise([*starts.tolist(), len(inside)]):
            part = inside[start:stop]
            key = int(sequences[part[0]]), int(folds[part[0]])
            span = self.spans.setdefault(key, Span(int(rows[part[0]]), int(times[part[0]])))
            span.add_steps(rows[part], within[part] & back[part])
            span.add_repeats(rows[part], within[part] & same[part], packed[start:stop])
            span.ascends |= bool(ascends[part].any())
            span.rows += len(part)
            span.last, span.present = int(rows[part[-1]]), packed[stop - 1].copy()
        for place in np.flatnonzero((former_folds >= 0) & ~within & ascends).tolist():
            self.spans[int(sequences[place]), int(former_folds[place])].ascends = True

    def _grow(self, size: int) -> None:
        more = max(0, size - len(self._last))
        self._last = np.append(self._last, np.full(more, _NEVER))
        self._late = np.append(self._late, np.full(more, -1))
        self._repeats = np.append(self._repeats, np.zeros(more, np.bool_))


@dataclass(frozen=True)
class Undecided:
    """Rows of one series in one fold whose pass is not known: how many, the first of them, its time, and why.

    ``why`` has {} for each of ``others``, rows of which it tells.
    """

    series: int
    first: int
    time: int
    rows: int
    why: str
    others: tuple[int, ...] = ()


class Passes:
    """The row with which the second pass begins, for each number of a series and of a fold."""

    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self.begins: dict[tuple[int, int], int] = {}

    def resolve(self, series: Integers, times: Integers, rows: Integers) -> Integers:
        """Return ``times``, instants of the first pass of each fold, with those of rows of the second pass moved."""
        numbers = self._folds.first_pass(times)
        inside = np.flatnonzero(numbers >= 0)
        if not len(inside):
            return times
        pairs, places = np.unique(np.stack((series[inside], numbers[inside])), axis=1, return_inverse=True)
        begins = np.array([self.begins[sequence, fold] for sequence, fold in pairs.T.tolist()], np.int64)
        shifts = np.array([self._folds.folds[fold].shift for fold in pairs[1].tolist()], np.int64)
        found = times.copy()
        found[inside] += np.where(rows[inside] >= begins[places], shifts[places], 0)
        return found


def infer_passes(
    folds: Folds, series: SequenceScan, files: SequenceScan, file_of: Callable[[int], int]
) -> tuple[Passes, tuple[Undecided, ...]]:
    """Return where second passes begin, and what is undecided, by the rule above.

    ``series`` and ``files`` are scans of the same rows; ``file_of`` returns the number of the file of a row.
    """
    passes = Passes(folds)
    undecided = []
    own = {key: span.step for key, span in series.spans.items() if _steps_once(series, key[0], span)}
    shown = {key: span.step for key, span in files.spans.items() if _steps_once(files, key[0], span)}
    framed: dict[tuple[int, int], tuple[int, int]] = {}
    for (number, fold), step in own.items():
        span, file = series.spans[number, fold], (file_of(step), fold)
        within = file_of(span.first) == file_of(span.last) == file[0]
        if within and file in shown and span.before < shown[file] <= step:
            first, last = framed.get(file, (span.first, span.last))
            framed[file] = min(first, span.first), max(last, span.last)
    for (number, fold), span in series.spans.items():
        file = file_of(span.first), fold
        first, last = framed.get(file, (span.last, span.first))
        if (number, fold) in own:
            passes.begins[number, fold] = own[number, fold]
        elif _ascending(series, number, span) and first < span.first <= span.last < last:
            passes.begins[number, fold] = shown[file]
        elif _repeats_once(series, number, span):
            passes.begins[number, fold] = span.repeat
        else:
            why, others = _explain(series, number, span)
            undecided.append(Undecided(number, span.first, span.time, span.rows, why, others))
    return passes, tuple(sorted(undecided, key=lambda each: each.first))


def _ascending(scan: SequenceScan, number: int, span: Span) -> bool:
    return scan.late(number) < 0 and not span.steps


def _steps_once(scan: SequenceScan, number: int, span: Span) -> bool:
    return scan.late(number) < 0 and span.steps == 1 and span.ascends


def _repeats_once(scan: SequenceScan, number: int, span: Span) -> bool:
    once = span.repeats == 1 and not span.apart and not scan.repeats(number)
    return _ascending(scan, number, span) and once and span.ascends


def _explain(scan: SequenceScan, number: int, span: Span) -> tuple[str, tuple[int, ...]]:
    if (late := scan.late(number)) >= 0:
        return "its rows are not in time order, {} is earlier than the one before it", (late,)
    if span.steps > 1:
        return "its local time goes back more than once, at {} and at {}", (span.step, span.again)
    if not span.ascends and (span.steps or span.repeats):
        return "no other row shows that its rows are in time order", ()
    if span.repeats or span.apart:
        return "its local times repeat, which may be duplicates", ()
    return "its local time never goes back there, so its rows may be of either pass", ()
