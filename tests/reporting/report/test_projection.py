"""What more rows would take."""

from __future__ import annotations

from typing import Any

import pytest

from loader.reporting.report.projection import project, unprojected
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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"work_seconds": 4.9}, "its newest run took 4.9 s for 1,000,000 rows, and at least 5 s"),
        ({"rows": 99_999}, "its newest run took 100.0 s for 99,999 rows, and at least 5 s and 100,000 rows"),
        ({"settings": {"rate": 5.0}}, "it kept a --rate"),
    ],
)
def test_a_run_that_tells_nothing_of_larger_ones(changes: dict[str, Any], words: str) -> None:
    """It gives no projection, and the reason is told; a dataset of less than a day has no rate of a day."""
    (billion,) = project(1_000, 0, DAY // 24, [run(**changes), verified()])
    assert (billion.rows, [*billion.seconds]) == (1_000_000_000, ["verify (sums)"])
    (step,) = unprojected([run(**changes), verified()]).items()
    assert step[0] == "load (write)"
    assert words in step[1]
