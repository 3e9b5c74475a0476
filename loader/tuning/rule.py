"""Decides from repeated measurements whether one value is faster than another. Pure.

The rule: a value is faster when its slowest repeat is faster than the other's fastest, and the ratio of the medians is
further from one than either spread (the range of the repeats as a share of their median), with LEAST_REPEATS repeats
than twice that: by luck alone, so few are in the same order once in twenty times. Fewer repeats tell nothing. All else
is within the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from loader.tuning.settings import Verdict

LEAST_REPEATS = 3
HOPELESS = 0.5
"""A value below this share of the rate of the best is not repeated; below that of the base's slowest, it is slower."""
HOPELESS_REPEATS = 2
"""One repeat may have met a pause of the server."""

Rates = Sequence[float]


def spread(rates: Rates) -> float:
    """Return the range of ``rates`` as a share of their median; 0 for a median of zero."""
    middle = median(rates)
    return (max(rates) - min(rates)) / middle if middle else 0.0


def is_faster(rates: Rates, others: Rates) -> bool:
    """Tell whether ``rates`` are above ``others`` beyond the noise."""
    repeats = min(len(rates), len(others))
    if repeats < LEAST_REPEATS or min(rates) <= max(others):
        return False
    noise = max(spread(rates), spread(others)) * (2 if repeats == LEAST_REPEATS else 1)
    return median(rates) > median(others) * (1 + noise)


def is_hopeless(rates: Rates, measured: Sequence[Rates]) -> bool:
    """Tell whether ``rates`` are so far behind the best of ``measured`` that they need not be repeated."""
    return len(rates) >= HOPELESS_REPEATS and max(rates) < HOPELESS * max(min(each) for each in measured)


def choose(measured: Sequence[Rates], base: int) -> int:
    """Return which of ``measured`` to use: ``base``, unless others are faster.

    Of those that are faster it is the best, or one nearer to ``base`` where the best is not faster than that one: a
    larger batch, or more connections, must be worth it.
    """
    faster = [number for number, rates in enumerate(measured) if number != base and is_faster(rates, measured[base])]
    if not faster:
        return base
    best = max(faster, key=lambda number: median(measured[number]))
    equal = [number for number in faster if not is_faster(measured[best], measured[number])]
    return min(equal, key=lambda number: (abs(number - base), -median(measured[number])))


def judge(rates: Rates, base: Rates) -> Verdict:
    """Return how ``rates`` compare with those of the base."""
    if is_faster(rates, base):
        return Verdict.FASTER
    if is_faster(base, rates) or (len(base) >= LEAST_REPEATS and is_hopeless(rates, [base])):
        return Verdict.SLOWER
    return Verdict.NOISE if min(len(rates), len(base)) >= LEAST_REPEATS else Verdict.UNKNOWN
