"""Runs the library call of a command, with progress, metrics, result and exit code."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from loader.cli.interrupts import GRACE_SECONDS, Interrupts
from loader.cli.live import Live
from loader.cli.messages import INSECURE, tell
from loader.cli.outcome import DONE, STOPPED, Outcome, Output, attempt, guarded, show
from loader.cli.progress import watching
from loader.dataset.state import keeps_state
from loader.events import Event, Notice, Observer, Started
from loader.reporting.metrics import write_metrics
from loader.reporting.recorder import Recorder
from loader.unexpected import find_secrets

if TYPE_CHECKING:
    from loader.servers.base import Target

_RESUMED = frozenset({"stage", "candles", "load", "replay"})
_KEPT = "what is finished is kept: run the same command again"


def run(
    activity: str,
    settings: Any,
    root: Path,
    output: Output,
    work: Callable[[Observer], Any],
    render: Callable[[Any], str],
    judge: Callable[[Any], int],
    stop: threading.Event | None = None,
) -> None:
    """Do ``work`` with progress, write its metrics at ``root``, show its report, and exit.

    If there is ``stop``, the first signal sets it once work is in flight; otherwise it interrupts ``work``.
    """
    command = _Command(activity, settings, root, output, render)
    with Interrupts(command.last_words, stop, command.in_flight.is_set, command.announce) as interrupts:
        outcome = STOPPED
        with suppress(KeyboardInterrupt), command.recorder, command.display as display:
            show = display.enter_context(watching(command.console, quiet=output.silent))
            outcome = attempt(lambda: work(command.observing(show)), judge, command.secrets)
        interrupts.shield()
        if interrupts.came and stop is None and outcome.error:
            outcome = STOPPED  # a signal to a process group ends workers, too, which causes an error
        code = command.conclude(outcome)
    raise typer.Exit(code)


class _Command:
    """One running command: it counts events, and writes metrics and the outcome at the end."""

    def __init__(self, activity: str, settings: Any, root: Path, output: Output, render: Callable[[Any], str]) -> None:
        self.console = Console(stderr=True)
        self.display = ExitStack()
        self.in_flight = threading.Event()
        target: Target | None = getattr(settings, "target", None)
        self.secrets = [target.token] if target else []
        self._activity = activity
        self._root = root
        self._output = output
        self._render = render
        self.recorder = Recorder(activity, settings)
        self._concluding, self._concluded = threading.Lock(), threading.Event()
        known = [*find_secrets(sys.argv, os.environ), *self.secrets]
        self._live = guarded(
            output,
            lambda: Live(activity, self.recorder.run, output.live, quiet=output.quiet, secrets=known),
        )
        if target and not target.tls.verify:
            self._warn(INSECURE, alarming=True)  # also to those who want to read errors only

    def observing(self, show: Observer) -> Observer:
        """Return an observer that counts events, and then shows them."""

        def observe(event: Event) -> None:
            self.recorder.observe(event)
            if isinstance(event, Started):
                self.in_flight.set()
            self._live.observe(event)
            show(event)

        return observe

    def announce(self) -> None:
        """Tell the user that the command stops when what is in flight is done."""
        words = f"stopping: what is in flight has {GRACE_SECONDS:g} s to finish; Ctrl-C again to stop now"
        self._live.observe(Notice(words))
        if not (self._output.quiet or self._output.live.owns_stderr):
            self.console.print(words, highlight=False, soft_wrap=True)

    def last_words(self) -> None:
        """Conclude as interrupted, whatever the command is doing."""
        self.display.close()
        self.conclude(STOPPED)

    def conclude(self, outcome: Outcome) -> int:
        """Write metrics and print the outcome, only once; return the exit code."""
        if not self._concluding.acquire(blocking=False):
            self._concluded.wait(GRACE_SECONDS)  # who calls ends the process, and should not cut the other off
            return outcome.code
        measured = attempt(lambda: self.recorder.content(outcome.report, outcome.code, outcome.error))
        written = attempt(lambda: self._write(measured.report)) if measured.code == DONE else measured
        if written.code != DONE:
            self._warn(f"no metrics file: {written.error}")
        if outcome is STOPPED and self._activity in _RESUMED:
            outcome = replace(outcome, hint=_KEPT)
        self._log_end(outcome)
        # What was done at each moment is for the metrics file: it would bury the result.
        shown = {name: value for name, value in (measured.report or {}).items() if name != "timeline"}
        code = show(outcome, self._output, shown, self._render, logged=self._output.live.owns_stderr)
        self._concluded.set()
        return code

    def _log_end(self, outcome: Outcome) -> None:
        """Log how the work ended, in one line."""
        shown = attempt(lambda: self._render(outcome.report)) if outcome.report is not None else outcome
        said = shown.error or shown.report or ""
        trace = outcome.trace if self._output.debug else ""
        line = "; ".join(" ".join(each.split()) for each in said.splitlines())
        self._live.end(outcome.code, line, error=outcome.error, hint=outcome.hint, trace=trace)

    def _warn(self, words: str, *, alarming: bool = False) -> None:
        self._live.warn(words)
        if not self._output.live.owns_stderr:
            tell("warning", words, alarming=alarming)

    def _write(self, metrics: Mapping[str, Any]) -> None:
        if keeps_state(self._root):  # a command that was refused writes nothing
            write_metrics(self._root, self._activity, metrics)
