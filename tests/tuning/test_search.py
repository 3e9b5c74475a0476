"""The search, with measurements of a machine whose clock the test moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.tuning.bench import Measured
from loader.tuning.search import MOST_REPEATS, Factor, Option, Search
from loader.tuning.settings import TunedSettings, Verdict


class Machine:
    """Takes ``rows`` rows at a rate that depends on the value, and keeps what was measured in which order."""

    def __init__(self, rate: Callable[[float], float], drift: float = 0.0) -> None:
        self.now = 0.0
        self.order: list[int] = []
        self._rate = rate
        self._drift = drift

    def factor(self, *connections: int, base: int = 0) -> Factor:
        """Return a factor whose values are numbers of connections."""
        options = [
            Option(str(number), TunedSettings(connections=number), lambda it=number: self._measure(it))  # type: ignore[misc]
            for number in connections
        ]
        return Factor("connections", options, base)

    def _measure(self, number: int) -> Measured:
        self.order.append(number)
        seconds = 1_000.0 / (self._rate(number) * (1 + self._drift * self.now))
        self.now += seconds
        return Measured(1_000, seconds, 0.5)

    def search(self, seconds: float, left: int = 0) -> Search:
        """Return a search on the machine's clock."""
        return Search(seconds, left, lambda: self.now)


@given(st.integers(1, 6), st.integers(0, 4))
def test_a_planted_best_is_found(best: int, base: int) -> None:
    """A value that is faster than all others is chosen from any start, and its trials say so."""
    machine = Machine(lambda number: 2_000.0 if number == best else 1_000.0)
    search = machine.search(1_000.0)
    assert search.compare(machine.factor(2, 3, 4, 5, 6, base=base)).value == str(best if best > 1 else base + 2)
    assert [trial.value for trial in search.trials if trial.chosen] == [str(best if best > 1 else base + 2)]
    assert {len(trial.rates) for trial in search.trials} == {MOST_REPEATS}
    assert {trial.cpu_seconds for trial in search.trials} == {500.0}


def test_values_take_turns() -> None:
    """Each value is measured once before one is measured again, forwards and backwards; a drift decides nothing."""
    machine = Machine(lambda number: 1_000.0, drift=0.02)
    search = machine.search(100.0)
    assert search.compare(machine.factor(1, 2, 3)).value == "1"
    assert machine.order[:9] == [1, 2, 3, 3, 2, 1, 1, 2, 3]
    assert [trial.verdict for trial in search.trials] == [Verdict.BASE, Verdict.NOISE, Verdict.NOISE]


def test_the_time_is_shared_and_kept() -> None:
    """A factor takes its share of the seconds, but three turns where the time allows; the end is not overrun."""
    machine = Machine(lambda number: 1_000.0)
    search = machine.search(20.0, 4)
    search.compare(machine.factor(1, 2))
    assert machine.now == pytest.approx(10.0)
    search.compare(machine.factor(1, 2))
    assert machine.now == pytest.approx(20.0)
    assert search.notes == []
    search.compare(machine.factor(1, 2))
    assert len(search.trials) == 4
    assert search.unmeasured == ["connections"]
    late = Machine(lambda number: 1_000.0)
    search = late.search(7.0, 100)
    search.compare(late.factor(1, 2))
    assert late.now == pytest.approx(6.0)


def test_time_is_kept_for_the_last_word() -> None:
    """What the other factors leave is enough for two values, as long as they took until then."""
    machine = Machine(lambda number: 1_000.0)
    search = machine.search(19.0)
    search.kept = 2.0
    search.compare(machine.factor(1, 2))
    assert machine.now == pytest.approx(8.0)
    search.compare(machine.factor(1, 2))
    assert [len(trial.rates) for trial in search.trials] == [4, 4]
    search.left = 100
    search.compare(machine.factor(1, 2), last_word=True)
    assert [len(trial.rates) for trial in search.trials] == [4, 4, 5, 5]


def test_hopeless_values_are_not_repeated() -> None:
    """A value far behind is measured twice, and slower; the base is repeated however slow it is."""
    machine = Machine(lambda number: 100.0 if number < 3 else 1_000.0)
    search = machine.search(1_000.0)
    assert search.compare(machine.factor(1, 2, 3, base=1)).value == "3"
    assert [len(trial.rates) for trial in search.trials] == [2, MOST_REPEATS, MOST_REPEATS]
    again = Machine(lambda number: 100.0 if number < 3 else 1_000.0)
    search = again.search(1_000.0)
    search.compare(again.factor(1, 3, base=1))
    assert [trial.verdict for trial in search.trials] == [Verdict.SLOWER, Verdict.BASE]


def test_a_pause_of_the_server_makes_nothing_hopeless() -> None:
    """A value that was slow once is repeated, and found to be the fastest."""
    machine = Machine(lambda number: 100.0 if machine.order == [2, 3] else number * 1_000.0)
    search = machine.search(1_000.0)
    search.compare(machine.factor(2, 3))
    assert [len(trial.rates) for trial in search.trials] == [MOST_REPEATS, MOST_REPEATS]
    assert search.trials[1].verdict is not Verdict.SLOWER


def test_trials_that_take_longer_than_expected_end_with_the_time() -> None:
    """The first turn of a factor is cut off, too, when the time is over."""
    machine = Machine(lambda number: 100.0)
    search = machine.search(25.0)
    search.compare(machine.factor(1, 2, 3, 4, 5))
    assert machine.order == [1, 2, 3]
    assert search.unmeasured == ["connections"]


def test_nothing_to_compare_is_not_measured() -> None:
    """A single value is the answer; what its factor has to say of other values is noted."""
    machine = Machine(lambda number: 1_000.0)
    search = machine.search(10.0)
    factor = machine.factor(3)
    assert search.compare(Factor(factor.name, factor.options, 0, ["6 is not measured"])).value == "3"
    assert machine.order == []
    assert search.notes == ["6 is not measured"]


def test_what_was_measured_is_kept_after_an_error() -> None:
    """An error comes through, and the trials until then are there, the base chosen; none without the base."""

    def fail() -> Measured:
        raise ValueError("gone")

    machine = Machine(lambda number: 1_000.0)
    search = machine.search(10.0)
    options = [*machine.factor(1).options, Option("2", TunedSettings(), fail)]
    for base, found in ((0, [("1", True)]), (1, [])):
        with pytest.raises(ValueError, match="gone"):
            search.compare(Factor("connections", options, base))
        assert [(trial.value, trial.chosen) for trial in search.trials] == found
        search.trials.clear()
