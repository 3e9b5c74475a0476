"""What others may watch while a command runs: metrics for Prometheus, and a log."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from loader.cli.interrupts import INTERRUPTED
from loader.cli.messages import tell
from loader.cli.options import OUTPUT
from loader.cli.streams import say
from loader.errors import ConfigError
from loader.events import Event, Notice, Observer
from loader.reporting.logs import NAME, EventLog, JsonFormatter, TextFormatter
from loader.unexpected import explain


class LogFormat(StrEnum):
    """The form of a log."""

    TEXT = "text"
    JSON = "json"


MetricsPortOption = Annotated[
    str,
    typer.Option(
        "--metrics-port",
        metavar="[ADDRESS:]PORT",
        help="Serve Prometheus metrics while it runs, at 127.0.0.1 or ADDRESS; port 0 is a free one.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option("--log-format", help="Log in this form, to stderr instead of the progress.", rich_help_panel=OUTPUT),
]
LogFileOption = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        help="Append the log to this file, and leave the progress on stderr.",
        metavar="FILE",
        rich_help_panel=OUTPUT,
    ),
]


_LEVELS = {0: logging.INFO, 1: logging.WARNING, INTERRUPTED: logging.WARNING}


@dataclass(frozen=True)
class LiveOptions:
    """Where metrics are served ("" is nowhere); form and file of the log: no file is stderr, neither is no log."""

    metrics_port: str = ""
    log_format: LogFormat | None = None
    log_file: Path | None = None

    @property
    def owns_stderr(self) -> bool:
        """Whether the log is all that is written to stderr."""
        return self.log_format is not None and self.log_file is None


class Live:
    """Metrics and log of one run; both begin at once, and end with ``close``.

    Raises ConfigError when a port or a file is not to be had. ``secrets`` never appear in the log.
    """

    def __init__(self, activity: str, run: str, options: LiveOptions, *, quiet: bool, secrets: Iterable[str]) -> None:
        self._run = run
        self._activity = activity
        self._started = time.monotonic()
        self._observers: list[Observer] = []
        with ExitStack() as stack:
            address = self._serve(options, stack)
            self._log = self._open_log(options, stack, quiet=quiet, secrets=secrets)
            self._stack = stack.pop_all()
        if address:
            self.observe(Notice(f"metrics are at {address}"))
            if not (quiet or options.owns_stderr):
                say(f"metrics are at {address}", error=True)

    def observe(self, event: Event) -> None:
        """Count and log ``event``."""
        for observer in self._observers:
            observer(event)

    def warn(self, words: str) -> None:
        """Log a warning."""
        if self._log is not None:
            self._log.record(logging.WARNING, "notice", words)

    def end(self, code: int, result: str, **texts: str) -> None:
        """Log how the run ended: exit code, result, seconds, figures, and ``texts`` that say more; then close."""
        if self._log is not None:
            words = f"{self._activity} ended with exit code {code}: {result}"
            seconds = round(time.monotonic() - self._started, 3)
            figures = {"activity": self._activity, "exit_code": code, "seconds": seconds, **self._log.figures()}
            said = {name: text for name, text in texts.items() if text}
            self._log.record(_LEVELS.get(code, logging.ERROR), "ended", words, **figures, **said)
        self.close()

    def close(self) -> None:
        """Stop serving, and close the log."""
        self._stack.close()

    def _serve(self, options: LiveOptions, stack: ExitStack) -> str:
        """Serve metrics until ``stack`` ends if that is asked for, and return their address."""
        if not options.metrics_port:
            return ""
        # It takes a twentieth of a second to import.
        from loader.reporting.prometheus import RunMetrics, serving

        host, port = read_place(options.metrics_port)
        metrics = RunMetrics(self._activity)
        address = stack.enter_context(serving(metrics.registry, port, host))
        self._observers.append(metrics)
        return address

    def _open_log(
        self, options: LiveOptions, stack: ExitStack, *, quiet: bool, secrets: Iterable[str]
    ) -> EventLog | None:
        """Log until ``stack`` ends if that is asked for."""
        if options.log_format is None and options.log_file is None:
            return None
        handler = _open(options.log_file)
        stack.callback(handler.close)
        handler.setFormatter(JsonFormatter() if options.log_format == LogFormat.JSON else TextFormatter())
        if quiet and options.owns_stderr:
            handler.setLevel(logging.ERROR)
        # Not one that getLogger shares: other programs in this process keep theirs as they are.
        logger = logging.Logger(NAME, logging.INFO)
        logger.addHandler(handler)
        log = EventLog(logger, self._run, secrets)
        self._observers.append(log)
        said = {"activity": self._activity, "version": version("loader")}
        log.record(logging.INFO, "begun", f"{self._activity} begins, loader {said['version']}", **said)
        return log


def read_place(text: str) -> tuple[str, int]:
    """Return host, 127.0.0.1 if there is none, and port of ``[ADDRESS:]PORT``; raises ConfigError."""
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+):)?(\d{1,5})", text)
    if not match or int(match[2]) > 65_535:
        raise ConfigError(
            f"--metrics-port {text!r} is not a port", hint="write it like 9108, or 0.0.0.0:9108 for all addresses"
        )
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


def _open(path: Path | None) -> logging.Handler:
    if path is None:
        return _Stderr()
    try:
        return _File(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(
            f"--log-file {path}: {error.strerror}", hint="name a file that can be written, in a folder that exists"
        ) from error


class _Stderr(logging.Handler):
    """Writes to stderr, which never fails."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        say(self.format(record), error=True)


class _File(logging.FileHandler):
    """Appends to a file; a failure, such as a full disk, is told once and ends no work."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Warn of the first failure."""
        error = sys.exc_info()[1]
        if error is not None and not self._failed:
            self._failed = True
            tell("warning", f"{self.baseFilename}: the log is not complete: {explain(error).message}")

    def close(self) -> None:
        """Close the file; what could not be written has been told."""
        with suppress(OSError):
            super().close()
