"""What a finding is, and what findings are worked out from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loader.reporting.report.runs import Run, newest
from loader.reporting.report.sample import Sample
from loader.reporting.report.tuning import Tuning
from loader.servers.address import same_server


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    NOTE = "note"
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found, the figure that shows it, the rule that it follows from, and what to do ("" for nothing)."""

    level: Level
    title: str
    figure: str
    rule: str
    advice: str = ""


@dataclass(frozen=True)
class Evidence:
    """What findings are worked out from: a dataset, runs on it, and a sample of its rows.

    ``complete`` tells whether its staging came to its end. ``runs`` are those on the dataset as it is now, and those
    that do not tell because they did not finish. ``tuning`` is one of the dataset as it is now.
    """

    rows: int
    complete: bool
    runs: Sequence[Run]
    sample: Sample
    tuning: Tuning | None = None

    @property
    def tuning_of_server(self) -> Tuning | None:
        """The tuning if it measured the server of the newest load, or if there was no load."""
        load = newest(self.runs, "load")
        there = self.tuning and (not load or same_server(self.tuning.url, load.url))
        return self.tuning if there else None

    def tuned(self, factor: str) -> bool:
        """Tell whether a tuning of this server measured ``factor``: then no rule of thumb says more of it."""
        return self.tuning_of_server is not None and factor in self.tuning_of_server.factors


Rule = Callable[[Evidence], Iterator[Finding]]
