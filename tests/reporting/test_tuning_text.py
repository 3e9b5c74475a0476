"""The text of a tuning."""

from __future__ import annotations

from dataclasses import replace

from loader.reporting.tuning_text import tuning_text
from loader.tuning import TunedSettings, TuneReport
from loader.tuning.settings import Trial, Verdict

START, FOUND = TunedSettings(), TunedSettings(connections=6)
TRIALS = (
    Trial("connections", "3", (100_000.0, 101_000.0, 102_000.0), 101_000.0, 0.02, 1.0, 0.25, Verdict.BASE, False),
    Trial("connections", "6", (150_000.0, 151_000.0, 152_000.0), 151_000.0, 0.013, 1.5, 0.25, Verdict.FASTER, True),
    Trial("compression", "none", (150_000.0,), 150_000.0, 0.0, 1.0, 0.3, Verdict.BASE, True),
)
REPORT = TuneReport(
    *(
        "http://localhost:8086",
        "InfluxDB 2.9.1",
        "0",
        "2026-11-30T12:00:00+00:00",
        60.0,
        2_000_000,
        300_000,
        20_000_000,
    ),
    *(START, FOUND, FOUND.flags, 1.5, TRIALS, ("something to know",), False, "data/.loader/tuning.json"),
)


def test_what_was_found() -> None:
    """The table has a row for each value, and the flags are there to be copied."""
    text = tuning_text(REPORT)
    assert "300,000 of 2,000,000 rows a trial" in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("> 6")]
    assert row == [">", "6", "151,000", "1%", "1.50", "3", "0.25", "faster"]
    assert "fastest, 1.50 times the start:\n  --batch-lines 20000" in text
    assert "--connections 6" in text
    assert "loader load --tuned takes them" in text
    assert "note: something to know" in text
    assert "Within the noise: the ranges" in text
    (alone,) = [line.split() for line in text.splitlines() if line.startswith("> none")]
    assert alone == [">", "none", "150,000", "1.00", "1", "0.30"], "one repeat has no spread"


def test_nothing_better() -> None:
    """It is said plainly, and so is which settings to use; what was not kept is not offered."""
    text = tuning_text(replace(REPORT, found=START, flags=START.flags, path=""))
    assert "nothing that was measured is faster than these settings beyond the noise:" in text
    assert START.flags in text
    assert "--tuned" not in text


def test_a_stop() -> None:
    """What was measured is shown, and nothing recommended; there may be nothing at all."""
    text = tuning_text(replace(REPORT, interrupted=True))
    assert text.startswith("stopped  InfluxDB 2.9.1")
    assert "--connections" not in text
    assert "points/s" not in tuning_text(replace(REPORT, interrupted=True, trials=()))
    early = replace(REPORT, interrupted=True, trials=(), notes=(), server="", sample_rows=0)
    assert tuning_text(early) == "stopped  http://localhost:8086, 60 s"


def test_nothing_measured() -> None:
    """Then nothing is said to be fastest."""
    text = tuning_text(replace(REPORT, found=START, flags=START.flags, trials=()))
    assert "nothing was measured" in text
    assert "faster" not in text
