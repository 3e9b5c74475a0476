"""What more of the same rows would take, at the rates that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loader.dataset.instant import DAY
from loader.reporting.report.runs import Run, newest

_YEAR_DAYS = 365
_BILLION = 1_000_000_000


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
    out of a dataset of less than a day. A load that kept a ``--rate`` tells nothing.
    """
    steps = {_name(run): run for run in _newest(runs) if not run.settings.get("rate")}
    by_day = rows * DAY // max(DAY, nanoseconds)
    known = [("a day", by_day), ("a year", by_day * _YEAR_DAYS)] if nanoseconds >= DAY else []
    return tuple(
        Projection(
            what,
            number,
            {name: number / run.rate for name, run in steps.items() if run.rate},
            number * size // max(1, rows),
        )
        for what, number in (*known, ("a billion points", _BILLION))
    )


def _newest(runs: Sequence[Run]) -> Iterator[Run]:
    for activity in ("stage", "load", "verify"):
        if run := newest(runs, activity):
            yield run


def _name(run: Run) -> str:
    return f"{run.activity} ({run.way})" if run.way else run.activity
