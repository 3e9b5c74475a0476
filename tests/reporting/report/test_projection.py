"""What more rows would take."""

from __future__ import annotations

from loader.reporting.report.projection import project
from tests.reporting.report.runs import DAY, run, verified


def test_in_proportion() -> None:
    """Seconds and bytes grow with the rows; only steps that were measured are told."""
    day, year, billion = project(1_000_000, 5_000_000, 10 * DAY, [run(), verified(seconds=10.0), run(seconds=50.0)])
    assert (day.rows, year.rows, billion.rows) == (100_000, 36_500_000, 1_000_000_000)
    assert day.seconds == {"load (write)": 5.0, "verify (sums)": 1.0}
    assert billion.seconds == {"load (write)": 50_000.0, "verify (sums)": 10_000.0}
    assert (day.size, billion.size) == (500_000, 5_000_000_000)


def test_less_than_a_day() -> None:
    """A dataset of an hour has at least as many rows a day, and a run that did nothing tells nothing."""
    (day, *_) = project(1_000, 0, DAY // 24, [run(rows=0), run(activity="stage", way="", seconds=0.0)])
    assert (day.rows, day.seconds) == (1_000, {})
