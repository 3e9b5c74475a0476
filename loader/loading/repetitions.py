"""Identities of rows, and the search for repeated ones: by a key of eight bytes first, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loader.encoding.arrays import Integers, Mask

_MOST_BUCKETS = 1 << 16
_ODD = 0x9E3779B97F4A7C15 - (1 << 64)
"""2^64 divided by the golden ratio: multiples of it are far from each other."""


@dataclass(frozen=True)
class Identities:
    """Some rows of a partition: the number of the series, the time (nanoseconds) and the row number of each."""

    series: Integers
    times: Integers
    rows: Integers

    def at(self, positions: Integers | Mask) -> Identities:
        """Return those at ``positions``, or in a mask."""
        return Identities(self.series[positions], self.times[positions], self.rows[positions])


@dataclass(frozen=True)
class Slice:
    """Rows with ``start`` <= time < ``stop`` of every ``buckets``-th series, beginning with number ``bucket``.

    Rows of one instant cannot be divided by time, so they are divided by series.
    """

    start: int
    stop: int
    buckets: int = 1
    bucket: int = 0

    @property
    def divisible(self) -> bool:
        """Whether it can be divided into halves."""
        return self.stop - self.start > 1 or self.buckets < _MOST_BUCKETS

    def halves(self) -> tuple[Slice, Slice]:
        """Return two parts of it."""
        middle = (self.start + self.stop) // 2
        if middle > self.start:
            return replace(self, stop=middle), replace(self, start=middle)
        more = replace(self, buckets=2 * self.buckets)
        return more, replace(more, bucket=self.bucket + self.buckets)

    def holds(self, rows: Identities) -> Mask:
        """Tell which of ``rows`` are in it."""
        mask: Mask = (rows.times >= self.start) & (rows.times < self.stop)
        return mask if self.buckets == 1 else mask & (rows.series % self.buckets == self.bucket)


class Keys:
    """Collects keys of rows and finds equal ones; memory is reserved for ``most`` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Memory that is not touched costs nothing.
        self._keys = np.empty(most, np.int64)
        self._size = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return self._size

    @property
    def full(self) -> bool:
        """Whether there are more than ``most`` keys."""
        return self._size > self._most

    def add(self, rows: Identities) -> None:
        """Add the keys of ``rows``."""
        size = self._size + len(rows.rows)
        if size > len(self._keys):
            self._keys = np.append(self._keys[: self._size], np.empty(size, np.int64))
        self._keys[self._size : size] = keys_of(rows)
        self._size = size

    def find_repetitions(self) -> Mask:
        """Sort the keys, and tell for each but the first whether it equals the one before it."""
        keys = self._keys[: self._size]
        keys.sort()
        same: Mask = keys[1:] == keys[:-1]
        return same

    def repeated(self, same: Mask) -> Integers:
        """Return the repeated keys, each once; ``same`` is what ``find_repetitions`` returned."""
        return np.unique(self._keys[1 : self._size][same])


def keys_of(rows: Identities) -> Integers:
    """Return a number for each identity; different ones have the same only by chance."""
    return rows.series * _ODD + rows.times
