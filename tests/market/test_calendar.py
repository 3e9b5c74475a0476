"""Sessions of the exchange and of each day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from loader.errors import ConfigError
from loader.market.calendar import DAY, list_sessions

HOUR = DAY // 24


def nanoseconds(text: str) -> int:
    """Return the nanoseconds of a UTC time of whole seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_the_exchange_had_252_sessions_in_2024():
    """XNYS has its real sessions, in order, each within one UTC day."""
    sessions = list_sessions("XNYS", date(2024, 1, 1), date(2024, 12, 31))
    assert len(sessions) == 252
    assert [session.day for session in sessions] == sorted({session.day for session in sessions})
    for session in sessions:
        midnight = nanoseconds(session.day.isoformat())
        assert midnight <= session.start < session.stop <= midnight + DAY
    assert (sessions[0].start, sessions[0].stop) == (
        nanoseconds("2024-01-02T14:30:00"),
        nanoseconds("2024-01-02T21:00:00"),
    )


def test_early_closes_are_early():
    """Sessions before three holidays of 2024 end at 13:00 in New York; all others last six hours and a half."""
    sessions = list_sessions("XNYS", date(2024, 1, 1), date(2024, 12, 31))
    early = [session for session in sessions if session.stop - session.start != 6.5 * HOUR]
    assert [session.day.isoformat() for session in early] == ["2024-07-03", "2024-11-29", "2024-12-24"]
    assert early[0].stop == nanoseconds("2024-07-03T17:00:00")
    assert early[1].stop == nanoseconds("2024-11-29T18:00:00")


def test_round_the_clock_has_every_day_whole():
    """The calendar 24/7 has each UTC day, leap day included, without gaps."""
    sessions = list_sessions("24/7", date(2024, 1, 1), date(2024, 12, 31))
    assert len(sessions) == 366
    assert sessions[0].start == nanoseconds("2024-01-01")
    assert all(before.stop == after.start for before, after in pairwise(sessions))


def test_one_day_is_a_range():
    """Start and end are inclusive."""
    assert [s.day for s in list_sessions("XNYS", date(2024, 7, 5), date(2024, 7, 5))] == [date(2024, 7, 5)]


@pytest.mark.parametrize(
    ("calendar", "start", "end", "message"),
    [
        ("XMAS", date(2024, 1, 1), date(2024, 1, 5), "calendar 'XMAS': unknown"),
        ("XNYS", date(2024, 1, 6), date(2024, 1, 7), "no session of XNYS"),
        ("24/7", date(2024, 1, 7), date(2024, 1, 6), "no session of 24/7"),
        ("24/7", date(1969, 12, 31), date(2024, 1, 6), "not within 1970 to 2199"),
        ("24/7", date(2024, 1, 6), date(2200, 1, 1), "not within 1970 to 2199"),
    ],
)
def test_what_has_no_sessions_is_refused(calendar, start, end, message):
    """Unknown calendars and empty ranges are errors with a hint, which lists the known calendars."""
    with pytest.raises(ConfigError, match=message) as caught:
        list_sessions(calendar, start, end)
    assert caught.value.hint
    assert calendar != "XMAS" or caught.value.hint == "known are XNYS, 24/7"
