"""Verification of an increment in a bucket of real servers that holds more than the dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loader.errors import ConfigError
from loader.events import Event, Notice
from loader.loading import LoadSettings, load
from loader.servers.base import Target
from loader.staging.candles.settings import CandleRule
from loader.verification import VerifyReport, VerifySettings, verify
from tests.cases import Case, agreeing
from tests.points import DAY, FIRST_DAY, MINUTE

BOTH = pytest.mark.parametrize("values", [False, True])
OTHERS = (
    f"trades,symbol=AAPL,side=buy price=1,amount=1i {FIRST_DAY + 2}",  # a known series on a known day
    f"trades,symbol=OTHER,side=buy price=1,amount=1i {FIRST_DAY + 2}",
    f"trades,symbol=AAPL,side=buy,venue=x price=1,amount=1i {FIRST_DAY + 3}",
    f"trades,symbol=AAPL,side=buy other=1 {FIRST_DAY + MINUTE + 1}",
)


@pytest.fixture
def case(influx: Any, tmp_path: Path) -> Case:
    """Return a dataset, and a server that holds it and points of others."""
    case = agreeing(influx, tmp_path / "data")
    case.write(*OTHERS)
    return case


def kinds(report: VerifyReport) -> list[str]:
    """Return the kinds of differences."""
    return sorted(difference.kind for difference in report.differences)


@BOTH
def test_points_of_others_are_no_differences(case: Case, values: bool) -> None:
    """All points of the dataset are there: that is proven in either way; otherwise, others are found."""
    report = case.verify(values=values, surplus="ignore")
    assert (report.differences, report.surplus, report.windows) == ((), "ignore", 18)
    assert "surplus" in kinds(case.verify(values=values, surplus="fail"))


@BOTH
def test_what_is_missing_is_found_among_others(case: Case, values: bool) -> None:
    """A point that is missing is found where another one makes up for it in number, and so is a value that differs."""
    case.delete("AAPL", FIRST_DAY, FIRST_DAY + MINUTE)
    case.write(*OTHERS, f"trades,symbol=AAPL,side=sell price=1,amount=1i {FIRST_DAY + 9}")
    case.write(f"trades,symbol=MSFT,side=buy price=1.5 {FIRST_DAY + DAY + 1}")
    report = case.verify(values=values, surplus="ignore")
    assert kinds(report) == ["different", "missing", "missing"]
    assert {(each.day, *sorted(each.series.split(","))) for each in report.differences} == {
        ("2024-01-02", "side=buy", "symbol=AAPL"),
        ("2024-01-02", "side=sell", "symbol=AAPL"),
        ("2024-01-03", "side=buy", "symbol=MSFT"),
    }


def test_what_sums_cannot_tell_is_not_said(case: Case) -> None:
    """Where points are not fetched, a (series, day) with more values than expected is unproven."""
    report = case.verify(values=False, surplus="ignore", drills=0)
    assert kinds(report) == ["unproven", "unproven"]
    assert "--values compares them" in report.differences[0].detail


def test_a_bucket_that_was_there(influx: Any, tmp_path: Path) -> None:
    """Surplus is ignored, and that is said, where the load did not make the bucket; every value is compared then."""
    case = agreeing(influx, tmp_path / "data")
    case.write(*OTHERS)
    load(LoadSettings(case.root, case.target, restart=True))
    events: list[Event] = []
    report = verify(VerifySettings(case.root, case.target), events.append)
    said = [event.message for event in events if isinstance(event, Notice)]
    second = influx.kind == "v2"
    assert (report.differences, report.surplus, bool(report.values)) == ((), "ignore", second)
    assert any("only points of the dataset are compared" in words for words in said)
    assert any("sums prove less" in words for words in said) == second
    assert verify(VerifySettings(case.root, case.target, candles=_daily())).differences


def test_a_bucket_that_the_load_made(influx: Any, tmp_path: Path) -> None:
    """Points of others are differences there, and for a dataset without a load."""
    case = agreeing(influx, tmp_path / "data")
    assert case.verify().surplus == "fail"
    target = replace(case.target, bucket=f"made{next(influx.numbers)}")
    load(LoadSettings(case.root, target))
    assert verify(VerifySettings(case.root, target)).surplus == "fail"


def test_a_bucket_that_is_not_there(influx_v2: Any, tmp_path: Path) -> None:
    """All points are missing, whatever is ignored."""
    case = agreeing(influx_v2, tmp_path / "data")
    target = replace(case.target, bucket="nowhere")
    assert {*kinds(verify(VerifySettings(case.root, target, surplus="ignore")))} == {"missing"}


def _daily() -> CandleRule:
    return CandleRule(every=DAY)


def test_settings_that_cannot_work(tmp_path: Path) -> None:
    """Candles are of all points, and other words mean nothing."""
    target = Target("http://127.0.0.1:1", "trades")
    with pytest.raises(ConfigError, match="candles are of all points"):
        verify(VerifySettings(tmp_path, target, surplus="ignore", candles=_daily()))
    with pytest.raises(ConfigError, match="known are fail and ignore"):
        verify(VerifySettings(tmp_path, target, surplus="keep"))
