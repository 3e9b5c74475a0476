"""The outcome of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from loader.verification.aggregates.frames import Aggregates
from loader.verification.settings import Difference
from loader.verification.texts import cut


@dataclass
class Outcome:
    """How many values of the dataset were compared, the first ``limit`` differences, and how many there are.

    ``places`` are the (day, series) of all differences, as they are shown; ``cells`` has the counts of the dataset's
    values, one entry for each window; ``superseded`` counts values that a later row of the same identity replaces;
    ``unfit`` counts rows that cannot be points, which are differences, too.
    """

    limit: int
    values: int = 0
    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0
    places: set[tuple[str, str]] = field(default_factory=set)
    cells: list[Aggregates] = field(default_factory=list)
    superseded: int = 0
    unfit: int = 0

    def add(self, differences: Iterable[Difference]) -> None:
        """Count ``differences``, and list them up to the limit."""
        for difference in differences:
            self.difference_count += 1
            self.places.add((difference.day, difference.series))
            if len(self.differences) < self.limit:
                self.differences.append(difference)

    def add_unfit(self, differences: Sequence[Difference], number: int) -> None:
        """Count ``number`` rows that cannot be points, and list ``differences``, their first ones, up to the limit."""
        self.unfit += number
        self.difference_count += number
        self.differences += differences[: self.limit - len(self.differences)]

    def of_measurement(self, name: str) -> Outcome:
        """Return the outcome with the measurement ``name`` before the name of each series."""
        named = [replace(each, series=f"{cut(name)},{each.series}".rstrip(",")) for each in self.differences]
        return replace(self, differences=named)


def merge_outcomes(outcomes: Sequence[Outcome], limit: int) -> Outcome:
    """Return all ``outcomes`` as one, in their order."""
    listed = [difference for outcome in outcomes for difference in outcome.differences]
    return Outcome(
        limit,
        sum(outcome.values for outcome in outcomes),
        listed[:limit],
        sum(outcome.difference_count for outcome in outcomes),
        set[tuple[str, str]]().union(*(outcome.places for outcome in outcomes)),
        [cells for outcome in outcomes for cells in outcome.cells],
        sum(outcome.superseded for outcome in outcomes),
        sum(outcome.unfit for outcome in outcomes),
    )
