"""Every value of InfluxDB 3, by Parquet answers in windows of bounded size."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from loader.verification.values import by_window
from tests.on_servers.test_recorded_core import DAY, JANUARY_2, Stored, verified
from tests.recorded_core import recorded_core


def windows_of(queries: list[str]) -> list[str]:
    """Return the queries for all points of a window."""
    return [sql for sql in queries if "AS t0" in sql and "AS f0" in sql]


@pytest.mark.parametrize(("most", "asked_whole"), [(70, False), (100, True)])
def test_a_window_with_too_many_points_on_either_side_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, asked_whole: bool
) -> None:
    """A window of which the dataset has too many is not asked for; nor are points that only the server has held."""
    monkeypatch.setattr(by_window, "WINDOW_BYTES", most)
    more = pl.DataFrame(
        {"time": [JANUARY_2 + 5 + number * DAY // 8 for number in range(8)], "t0": "c", "f0": 1, "f1": None},
        schema_overrides={"f0": pl.Int64, "f1": pl.Float64},
    )
    stored = Stored()
    stored.frame = pl.concat([stored.frame, more])
    with recorded_core(stored) as core:
        report, _ = verified(core, tmp_path, values=True, surplus="fail")
        asked = windows_of(core.queries)
    assert [(each.kind, each.series) for each in report.differences] == [("surplus", "h=c")] * len(report.differences)
    assert sum(int(each.detail.split()[0]) for each in report.differences) == 8
    whole = f"nanos({JANUARY_2}) AND time < to_timestamp_nanos({JANUARY_2 + 2 * DAY})"
    assert any(whole in sql for sql in asked) == asked_whole
    assert len(asked) > 2


@pytest.mark.parametrize(("surplus", "kinds"), [("fail", {"surplus"}), ("ignore", set())])
def test_points_of_others(tmp_path: Path, surplus: str, kinds: set[str]) -> None:
    """They are differences, unless a surplus is ignored."""
    more = pl.DataFrame(
        {"time": [JANUARY_2 + 5], "t0": "c", "f0": 1, "f1": None},
        schema_overrides={"f0": pl.Int64, "f1": pl.Float64},
    )
    stored = Stored()
    stored.frame = pl.concat([stored.frame, more])
    with recorded_core(stored) as core:
        report, _ = verified(core, tmp_path, values=True, surplus=surplus)
    assert {each.kind for each in report.differences} == kinds
