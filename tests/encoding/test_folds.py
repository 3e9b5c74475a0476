"""Folds of real zones: the same as those of the standard library, also where clocks go back for other reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.dataset.policy import Policy, duplicates_error
from loader.encoding.folds import NO_FOLDS, Fold, Folds, find_folds, merged_folds, merged_text

SECOND = 10**9
MINUTE = 60 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = {
    "Europe/Berlin": (2024, 60),
    "Australia/Lord_Howe": (2024, 30),
    "America/New_York": (1999, 60),
    "Africa/Casablanca": (2024, 60),
    "Pacific/Kwajalein": (1969, 23 * 60),
    "Antarctica/Troll": (2020, 120),
    "Asia/Pyongyang": (2015, 30),
    "America/Caracas": (2007, 30),
    "Europe/Moscow": (2014, 60),
}
"""A year in which clocks go back, and by how many minutes."""


def nanoseconds(moment: datetime) -> int:
    """Return an instant as nanoseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000


def found(zone: str, year: int) -> tuple[Fold, ...]:
    """Return the folds of a year."""
    return find_folds(
        zone, nanoseconds(datetime(year, 1, 1, tzinfo=UTC)), nanoseconds(datetime(year, 12, 31, tzinfo=UTC))
    )


@pytest.mark.parametrize("zone", ZONES)
def test_folds_are_where_the_library_has_a_second_pass(zone: str) -> None:
    """At each minute of the year, a time is in the second pass of a fold just where Python says fold=1."""
    year, minutes = ZONES[zone]
    folds = found(zone, year)
    assert [fold.shift for fold in folds] == [minutes * MINUTE]
    start = datetime(year, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=5 * number) for number in range(365 * 288)]
    second = {nanoseconds(moment) for moment in moments if moment.astimezone(ZoneInfo(zone)).fold}
    assert second == {
        nanoseconds(moment)
        for moment in moments
        if any(fold.stop <= nanoseconds(moment) < fold.stop + fold.shift for fold in folds)
    }


@given(st.integers(-20, 110))
def test_only_folds_that_the_range_touches_are_found(minutes: int) -> None:
    """A time of either pass finds the fold of 2024-10-27, from 00:00 to 02:00 in UTC, others do not."""
    moment = nanoseconds(datetime(2024, 10, 27, tzinfo=UTC)) + minutes * MINUTE
    assert bool(find_folds("Europe/Berlin", moment, moment)) == (0 <= minutes < 120)


def test_passes_of_many_times() -> None:
    """Each time is found in the first pass, in either pass, and as that of the first pass."""
    folds = Folds((Fold(10, 20), Fold(50, 55)))
    times = np.array([9, 10, 19, 20, 29, 30, 50, 55, 59, 60])
    assert folds.first_pass(times).tolist() == [-1, 0, 0, -1, -1, -1, 1, -1, -1, -1]
    assert folds.either_pass(times).tolist() == [False, *[True] * 4, False, *[True] * 3, False]
    assert folds.first_of_both(times).tolist() == [9, 10, 19, 10, 19, 30, 50, 50, 54, 60]
    assert folds.first_of_both(times[:1]).tolist() == [9]
    assert NO_FOLDS.first_of_both(times).tolist() == times.tolist()


def test_what_is_said_of_duplicates() -> None:
    """Those in a fold name the choice that made them, and the remedy comes before what is done with duplicates."""
    cause = merged_text(Policy("Europe/Berlin", "latest"), 3)
    error = duplicates_error(5, ["a row 1"], "x: ", cause, "stage them")
    assert error.message == (
        "x: 5 values belong to rows with the same series and time as a later row: a row 1; 3 of them lie where"
        " Europe/Berlin has each local time twice, as clocks go back, and --ambiguous latest takes both passes for the"
        " second one"
    )
    assert error.hint.startswith("stage them; only for true duplicates: let the last one count (--on-duplicate last)")
    usual = duplicates_error(5, ["a row 1"], cause=merged_text(Policy(), 0), remedy="stage them")
    assert usual.message.endswith("later row: a row 1")
    assert usual.hint.startswith("let the last one count")


@pytest.mark.parametrize("ambiguous", ["refuse", "infer", "earliest", "latest"])
def test_which_policies_take_two_passes_for_one(ambiguous: str) -> None:
    """Those that choose without a look at rows do, in a zone whose clocks change."""
    moment = nanoseconds(datetime(2024, 10, 27, tzinfo=UTC))
    merged = merged_folds(Policy("Europe/Berlin", ambiguous), moment, moment)
    assert bool(merged.folds) == (ambiguous in {"earliest", "latest"})
    assert not merged_folds(Policy("UTC", ambiguous), moment, moment).folds
