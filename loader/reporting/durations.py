"""Durations in few buckets, from which percentiles are read."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

_GROWTH = 1.05
_SHORTEST = 1e-6
_PERCENTILES = (50, 90, 99)


class Durations:
    """A histogram of durations. Each bucket is a twentieth longer than the one before: 500 reach from 1 us to 10 h."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.number = 0
        self.seconds = 0.0
        self._longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[math.ceil(math.log(max(seconds, _SHORTEST) / _SHORTEST, _GROWTH))] += 1
        self.number += 1
        self.seconds += seconds
        self._longest = max(self._longest, seconds)

    def percentile(self, percent: int) -> float:
        """Return a duration that ``percent`` in a hundred do not exceed, at most a twentieth too long; 0 for none."""
        wanted, counted = math.ceil(self.number * percent / 100), 0
        # Copied, since another thread may be counting: last words are said at any moment.
        for bucket, number in sorted(self._counts.copy().items()):
            counted += number
            if counted >= wanted:
                return min(_SHORTEST * _GROWTH**bucket, self._longest)
        return 0.0

    def read(self) -> dict[str, Any]:
        """Return number, sum, percentiles and maximum, in seconds."""
        percentiles = {f"p{percent}": round(self.percentile(percent), 6) for percent in _PERCENTILES}
        return {"number": self.number, "sum": round(self.seconds, 3), **percentiles, "max": round(self._longest, 6)}
