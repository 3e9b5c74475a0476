"""Findings and recommendations, each by a stated rule, with the figure that it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from loader.quantities import counted
from loader.reporting.metrics import COMPARED
from loader.reporting.report.finding import Evidence, Finding, Level, Rule
from loader.reporting.report.pace import PACE_RULES
from loader.reporting.report.runs import DRY_RUN, did_something, newest
from loader.servers.load_method import LoadMethod
from loader.tuning.settings import ROW_ORDER

_ONCE = 1.2
_OFTEN = 4.0
"""How often the rows of a series begin within a chunk: about once in series order, often where series are mixed."""
_FILE_SECONDS = 0.05
"""What each storage file costs besides its points, as measured on InfluxDB 2.9.1."""


def find(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what all rules find, problems first."""
    rules: tuple[Rule, ...] = (
        _is_staged,
        _is_loaded,
        _is_verified,
        _has_rejected,
        _has_retried,
        *PACE_RULES,
        _has_order,
        _has_small_files,
    )
    found = [finding for rule in rules for finding in rule(evidence)]
    return tuple(sorted(found, key=lambda finding: [*reversed(Level)].index(finding.level)))


def _is_staged(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.complete:
        yield Finding(
            Level.PROBLEM,
            "Staging did not finish",
            f"{counted(evidence.rows, 'row')} so far",
            "the manifest says whether every partition is there",
            "run the same loader stage again: it makes what is missing",
        )


def _is_loaded(evidence: Evidence) -> Iterator[Finding]:
    loads = [run for run in evidence.runs if run.activity == "load" and run.way != DRY_RUN]
    if not loads or loads[-1].finished:
        return
    last = loads[-1]
    rule = "the last run of loader load ends with exit code 0, or 1 where rows were rejected"
    if last.error and not last.rows:
        yield Finding(Level.PROBLEM, "The last load could not begin", last.error, rule, "mend what the error says")
    else:
        done = last.error or f"{counted(last.rows, 'row')} in {last.seconds:.0f} s"
        advice = "run the same loader load again: it goes on where it stopped"
        yield Finding(Level.PROBLEM, "The last load did not finish", done, rule, advice)


def _is_verified(evidence: Evidence) -> Iterator[Finding]:
    sending = {"load", "replay"}
    loads = [number for number, run in enumerate(evidence.runs) if run.activity in sending and did_something(run)]
    if not loads:
        return
    load = evidence.runs[loads[-1]]
    checks = [
        run
        for run in evidence.runs[loads[-1] :]
        if run.activity == "verify"
        and run.finished
        and run.way in COMPARED
        # It is unknown which bucket files were brought into.
        and (run.place == load.place or not load.bucket)
    ]
    rule = "a verification of the bucket of the last load comes after it, and finds no differences"
    place = checks[-1] if checks else load
    where = f"bucket {place.bucket!r} at {place.url}" if place.bucket else place.url
    if not checks:
        figure = f"{where}, loaded on {load.began}"
        yield Finding(Level.ADVICE, "The last load is not verified", figure, rule, "run loader verify")
    elif checks[-1].differences:
        figure = f"{where}: {counted(checks[-1].differences, 'difference')}"
        advice = "look at what loader verify lists; loader load --restart loads this bucket anew"
        yield Finding(Level.PROBLEM, "The bucket differs from the dataset", figure, rule, advice)
    elif checks[-1].unfit:
        figure = f"{where}: no differences; {counted(checks[-1].unfit, 'row')} cannot be points, and were not compared"
        advice = "loader verify says why; mend such rows, or leave them out"
        yield Finding(Level.NOTE, "All rows that can be points were verified after the load", figure, rule, advice)
    else:
        figure = f"{where}: {COMPARED[checks[-1].way]}, no differences"
        yield Finding(Level.GOOD, "The bucket was verified after the load", figure, rule)


def _has_rejected(evidence: Evidence) -> Iterator[Finding]:
    load = newest(evidence.runs, "load")
    if load is None:
        return
    later = evidence.runs[evidence.runs.index(load) :]
    replays = [run for run in later if run.activity == "replay" and run.finished and run.place == load.place]
    rejected = replays[-1].rejected if replays else load.rejected
    if rejected:
        yield Finding(
            Level.PROBLEM,
            "Rows were rejected",
            f"{counted(rejected, 'row')} of {load.rows:,}",
            "no row is rejected, or a replay has brought all of them",
            "the rejected file says of each why; after a fix, loader replay sends them again",
        )


def _has_retried(evidence: Evidence) -> Iterator[Finding]:
    load = newest(evidence.runs, "load")
    if load and load.retries:
        waited = load.waits.get("retry", 0.0)
        yield Finding(
            Level.NOTE,
            "Requests were tried again",
            f"{counted(load.retries, 'retry', 'retries')}, {waited:.1f} s of waiting, summed over connections",
            "no request is tried again",
            "nothing is lost by it; look into the server's log if it goes on",
        )


def _has_order(evidence: Evidence) -> Iterator[Finding]:
    entries, number = evidence.sample.entries, evidence.sample.series_number
    figure = f"rows of a series begin {entries:,.1f} times within a few thousand rows ({number:,} series in the sample)"
    rule = f"up to {_ONCE:g} times: series order; {_OFTEN:g} times or more: mixed"
    if number > 1 and 0 < entries <= _ONCE:
        yield Finding(Level.GOOD, "Rows lie in series order", figure, rule)
    elif number > 1 and entries >= _OFTEN and not evidence.tuned(ROW_ORDER):
        yield Finding(
            Level.ADVICE,
            "Rows of series are mixed",
            figure,
            rule,
            "sort them with loader stage --from: the write path brings rows of a series together within windows only",
        )


def _has_small_files(evidence: Evidence) -> Iterator[Finding]:
    load = newest(evidence.runs, "load")
    files = load.requests.get("number", 0.0) if load and load.way == LoadMethod.RESTORE else 0.0
    if load and files * _FILE_SECONDS > load.work_seconds / 2:
        yield Finding(
            Level.ADVICE,
            "Shards are small",
            f"{files:,.0f} storage files of {load.rows / files:,.1f} points on average",
            f"each takes about {_FILE_SECONDS:g} s besides its points, here more than half of the time",
            "make the bucket with longer shards: --shard-duration, such as 52w",
        )
