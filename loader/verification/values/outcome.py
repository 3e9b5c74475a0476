"""What a comparison of all values found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from loader.verification.settings import Difference


@dataclass
class Outcome:
    """How many values of the dataset were compared, the first ``limit`` differences, and how many there are.

    ``places`` are the (day, series) of all differences; ``cells`` count the dataset's values by (series, day), a
    frame a window; ``duplicates`` are rows of an identity that a later row has.
    """

    limit: int
    values: int = 0
    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0
    places: set[tuple[str, str]] = field(default_factory=set)
    cells: list[pl.DataFrame] = field(default_factory=list)
    duplicates: int = 0

    def add(self, differences: Iterable[Difference]) -> None:
        """Count ``differences``, and list them up to the limit."""
        for difference in differences:
            self.difference_count += 1
            self.places.add((difference.day, difference.series))
            if len(self.differences) < self.limit:
                self.differences.append(difference)


def merged(outcomes: Sequence[Outcome], limit: int) -> Outcome:
    """Return all ``outcomes`` as one, in their order."""
    listed = [difference for outcome in outcomes for difference in outcome.differences]
    return Outcome(
        limit,
        sum(outcome.values for outcome in outcomes),
        listed[:limit],
        sum(outcome.difference_count for outcome in outcomes),
        set[tuple[str, str]]().union(*(outcome.places for outcome in outcomes)),
        [frame for outcome in outcomes for frame in outcome.cells],
        sum(outcome.duplicates for outcome in outcomes),
    )
