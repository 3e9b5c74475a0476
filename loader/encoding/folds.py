"""Folds: the times that a time zone has twice, because its clocks go back (PEP 495); pure, integers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.instant import DAY
from loader.dataset.policy import Ambiguous, Policy
from loader.encoding.arrays import Integers, Mask

_SECOND = 1_000_000_000
_STEP = 21_600
"""Seconds between the samples of a zone's offsets: no zone changes its clocks twice in six hours."""
_KNOWN = -(1 << 63) // _SECOND + 1, 2_145_916_800
"""Seconds: the first time of nanoseconds, and 2038, from which on no local time is accepted."""


@dataclass(frozen=True)
class Fold:
    """A change of clocks at ``stop`` that shows the local times of ``start`` to ``stop`` again: the second pass.

    Both are instants, in nanoseconds. The first pass of a local time is ``start`` <= t < ``stop``, the second is
    ``shift`` later.
    """

    start: int
    stop: int

    @property
    def shift(self) -> int:
        """The nanoseconds by which clocks go back: an hour in most zones, half an hour on Lord Howe Island."""
        return self.stop - self.start


def find_folds(zone: str, first: int, last: int) -> tuple[Fold, ...]:
    """Return the folds of ``zone`` (IANA) that have an instant from ``first`` to ``last`` (nanoseconds), in order.

    The clocks are those of Arrow, which converts local times. Memory is 50 bytes for each six hours in the range.
    """
    low = max(_KNOWN[0], (first - 2 * DAY) // _SECOND)
    high = min(_KNOWN[1], (last + 2 * DAY) // _SECOND)
    samples = np.append(np.arange(low, high, _STEP, dtype=np.int64), high)
    offsets = _offsets(zone, samples)
    folds = []
    for place in np.flatnonzero(offsets[1:] < offsets[:-1]).tolist():
        before, after = int(samples[place]), int(samples[place + 1])
        while after - before > 1:
            middle = (before + after) // 2
            if _offsets(zone, np.array([middle]))[0] == offsets[place]:
                before = middle
            else:
                after = middle
        shift = int(offsets[place] - offsets[place + 1])
        folds.append(Fold((after - shift) * _SECOND, after * _SECOND))
    return tuple(fold for fold in folds if fold.start <= last and first < fold.stop + fold.shift)


def _offsets(zone: str, seconds: Integers) -> Integers:
    """Return by how many seconds local time is ahead of UTC at each of ``seconds``."""
    instants = pa.array(seconds, pa.timestamp("s", zone))
    local: Integers = pc.local_timestamp(instants).cast(pa.int64()).to_numpy()
    return local - seconds


class Folds:
    """Finds of many times at once in which of ``folds`` they are."""

    def __init__(self, folds: tuple[Fold, ...]) -> None:
        assert all(former.stop + former.shift <= later.start for former, later in pairwise(folds))
        self.folds = folds
        self._starts = np.array([fold.start for fold in folds], np.int64)
        self._stops = np.array([fold.stop for fold in folds], np.int64)
        self._ends = np.array([fold.stop + fold.shift for fold in folds], np.int64)

    def first_pass(self, times: Integers) -> Integers:
        """Return the number of the fold in whose first pass each time is, -1 for other times."""
        return self._numbers(times, self._stops)

    def either_pass(self, times: Integers) -> Mask:
        """Tell which times are in a pass of any fold."""
        mask: Mask = self._numbers(times, self._ends) >= 0
        return mask

    def first_of_both(self, times: Integers) -> Integers:
        """Return ``times``, those of a second pass as those of the first pass that have the same local time."""
        numbers = self._numbers(times, self._ends)
        if not (numbers >= 0).any():
            return times
        late = (numbers >= 0) & (times >= self._stops[numbers])
        found: Integers = np.where(late, times - (self._stops - self._starts)[numbers], times)
        return found

    def _numbers(self, times: Integers, ends: Integers) -> Integers:
        if not self.folds:
            return np.full(len(times), -1)
        places = np.searchsorted(self._starts, times, side="right") - 1
        found: Integers = np.where((places >= 0) & (times < ends[places]), places, -1)
        return found


NO_FOLDS = Folds(())


def merged_folds(policy: Policy, first: int, last: int) -> Folds:
    """Return the folds from ``first`` to ``last`` whose two passes ``policy`` takes for one; often there are none."""
    merges = policy.local and policy.ambiguous in _MERGED
    return Folds(find_folds(policy.local, first, last)) if merges else NO_FOLDS


def merged_text(policy: Policy, values: int) -> str:
    """Return in a sentence why ``values`` replaced ones are in ``merged_folds``, "" if none is."""
    if not values:
        return ""
    return (
        f"{values:,} of them lie where {policy.local} has each local time twice, as clocks go back, and --ambiguous"
        f" {policy.ambiguous} takes both passes for the {_MERGED[policy.ambiguous]} one"
    )


_MERGED: Mapping[str, str] = {Ambiguous.EARLIEST: "first", Ambiguous.LATEST: "second"}
