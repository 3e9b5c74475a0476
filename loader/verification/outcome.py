"""The outcome of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from loader.verification.aggregates.frames import Aggregates
from loader.verification.points import EXAMPLES
from loader.verification.settings import Difference, UnfitRows
from loader.verification.texts import cut


def merge_unfit(groups: Iterable[UnfitRows]) -> tuple[UnfitRows, ...]:
    """Return ``groups`` with those of one reason as one, the largest first; each has up to EXAMPLES examples."""
    numbers: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for group in groups:
        key = (group.measurement, group.column, group.reason)
        numbers[key] += group.number
        examples[key] = (*examples.get(key, ()), *group.examples)[:EXAMPLES]
    return tuple(UnfitRows(*key, number, examples[key]) for key, number in numbers.most_common())


@dataclass
class Outcome:
    """How many values of the dataset were compared, the first ``limit`` differences, and how many there are.

    ``stored`` is the same as ``cells`` for all that the server's files hold there, where surplus is ignored;
    ``places`` are the (day, series) of all differences, as they are shown; ``cells`` has the counts of the dataset's
    values, one entry for each window; ``superseded`` counts values that a later row of the same identity replaces;
    ``unfit`` are rows that cannot be points, by reason: they are not compared, and are no differences.
    """

    limit: int
    values: int = 0
    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0
    places: set[tuple[str, str]] = field(default_factory=set)
    cells: list[Aggregates] = field(default_factory=list)
    stored: list[Aggregates] = field(default_factory=list)
    superseded: int = 0
    unfit: tuple[UnfitRows, ...] = ()

    def add(self, differences: Iterable[Difference]) -> None:
        """Count ``differences``, and list them up to the limit."""
        for difference in differences:
            self.difference_count += 1
            self.places.add((difference.day, difference.series))
            if len(self.differences) < self.limit:
                self.differences.append(difference)

    def add_unfit(self, groups: Iterable[UnfitRows]) -> None:
        """Count rows that cannot be points."""
        self.unfit = merge_unfit((*self.unfit, *groups))

    def of_measurement(self, name: str) -> Outcome:
        """Return the outcome with the measurement ``name`` before the name of each series."""
        named = [replace(each, series=f"{cut(name)},{each.series}".rstrip(",")) for each in self.differences]
        unfit = tuple(replace(each, measurement=cut(name)) for each in self.unfit)
        return replace(self, differences=named, unfit=unfit)


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
        [cells for outcome in outcomes for cells in outcome.stored],
        sum(outcome.superseded for outcome in outcomes),
        merge_unfit(group for outcome in outcomes for group in outcome.unfit),
    )
