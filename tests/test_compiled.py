"""How kernels are compiled."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from loader.encoding.tsm.compiled import compiled


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
