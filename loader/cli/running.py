"""What every command does around its one library call: progress, metrics, result, exit code.

Exit codes: 0 done; 1 differences or rejected lines; 2 usage or configuration; 3 it could not finish;
130 interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from rich.console import Console

from loader.cli.progress import watching
from loader.errors import ConfigError, LoaderError
from loader.events import Event, Observer
from loader.reporting.counts import Counts
from loader.reporting.metrics import Meter, machine, settings_json, versions, write_metrics

DONE, DIFFERENT, MISUSED, UNFINISHED, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Output:
    """How much is printed, and in which form."""

    quiet: bool
    json: bool


@dataclass(frozen=True)
class _Outcome:
    report: Any
    code: int
    error: str = ""
    hint: str = ""


def run(
    activity: str,
    settings: Any,
    root: Path,
    output: Output,
    work: Callable[[Observer], Any],
    render: Callable[[Any], str],
    judge: Callable[[Any], int],
) -> None:
    """Do ``work`` under observation, leave its metrics at ``root``, show its report, and exit."""
    meter, counts = Meter(), Counts()
    console = Console(stderr=True)
    with watching(console, quiet=output.quiet or output.json) as show:

        def observe(event: Event) -> None:
            counts.count(event)
            show(event)

        outcome = _attempt(lambda: work(observe), judge)
    metrics: dict[str, Any] = {
        "activity": activity,
        "exit_code": outcome.code,
        "error": outcome.error,
        "settings": settings_json(settings),
        "report": asdict(outcome.report) if outcome.report else None,
        **counts.read(),
        **meter.read(),
        "machine": machine(),
        "versions": versions(),
    }
    if root.is_dir() and any(root.iterdir()):
        try:
            write_metrics(root, activity, metrics)
        except OSError as error:
            _complain(f"warning: no metrics file: {error}")
    _print_error(outcome)
    print_result(metrics, outcome.report, output, render)
    raise typer.Exit(outcome.code)


def guarded(output: Output, prepare: Callable[[], Any]) -> Any:
    """Return what ``prepare`` makes of the options; an error in them ends the command with its exit code."""
    outcome = _attempt(prepare, lambda _: DONE)
    if outcome.code == DONE:
        return outcome.report
    _print_error(outcome)
    print_result({"exit_code": outcome.code, "error": outcome.error}, None, output, str)
    raise typer.Exit(outcome.code)


def print_result(content: dict[str, Any], report: Any, output: Output, render: Callable[[Any], str]) -> None:
    """Print a result to stdout: ``content`` as JSON, or ``report`` as text where there is one."""
    if output.json:
        typer.echo(json.dumps(content, default=str))
    elif report is not None and not output.quiet:
        typer.echo(render(report))


def _print_error(outcome: _Outcome) -> None:
    if outcome.error:
        _complain(f"error: {outcome.error}")
    if outcome.hint:
        _complain(f"hint: {outcome.hint}")


def _attempt(work: Callable[[], Any], judge: Callable[[Any], int]) -> _Outcome:
    try:
        report = work()
    except KeyboardInterrupt:
        return _Outcome(None, INTERRUPTED, "interrupted", "what is finished is kept: run the same command again")
    except LoaderError as error:
        code = MISUSED if isinstance(error, ConfigError) else UNFINISHED
        return _Outcome(None, code, error.message, error.hint)
    return _Outcome(report, judge(report))


def _complain(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; the second one interrupts."""
    stop = threading.Event()

    def first(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        typer.echo("\n" * sys.stderr.isatty() + "stopping after what is in flight; Ctrl-C again to stop now", err=True)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
