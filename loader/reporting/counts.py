"""Counts from events what a run has done so far: the same figures for people and for metrics files."""

from __future__ import annotations

from typing import Any

from loader.events import Advanced, Answered, Event, Rejected, Started, Waited
from loader.reporting.durations import Durations


class Counts:
    """Counts events: all rows, rows done, rows done by earlier runs, bytes, requests, retries, rejected rows, waits."""

    def __init__(self) -> None:
        self.activity = ""
        self.rows = 0
        self.rows_done = 0
        self.rows_resumed = 0
        self.size = 0
        self.retries = 0
        self.rejected = 0
        self.waits: dict[str, float] = {}
        self.requests = Durations()

    def count(self, event: Event) -> None:
        """Count ``event``."""
        match event:
            case Started(activity, rows, rows_done):
                self.activity, self.rows = activity, rows
                self.rows_done = self.rows_resumed = rows_done
            case Advanced(rows, size):
                self.rows_done += rows
                self.size += size
            case Waited(cause, seconds):
                self.retries += cause == "retry"
                self.waits[cause] = self.waits.get(cause, 0.0) + seconds
            case Answered(seconds):
                self.requests.add(seconds)
            case Rejected(rows):
                self.rejected += rows
            case _:
                pass

    def read(self) -> dict[str, Any]:
        """Return what this run did, for metrics.

        "bytes" are those written to disk or sent; "waits" are seconds by cause; "requests" tells how long the server
        took for each, in seconds.
        """
        return {
            "rows": self.rows_done - self.rows_resumed,
            "rows_resumed": self.rows_resumed,
            "bytes": self.size,
            "retries": self.retries,
            "rejected": self.rejected,
            "waits": {cause: round(seconds, 3) for cause, seconds in self.waits.copy().items()},
            "requests": self.requests.read(),
        }

    def sample(self) -> dict[str, float]:
        """Return what this run did so far, for its timeline; ``request_seconds`` is the sum of all requests."""
        return {
            "rows": self.rows_done - self.rows_resumed,
            "bytes": self.size,
            "requests": self.requests.number,
            "request_seconds": round(self.requests.seconds, 3),
            "retries": self.retries,
            "rejected": self.rejected,
        }
