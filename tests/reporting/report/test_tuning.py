"""What a tuning left, read for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loader.dataset.state import write_json
from loader.errors import StageError
from loader.events import ignore
from loader.reporting.report import tuning
from loader.reporting.report.tuning import read_tuning
from loader.tuning.result import FILE, write_result
from loader.tuning.settings import Trial, TunedSettings, TuneReport, Verdict
from tests.datasets import small_dataset

TRIAL = Trial("connections", "3", (1.0, 2.5), 1.75, 0.8, 1.0, 0.3, Verdict.BASE, True)
REPORT = TuneReport(
    "http://localhost:1", "InfluxDB 2.9.1", "f", "2024-01-02T00:00:00+00:00", 1.0, 9, 9, 9,
    TunedSettings(), TunedSettings(), TunedSettings().flags, 1.0, (TRIAL,), (), False,
)  # fmt: skip
SAID: dict[str, Any] = {
    "version": 1,
    "measured": "m",
    "server": "s",
    "url": "u",
    "fingerprint": "f",
    "flags": "f",
    "gain": 1.0,
    "trials": [],
}


def test_what_a_tuning_kept_is_read(tmp_path: Path) -> None:
    """Settings, rates and verdicts; nothing before there was one."""
    small_dataset(tmp_path)
    assert read_tuning(tmp_path) is None
    write_result(tmp_path, REPORT, ignore)
    found = read_tuning(tmp_path)
    assert found is not None
    assert (found.url, found.fingerprint) == ("http://localhost:1", "f")
    assert found.factors == ()
    assert found.gain_of("connections", "6") == 0.0
    assert (found.server, found.flags, found.gain) == (REPORT.server, REPORT.flags, 1.0)
    (value,) = found.values
    assert (value.factor, value.value, value.rates, value.verdict) == ("connections", "3", (1.0, 2.5), "compared with")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gain": -1}, "the gain is -1"),
        ({"trials": 5}, "not an array"),
        ({"trials": [{}]}, "'factor' is missing"),
        ({"trials": [{"factor": "f", "value": "v", "rates": ["1"], "verdict": "faster"}]}, "a rate is '1'"),
        ({"trials": [{"factor": "f", "value": "v", "rates": [], "verdict": "odd"}]}, "'odd' is not a valid"),
        ({"trials": [{}] * 4}, "are 4, more than 3"),
    ],
)
def test_damage_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str) -> None:
    """With the file, and what to do."""
    monkeypatch.setattr(tuning, "_MOST_TRIALS", 3)
    small_dataset(tmp_path)
    write_json(tmp_path, FILE, SAID | changes)
    with pytest.raises(StageError, match=words) as caught:
        read_tuning(tmp_path)
    assert FILE in caught.value.message
