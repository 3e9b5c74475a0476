"""When one value is faster than another, and which is chosen."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.tuning.rule import LEAST_REPEATS, choose, is_faster, judge, spread
from loader.tuning.settings import Verdict

RATE = st.floats(1.0, 1e7)
RATES = st.lists(RATE, min_size=1, max_size=7)


@given(RATES, RATES)
def test_faster_is_beyond_all_noise(rates: list[float], others: list[float]) -> None:
    """Each repeat is faster than each of the other, the medians differ by more than a spread, and never both ways."""
    if is_faster(rates, others):
        assert all(mine > theirs for mine in rates for theirs in others)
        assert median(rates) / median(others) - 1 > max(spread(rates), spread(others)) * (1 - 1e-9)
        assert min(len(rates), len(others)) >= LEAST_REPEATS
        assert not is_faster(others, rates)


@given(st.lists(RATES, min_size=1, max_size=6), st.data())
def test_the_choice_is_never_within_the_noise(measured: list[list[float]], data: st.DataObject) -> None:
    """It is the base or faster than the base, and nothing that was measured is faster than it without being equal."""
    base = data.draw(st.integers(0, len(measured) - 1))
    chosen = choose(measured, base)
    assert chosen == base or is_faster(measured[chosen], measured[base])
    best = max(measured, key=median)
    if is_faster(best, measured[base]):
        assert chosen != base
        assert not is_faster(best, measured[chosen])


@given(RATES, st.permutations(range(5)))
def test_equal_measurements_change_nothing(rates: list[float], numbers: list[int]) -> None:
    """Values that were measured alike leave the base, whichever it is."""
    assert choose([rates] * len(numbers), numbers[0]) == numbers[0]


@given(st.lists(st.floats(0.97, 1.03), min_size=15, max_size=15), st.integers(0, 4), st.integers(0, 4))
def test_a_planted_fast_value_is_found(noise: list[float], base: int, fast: int) -> None:
    """A value that is a quarter faster is chosen in spite of three percent of noise; without it nothing is."""
    measured = [[1e5 * (1.25 if number == fast else 1.0) * each for each in noise[number::5]] for number in range(5)]
    assert choose(measured, base) == fast
    assert judge(measured[fast], measured[base]) == (Verdict.NOISE if base == fast else Verdict.FASTER)
    if base != fast:
        assert judge(measured[base], measured[fast]) == Verdict.SLOWER


def test_what_is_nearer_to_the_base_is_enough() -> None:
    """Of values that are equally fast, the one that changes least is chosen; the best, where it is worth it."""
    slow, fast, fastest = [100.0, 101.0, 102.0], [150.0, 151.0, 152.0], [200.0, 201.0, 202.0]
    assert choose([slow, fast, [151.0, 152.0, 153.0]], 0) == 1
    assert choose([slow, fast, fastest], 0) == 2
    assert choose([fast, slow, fast, fastest], 1) == 3


def test_luck_with_three_repeats_is_rare() -> None:
    """Of values that are equally fast, in noise of a fifth, hardly any is taken for faster; real gains are seen."""
    generator = random.Random(1)

    def repeats(rate: float, noise: float) -> list[float]:
        return [rate * generator.lognormvariate(0, noise) for _ in range(3)]

    lucky = sum(is_faster(repeats(1.0, 0.2), repeats(1.0, 0.2)) for _ in range(4_000))
    seen = sum(is_faster(repeats(1.25, 0.03), repeats(1.0, 0.03)) for _ in range(4_000))
    assert lucky < 40
    assert seen > 3_600


@pytest.mark.parametrize(
    ("rates", "base", "verdict"),
    [
        ([2.0, 2.0], [1.0, 1.0, 1.0], Verdict.UNKNOWN),
        ([2.0, 2.1], [5.0, 5.0, 5.0], Verdict.SLOWER),
        ([2.0], [5.0, 5.0, 5.0], Verdict.UNKNOWN),
        ([2.0, 2.1], [5.0, 5.0], Verdict.UNKNOWN),
        ([1.15, 1.16, 1.17], [1.0, 1.0, 1.1], Verdict.NOISE),
        ([1.15, 1.16, 1.17, 1.17], [1.0, 1.0, 1.0, 1.1], Verdict.FASTER),
        ([2.0, 2.1, 9.0], [1.0, 1.0, 1.0], Verdict.NOISE),
        ([1.05, 1.06, 1.2], [1.0, 1.0, 1.04], Verdict.NOISE),
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], Verdict.SLOWER),
    ],
)
def test_verdicts(rates: list[float], base: list[float], verdict: Verdict) -> None:
    """Too few repeats decide nothing, unless the value is hopeless; one outlier makes a difference noise."""
    assert judge(rates, base) == verdict
