"""Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from loader.events import Event, Notice, Observer, Waited, ignore
from loader.reporting.progress_text import ProgressText

LINE_SECONDS = 5.0


@contextmanager
def watching(console: Console, *, quiet: bool) -> Iterator[Observer]:
    """Yield an observer that shows progress on ``console`` until that fails; nothing if ``quiet``."""
    if quiet:
        yield ignore
    elif console.is_terminal:
        with _bar(console) as observe:
            yield _harmless(observe)
    else:
        yield _harmless(_lines(console))


def _harmless(show: Observer) -> Observer:
    """Return ``show`` as an observer that stops showing when it fails: that must not end the work."""
    failed = False

    def observe(event: Event) -> None:
        nonlocal failed
        if not failed:
            try:
                show(event)
            except Exception:
                failed = True

    return observe


@contextmanager
def _bar(console: Console) -> Iterator[Observer]:
    counts = ProgressText()
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}% {task.completed:,.0f} rows"),
        TextColumn("{task.fields[details]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task: TaskID = progress.add_task("", total=None, details="")

        def observe(event: Event) -> None:
            counts.count(event)
            if isinstance(event, Notice):
                progress.console.print(event.text, highlight=False, markup=False)
            if isinstance(event, Waited) and event.message:
                counts_text = f"waiting {event.seconds:.1f} s: {event.message}"
                progress.console.print(counts_text, highlight=False, markup=False)
            progress.update(
                task,
                description=counts.activity,
                total=counts.rows or None,
                completed=counts.rows_done,
                details=counts.details,
            )

        yield observe


def _lines(console: Console) -> Observer:
    counts = ProgressText()
    due = time.monotonic() + LINE_SECONDS

    def observe(event: Event) -> None:
        nonlocal due
        counts.count(event)
        if isinstance(event, Notice):
            _say(console, event.text)
        if counts.activity and time.monotonic() >= due:
            due = time.monotonic() + LINE_SECONDS
            _say(console, counts.line)

    return observe


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
