"""What more rows would take."""

from __future__ import annotations

from loader.reporting.report.projection import project
from tests.reporting.report.runs import DAY, run, verified


def test_in_proportion() -> None:
    """Seconds and bytes grow with the rows; only steps that were measured are told."""
    day, year, billion = project(
        1_000_000, 5_000_000, 10 * DAY, [run(), verified(work_seconds=10.0), run(work_seconds=50.0)]
    )
    assert (day.rows, year.rows, billion.rows) == (100_000, 36_500_000, 1_000_000_000)
    assert day.seconds == {"load (write)": 5.0, "verify (sums)": 1.0}
    assert billion.seconds == {"load (write)": 50_000.0, "verify (sums)": 10_000.0}
    assert (day.size, billion.size) == (500_000, 5_000_000_000)


def test_what_tells_nothing() -> None:
    """A dataset of less than a day has no rate of a day; runs that did nothing, or kept a rate, are left out."""
    runs = [run(rows=0), run(activity="stage", way="", work_seconds=0.0), run(settings={"rate": 5.0})]
    (billion,) = project(1_000, 0, DAY // 24, runs)
    assert (billion.rows, billion.seconds) == (1_000_000_000, {})
