"""The search: measures the values of one factor after another, and goes on with the best of each.

The values of a factor take turns, forwards and backwards, so that drift of the machine meets all alike. Each factor
has its share of the time that is left, by its number of values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from loader.tuning.bench import Measured
from loader.tuning.rule import LEAST_REPEATS, choose, is_hopeless, judge, spread
from loader.tuning.settings import Trial, TunedSettings, Verdict

LAST_REPEATS = 5
"""Repeats of the last word that time is kept for: by luck three are in the same order once in twenty times."""
MOST_REPEATS = 7


@dataclass(frozen=True)
class Option:
    """A value of a factor: what it is called, the settings that have it, and what measures it once."""

    value: str
    settings: TunedSettings
    measure: Callable[[], Measured]


@dataclass(frozen=True)
class Factor:
    """What varies, and its options, of which ``base`` is the one that the others are compared with.

    ``notes`` are sentences about values that are no options.
    """

    name: str
    options: Sequence[Option]
    base: int
    notes: Sequence[str] = ()

    @property
    def varies(self) -> bool:
        """Whether there is anything to compare."""
        return len(self.options) > 1


@dataclass
class Search:
    """Measures factors until ``deadline``; ``left`` is the number of values that are still to be measured.

    Of the time, ``kept`` seconds are for the last word on what was found. For factors that are ``unmeasured`` there was
    no time. ``clock`` returns seconds.
    """

    deadline: float
    left: int
    clock: Callable[[], float] = time.monotonic
    trials: list[Trial] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)
    kept: float = 0.0

    def compare(self, factor: Factor, *, last_word: bool = False) -> Option:
        """Measure ``factor``, add its trials, and return the option to use; ``last_word`` ends what time is kept for.

        Raises what measuring raises; what was measured until then is kept.
        """
        if last_word:
            self.kept = 0.0
        self.notes += factor.notes
        if not factor.varies:
            return factor.options[factor.base]
        now = self.clock()
        share = (self.deadline - now) * len(factor.options) / max(self.left, len(factor.options))
        self.left -= len(factor.options)
        measured: list[list[Measured]] = [[] for _ in factor.options]
        chosen = factor.base
        try:
            least = LAST_REPEATS if last_word else LEAST_REPEATS
            self._take_turns(factor, measured, now + share, least)
            if all(measured):
                chosen = choose(_rates(measured), factor.base)
            else:
                self.unmeasured.append(factor.name)
        finally:
            if measured[factor.base]:
                self.trials += _trials(factor, measured, chosen)
        return factor.options[chosen]

    @property
    def _end(self) -> float:
        return self.deadline - self.kept

    def _take_turns(self, factor: Factor, measured: list[list[Measured]], until: float, least: int) -> None:
        going = list(range(len(factor.options)))
        seconds = len(going) * self.kept / (2 * LAST_REPEATS)
        for turn in range(MOST_REPEATS):
            began = self.clock()
            # Fewer than so many repeats would decide nothing.
            if began + seconds > (self._end if turn < least else min(until, self._end)) or began >= self._end:
                return
            for number in going if turn % 2 == 0 else reversed(going):
                if self.clock() >= self._end:  # trials took longer than was to be expected
                    return
                measured[number].append(factor.options[number].measure())
            seconds = self.clock() - began
            self.kept = max(self.kept, 2 * LAST_REPEATS * seconds / len(going)) if self.kept else 0.0
            rates = _rates(measured)
            going = [number for number in going if number == factor.base or not is_hopeless(rates[number], rates)]
            # The next turn is shorter by what is left out.
            seconds *= sum(measured[number][-1].seconds for number in going) / sum(
                each[-1].seconds for each in measured
            )


def _rates(measured: Sequence[Sequence[Measured]]) -> list[list[float]]:
    return [[each.rate for each in repeats] for repeats in measured]


def _trials(factor: Factor, measured: Sequence[Sequence[Measured]], chosen: int) -> list[Trial]:
    base = _rates(measured)[factor.base]
    found = []
    for number, (option, repeats) in enumerate(zip(factor.options, measured, strict=True)):
        if not repeats:
            continue
        rates = [each.rate for each in repeats]
        found.append(
            Trial(
                factor=factor.name,
                value=option.value,
                rates=tuple(rates),
                rate=median(rates),
                spread=spread(rates),
                ratio=median(rates) / median(base),
                cpu_seconds=median(each.cpu_seconds / max(each.rows, 1) * 1e6 for each in repeats),
                verdict=Verdict.BASE if number == factor.base else judge(rates, base),
                chosen=number == chosen,
            )
        )
    return found
