"""What more of the same rows would take, at the rates that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loader.dataset.instant import DAY
from loader.quantities import counted
from loader.reporting.report.runs import LEAST_SECONDS, Run, newest

_YEAR_DAYS = 365
_BILLION = 1_000_000_000
_LEAST_ROWS = 100_000


@dataclass(frozen=True)
class Projection:
    """``rows`` rows: seconds of each step that was measured, by its name, and bytes of Parquet."""

    what: str
    rows: int
    seconds: dict[str, float]
    size: int


def project(rows: int, size: int, nanoseconds: int, runs: Sequence[Run]) -> tuple[Projection, ...]:
    """Return what a day, a year and a billion points take, in proportion to the newest run of each step.

    ``rows``, ``size`` (bytes) and ``nanoseconds`` are those of the dataset; a day has its average of rows, and is left
    out of a dataset of less than a day. Steps that ``unprojected`` names are left out.
    """
    steps = {_name(run): run for run in _newest(runs) if not _doubt(run)}
    by_day = rows * DAY // max(DAY, nanoseconds)
    known = [("a day", by_day), ("a year", by_day * _YEAR_DAYS)] if nanoseconds >= DAY else []
    return tuple(
        Projection(
            what,
            number,
            {name: number / run.rate for name, run in steps.items()},
            number * size // max(1, rows),
        )
        for what, number in (*known, ("a billion points", _BILLION))
    )


def unprojected(runs: Sequence[Run]) -> dict[str, str]:
    """Return the steps whose newest run says nothing of larger ones, each with the reason."""
    return {_name(run): doubt for run in _newest(runs) if (doubt := _doubt(run))}


def _doubt(run: Run) -> str:
    """Return why a run tells nothing of larger ones, "" if it does."""
    if run.settings.get("rate"):
        return "it kept a --rate"
    if run.work_seconds < LEAST_SECONDS or run.rows < _LEAST_ROWS:
        needed = f"at least {LEAST_SECONDS:g} s and {_LEAST_ROWS:,} rows are needed to tell"
        return f"its newest run took {run.work_seconds:.1f} s for {counted(run.rows, 'row')}, and {needed}"
    return ""


def _newest(runs: Sequence[Run]) -> Iterator[Run]:
    for activity in ("stage", "load", "verify"):
        if run := newest(runs, activity):
            yield run


def _name(run: Run) -> str:
    return f"{run.activity} ({run.way})" if run.way else run.activity
