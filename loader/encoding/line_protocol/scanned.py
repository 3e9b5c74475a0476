"""The result of a scan of a block: lines and the values of their fields, in arrays of one item each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loader.encoding.arrays import Bytes, Integers, Words


class Lines(NamedTuple):
    """The lines that are neither blank nor comments, one item each.

    ``starts`` and ``stops`` are their bounds, ``numbers`` their numbers in the file, ``series`` the names of their
    series, ``times`` their times in the unit of the text, ``values`` how many values there are up to their end,
    ``faults`` their faults, and ``places`` where these are, or where the series begins. About 65 bytes a line.
    """

    starts: Integers
    stops: Integers
    numbers: Integers
    series: Integers
    times: Integers
    values: Integers
    faults: Bytes
    places: Integers

    @classmethod
    def allocate(cls, count: int) -> Lines:
        """Return room for ``count`` lines."""
        starts, stops, numbers, series, times, values, places = (np.empty(count, np.int64) for _ in range(7))
        return cls(starts, stops, numbers, series, times, values, np.empty(count, np.uint8), places)

    def first(self, count: int) -> Lines:
        """Return the first ``count`` lines, not copied."""
        starts, stops, numbers, series, times, values, found, places = self
        first = (starts[:count], stops[:count], numbers[:count], series[:count], times[:count], values[:count])
        return Lines(*first, found[:count], places[:count])


class Bounds(NamedTuple):
    """The bytes of a block that are lines, and the first and last time that a line may have, in its unit."""

    size: int
    earliest: int
    latest: int


AT, LINES, VALUES, NUMBER, LAST = 0, 1, 2, 3, 4
"""Items of the progress of a scan: the byte, lines and values so far, the number of the next line, the last series."""


class Values(NamedTuple):
    """The values of fields, one item each: their field's name, their kind and bits, and where their key begins.

    ``floats`` are the bits again. About 25 bytes a value.
    """

    fields: Integers
    kinds: Bytes
    bits: Words
    floats: npt.NDArray[np.float64]
    starts: Integers

    @classmethod
    def allocate(cls, count: int) -> Values:
        """Return room for ``count`` values."""
        fields, starts = np.empty(count, np.int64), np.empty(count, np.int64)
        bits = np.empty(count, np.uint64)
        return cls(fields, np.empty(count, np.uint8), bits, bits.view(np.float64), starts)

    def first(self, count: int) -> Values:
        """Return the first ``count`` values, not copied."""
        fields, kinds, bits, floats, starts = self
        return Values(fields[:count], kinds[:count], bits[:count], floats[:count], starts[:count])
