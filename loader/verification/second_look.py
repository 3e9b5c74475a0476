"""Looks again where the server may have answered before it had all of its points together.

While InfluxDB 3 moves points from memory to Parquet files, queries miss some of them, and do not say so: an answer of
200 with 7 of 720 points was seen, and right ones a minute later. So a difference counts only when two looks agree, and
the files of the database did not change between them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from loader.events import Notice, Observer, ignore
from loader.servers.tables import Files
from loader.waiting import pause

FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 10.0
_WAITING = "differences are asked for again, until two answers agree: the server may be moving points to files"
_UNSETTLED = "the server still moves points to files: differences may be of points that it does not show meanwhile"
Look = TypeVar("Look")


@dataclass
class SecondLook:
    """Repeats looks that find differences, together for at most ``seconds``.

    ``files`` tells what files the database has, None of a server whose answers are final.
    """

    files: Callable[[], Files] | None
    seconds: float
    observe: Observer
    closed: threading.Event
    _spent: float = 0.0
    _at_rest: Files | None = None
    _told: set[str] = field(default_factory=set)

    def settle(self, found: Look, look: Callable[[], Look], differences: Callable[[Look], object]) -> Look:
        """Return ``found``, or what another ``look`` finds, once two in a row have equal ``differences`` or none.

        ``differences`` are what must agree: false for none. While the files are those of two looks that agreed before,
        the second look follows at once. Raises what ``look`` and ``files`` raise.
        """
        if self.files is None or not differences(found):
            return found
        self._tell(_WAITING)
        files, began = self.files(), time.monotonic()
        wait = 0.0 if files == self._at_rest else FIRST_PAUSE_SECONDS
        while not pause(wait, self.closed):
            former, found = found, look()
            before, files = files, self.files()
            if not differences(found):
                break
            if files == before and differences(found) == differences(former):
                self._at_rest = files
                break
            if self._spent + time.monotonic() - began > self.seconds:
                self._tell(_UNSETTLED)
                break
            wait = min(max(FIRST_PAUSE_SECONDS, 2 * wait), _LONGEST_PAUSE_SECONDS)
        self._spent += time.monotonic() - began
        return found

    def _tell(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            self.observe(Notice(words))


def only_look() -> SecondLook:
    """Return the one for servers whose answers are final: it never looks again."""
    return SecondLook(None, 0.0, ignore, threading.Event())
