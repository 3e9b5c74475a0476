"""How kernels are compiled."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from loader.encoding.compiled import compiled


@pytest.mark.parametrize("uncompiled", [False, True])
def test_sums_wrap_in_both_ways(monkeypatch: pytest.MonkeyPatch, uncompiled: bool) -> None:
    """A kernel gives the same result compiled and not: 64-bit sums wrap without a warning."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", uncompiled)

    def total(numbers: np.ndarray) -> np.uint64:
        found = np.uint64(0)
        for number in numbers:
            found = found + number
        return found

    assert compiled(total)(np.array([2**64 - 1, 2], np.uint64)) == 1


def test_without_a_place_to_keep_it_code_is_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that nobody may write to works, slower to start."""

    def nowhere(self: Dispatcher) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba.config, "DISABLE_JIT", False)
    monkeypatch.setattr(Dispatcher, "enable_caching", nowhere)

    def double(number: int) -> int:
        return 2 * number

    assert compiled(double)(21) == 42
