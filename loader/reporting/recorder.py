"""Records a run for its metrics file: what it was told, what it did, how long it took, on which machine."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from loader.events import Event, Started
from loader.reporting.counts import Counts
from loader.reporting.metrics import machine, settings_json
from loader.reporting.timeline import Timeline
from loader.reporting.usage import Usage
from loader.reporting.versions import versions


class Recorder:
    """Observes a run of ``activity`` with ``settings``, and samples what it uses, within its ``with`` block.

    Memory is a few hundred samples and buckets, see ``Timeline`` and ``Durations``. From Python::

        with Recorder("load", settings) as recorder:
            report = load(settings, recorder.observe)
        write_metrics(settings.place.state, "load", recorder.content(report))
    """

    def __init__(self, activity: str, settings: Any) -> None:
        self.run = secrets.token_hex(4)
        self._activity = activity
        self._settings = settings
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._counts, self._usage = Counts(), Usage()
        self._phases: list[dict[str, Any]] = []
        self._timeline = Timeline(self._sample)

    def __enter__(self) -> Self:
        self._timeline.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timeline.__exit__(kind, error, trace)

    def observe(self, event: Event) -> None:
        """Count ``event``."""
        self._counts.count(event)
        if isinstance(event, Started):
            self._phases.append({"activity": event.activity, "seconds": self._seconds()})

    def content(self, report: Any, exit_code: int = 0, error: str = "") -> dict[str, Any]:
        """Return the metrics of the run, which ended with ``report``, for ``json.dump``; there is no token in them.

        ``timeline`` has columns of equal length: seconds since the start, and what was done and used until then;
        ``phases`` tells when which activity began.
        """
        return {
            "run": self.run,
            "activity": self._activity,
            "exit_code": exit_code,
            "error": error,
            "settings": settings_json(self._settings),
            "report": asdict(report) if report else None,
            **self._counts.read(),
            "started": self._started.isoformat(timespec="milliseconds"),
            "seconds": self._seconds(),
            **self._usage.read_peak(),
            "phases": self._phases,
            "timeline": self._timeline.columns(),
            "machine": machine(),
            "versions": versions(),
        }

    def _seconds(self) -> float:
        return round(time.monotonic() - self._clock, 3)

    def _sample(self) -> dict[str, float]:
        return {**self._counts.sample(), **self._usage.read()}
