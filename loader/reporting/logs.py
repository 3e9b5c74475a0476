"""Events as records of the standard ``logging``, one line each, as text or as JSON.

The library never configures logging: a program passes ``EventLog(logger)`` as Observer, and has handlers of its own::

    load(settings, EventLog(logging.getLogger("loader")))
"""

from __future__ import annotations

import json
import logging
import secrets as random_numbers
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from loader.events import Event, Notice, Rejected, Started, Waited
from loader.quantities import counted
from loader.reporting.progress_text import ProgressText
from loader.unexpected import redact

NAME = "loader"
"""The logger of the command line."""
PROGRESS_SECONDS = 5.0
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_FIRST = ("run", "event")


class EventLog:
    """An Observer that logs one run: its start, notices, retries, rejected rows, and progress every few seconds.

    Each record has the attributes ``run`` and ``event`` (started, progress, retry, rejected, notice), and figures:
    rows and bytes are counts, times are seconds. No text in it has ``secrets``, or what looks like a credential.
    """

    def __init__(self, logger: logging.Logger, run: str = "", secrets: Iterable[str] = ()) -> None:
        self._run = run or random_numbers.token_hex(4)
        self._logger = logger
        self._secrets = tuple(filter(None, secrets))
        self._counts = ProgressText()
        self._due = time.monotonic() + PROGRESS_SECONDS

    def __call__(self, event: Event) -> None:
        """Log ``event``, if it is worth a line."""
        counts = self._counts
        counts.count(event)
        match event:
            case Started(activity, rows, rows_done):
                self._due = time.monotonic() + PROGRESS_SECONDS
                resumed = f", {rows_done:,} of them done by earlier runs" if rows_done else ""
                words = f"{activity}: {counted(rows, 'row')}{resumed}"
                self.record(logging.INFO, "started", words, activity=activity, rows=rows, rows_resumed=rows_done)
            case Waited(cause, seconds, message) if message:
                words = f"waiting {seconds:.1f} s: {message}"
                self.record(logging.WARNING, "retry", words, cause=cause, seconds=round(seconds, 3))
            case Rejected(rows) if counts.rejected == rows:  # the first; later ones are counted in the progress
                self.record(logging.WARNING, "rejected", f"rejected {counted(rows, 'row')}", rows=rows)
            case Notice(message, warning):
                self.record(logging.WARNING if warning else logging.INFO, "notice", message)
            case _:
                self._tell_progress()

    def record(self, level: int, event: str, message: str, **fields: Any) -> None:
        """Log ``message`` with ``fields``, both without secrets."""
        shown = {name: self._clean(value) for name, value in fields.items()}
        extra = {"run": self._run, "event": event, **shown}
        self._logger.log(level, "%s", self._clean(message), extra=extra)

    def figures(self) -> dict[str, Any]:
        """Return what this run did so far, as in metrics files."""
        return self._counts.read()

    def _tell_progress(self) -> None:
        counts = self._counts
        if not counts.activity or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + PROGRESS_SECONDS
        self.record(
            logging.INFO,
            "progress",
            counts.line,
            activity=counts.activity,
            rows_done=counts.rows_done,
            rows_expected=counts.rows,
            rows_per_second=round(counts.rate),
            bytes=counts.size,
            retries=counts.retries,
            rejected=counts.rejected,
        )

    def _clean(self, value: Any) -> Any:
        return redact(value, self._secrets) if isinstance(value, str) else value


class TextFormatter(logging.Formatter):
    """Formats a record as a line for people: time, level, run and message; below it a traceback, if it has one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of ``record``."""
        fields = vars(record)
        line = f"{_instant(record)} {record.levelname:<7} {fields.get('run', '-')} {record.getMessage()}"
        return "\n".join(filter(None, [line, _trace(self, record)]))


class JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON: time, level, logger, run, event, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON of ``record``."""
        fields = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        content = {
            "time": _instant(record),
            "level": record.levelname,
            "logger": record.name,
            **{name: fields.pop(name) for name in _FIRST if name in fields},
            "message": record.getMessage(),
            **fields,
        }
        if trace := _trace(self, record):
            content["trace"] = trace
        return json.dumps(content, default=str, ensure_ascii=False)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the traceback that ``record`` brings, "" if there is none."""
    said: str = vars(record).get("trace", "")
    return formatter.formatException(record.exc_info) if record.exc_info else said


def _instant(record: logging.LogRecord) -> str:
    """Return the time of ``record`` in UTC, to the millisecond."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
