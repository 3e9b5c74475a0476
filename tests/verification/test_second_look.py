"""Differences count only once two looks agree, and the server has stopped moving points to files."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from loader.events import Event, Notice
from loader.servers.tables import Files
from loader.verification import second_look
from loader.verification.second_look import SecondLook, only_look


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between looks."""
    monkeypatch.setattr(second_look, "FIRST_PAUSE_SECONDS", 0.0)


def looked(found: Sequence[int], files: Sequence[int], seconds: float = 60.0) -> tuple[int, list[int], list[str]]:
    """Return what is settled of the looks ``found``, those that were not taken, and the notices."""
    events: list[Event] = []
    left, numbers = list(found), iter(files)
    looks = SecondLook(lambda: Files(next(numbers), 0), seconds, events.append, threading.Event())
    settled = looks.settle(left.pop(0), lambda: left.pop(0), lambda each: each)
    return settled, left, [event.message for event in events if isinstance(event, Notice)]


def test_no_difference_is_final() -> None:
    """A first look that agrees is not repeated, and no files are counted."""
    assert looked([0], []) == (0, [], [])


def test_a_shortfall_that_passes_is_none() -> None:
    """As was seen of 720 points: 713, 588, 470 and 355 missing, and then none."""
    settled, left, notices = looked([713, 588, 470, 355, 0], [27, 148, 266, 382, 489])
    assert (settled, left) == (0, [])
    assert ["until two answers agree" in notice for notice in notices] == [True]


def test_two_looks_that_agree_while_files_grow_are_not_enough() -> None:
    """A count of 0 was seen for a minute, while files of the table grew."""
    assert looked([5, 5, 5, 5], [1, 2, 3, 3])[:2] == (5, [])


def test_two_looks_that_agree_count() -> None:
    """Points that are missing for good are found after two looks."""
    assert looked([5, 5, 9], [3, 3])[:2] == (5, [9])


def test_a_server_at_rest_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two looks that agreed, the next difference is looked at again at once, as long as no file comes."""
    files = iter([3, 3, 3, 3])
    looks = SecondLook(lambda: Files(next(files), 0), 60.0, lambda event: None, threading.Event())
    assert looks.settle(5, lambda: 5, lambda each: each) == 5
    monkeypatch.setattr(second_look, "FIRST_PAUSE_SECONDS", 3_600.0)
    assert looks.settle(7, lambda: 7, lambda each: each) == 7


def test_time_is_bounded() -> None:
    """When the server does not come to rest, the last look counts, and a notice says so."""
    settled, left, notices = looked([5, 4, 3], [1, 2], seconds=0.0)
    assert (settled, left) == (4, [3])
    assert "still moves points" in notices[-1]


def test_a_stop_ends_the_wait() -> None:
    """What was found until then counts."""
    closed = threading.Event()
    closed.set()
    looks = SecondLook(lambda: Files(1, 1), 60.0, lambda event: None, closed)
    assert looks.settle(5, lambda: 0, lambda each: each) == 5


def test_other_servers_are_asked_once() -> None:
    """Answers of InfluxDB 1 and 2 are final."""
    assert only_look().settle(5, lambda: 0, lambda each: each) == 5
