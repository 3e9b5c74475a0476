"""Samples of a run over time."""

from __future__ import annotations

import time
from itertools import count

import pytest

from loader.reporting import timeline
from loader.reporting.timeline import Timeline


def test_few_samples_of_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it runs, there are few samples, over the whole time, the last of them taken at the end."""
    monkeypatch.setattr(timeline, "MOST_SAMPLES", 8)
    numbers = count()
    with Timeline(lambda: {"number": next(numbers)}, 0.001) as line:
        while next(numbers) < 5:
            time.sleep(0.001)
        deadline = time.monotonic() + 20
        while line.columns()["seconds"][-1] < 0.2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    last = next(numbers)
    columns = line.columns()
    assert columns.keys() == {"seconds", "number"}
    assert 3 <= len(columns["number"]) == len(columns["seconds"]) <= 8
    assert (columns["number"][0], columns["number"][-1]) == (0, last + 1)
    assert columns["seconds"][0] == 0.0
    assert columns["seconds"] == sorted(columns["seconds"])
    apart = [later - former for former, later in zip(columns["seconds"], columns["seconds"][1:], strict=False)]
    assert max(apart) < 0.2, "samples are spread over the run"


def test_it_ends() -> None:
    """After its block it takes no more samples."""
    numbers = count()
    with Timeline(lambda: {"number": next(numbers)}, 0.001):
        time.sleep(0.05)
    time.sleep(0.2)
    before = next(numbers)
    time.sleep(0.05)
    assert next(numbers) == before + 1
