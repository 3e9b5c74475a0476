"""Findings and recommendations, each by a stated rule, with the figure that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from loader.quantities import counted, size_text
from loader.reporting.metrics import COMPARED, moment_text
from loader.reporting.report.runs import DRY_RUN, Run, did_something, newest
from loader.reporting.report.sample import Sample
from loader.servers.load_method import LoadMethod

_BUSY_SHARE = 0.5
"""The server is the bottleneck when the loader waits for it half of the time; a quarter tells neither way."""
_IDLE_SHARE = 0.25
_FULL_CORE = 0.8
_LEAST_SECONDS = 5.0
"""A load of fewer seconds tells how long it takes to begin, not what sets the pace."""
_RETRY_SHARE = 0.1
"""A load that waited so much of its time to try again tells of faults, not of what sets the pace."""
_SMALL_ROWS = 5_000
_FULL_BATCH = 0.5
_QUICK = 0.05
"""Requests of fewer rows, answered within so many seconds at the median, spend much of their time on being requests."""
_LONG_REQUEST = 10.0
_BUSY_CONNECTIONS = 0.9
_ONCE = 1.2
_OFTEN = 4.0
"""How often the rows of a series begin within a chunk: about once in series order, often where series are mixed."""
_FILE_SECONDS = 0.05
"""What each storage file costs besides its points, as measured on InfluxDB 2.9.1."""
_COMPRESSIBLE = 1.5


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    NOTE = "note"
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found, the figure that shows it, the rule that it follows from, and what to do ("" for nothing)."""

    level: Level
    title: str
    figure: str
    rule: str
    advice: str = ""


@dataclass(frozen=True)
class Evidence:
    """What findings are worked out from: a dataset, runs on it, and a sample of its rows.

    ``complete`` tells whether its staging came to its end. ``runs`` are those on the dataset as it is now, and those
    that do not tell because they did not finish.
    """

    rows: int
    complete: bool
    runs: Sequence[Run]
    sample: Sample


Rule = Callable[[Evidence], Iterator[Finding]]


def find(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what all rules find, problems first."""
    rules: tuple[Rule, ...] = (
        _is_staged,
        _is_loaded,
        _is_verified,
        _has_rejected,
        _has_retried,
        _is_bound,
        _sends_small_requests,
        _uses_connections,
        _compresses,
        _has_order,
        _could_restore,
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
    loads = [number for number, run in enumerate(evidence.runs) if run.activity == "load" and did_something(run)]
    if not loads:
        return
    load = evidence.runs[loads[-1]]
    checks = [
        run
        for run in evidence.runs[loads[-1] :]
        if run.activity == "verify" and run.finished and run.place == load.place and run.way in COMPARED
    ]
    rule = "a verification of the bucket of the last load comes after it, and finds no differences"
    where = f"bucket {load.bucket!r} at {load.url}"
    if not checks:
        figure = f"{where}, loaded {moment_text(load.started)}"
        yield Finding(Level.ADVICE, "The last load is not verified", figure, rule, "run loader verify")
    elif checks[-1].differences:
        figure = f"{where}: {counted(checks[-1].differences, 'difference')}"
        advice = "look at what loader verify lists; loader load --restart loads this bucket anew"
        yield Finding(Level.PROBLEM, "The bucket differs from the dataset", figure, rule, advice)
    else:
        figure = f"{where}: {COMPARED[checks[-1].way]}, no differences"
        yield Finding(Level.GOOD, "The bucket was verified after the load", figure, rule)


def _has_rejected(evidence: Evidence) -> Iterator[Finding]:
    load = newest(evidence.runs, "load")
    if load and load.rejected:
        yield Finding(
            Level.PROBLEM,
            "Rows were rejected",
            f"{counted(load.rejected, 'row')} of {load.rows:,}",
            "no row is rejected",
            "the rejected file says of each why",
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


def _written(evidence: Evidence) -> Run | None:
    """Return the newest load if it wrote line protocol, and tells how fast that goes."""
    load = newest(evidence.runs, "load")
    if not load or load.way != LoadMethod.WRITE or load.work_seconds < _LEAST_SECONDS or load.settings.get("rate"):
        return None
    waited = load.waits.get("retry", 0.0) / max(1.0, load.settings.get("connections", 1.0))
    return None if waited > _RETRY_SHARE * load.work_seconds else load


def _is_bound(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    if not load:
        return
    share = (
        f"the loader waited for the server {load.server_share:.0%} of the time, and kept {load.cores:.2f} cores busy"
    )
    rule = (
        f"waits of {_BUSY_SHARE:.0%} or more: the server; of less than {_IDLE_SHARE:.0%}, and {_FULL_CORE:g} cores"
        " busy: the loader"
    )
    if load.server_share >= _BUSY_SHARE:
        yield Finding(
            Level.NOTE,
            "The server sets the pace",
            share,
            rule,
            "a faster disk, or more cores for the server, make this load faster; the loader has time left",
        )
    elif load.server_share < _IDLE_SHARE and load.cores >= _FULL_CORE:
        yield Finding(
            Level.NOTE,
            "The loader sets the pace",
            share,
            rule,
            "give it more cores, or let it run on another machine than the server",
        )


def _sends_small_requests(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    if not load or not load.requests:
        return
    rows, size, median = load.rows / load.requests["number"], load.size / load.requests["number"], load.requests["p50"]
    figure = f"{rows:,.0f} rows and {size_text(size)} a request, answered in {median * 1e3:,.0f} ms (median)"
    rule = (
        f"fewer than {_SMALL_ROWS:,} rows in less than {_QUICK * 1e3:.0f} ms are small; {_LONG_REQUEST:.0f} s are long"
    )
    full = max(
        rows / max(1.0, load.settings.get("batch_lines", inf)), size / max(1.0, load.settings.get("batch_bytes", inf))
    )
    if rows < _SMALL_ROWS and median < _QUICK and full >= _FULL_BATCH:
        yield Finding(Level.ADVICE, "Requests are small", figure, rule, "raise --batch-lines or --batch-bytes")
    elif median >= _LONG_REQUEST:
        advice = "lower --batch-lines, so that less is sent again on a fault"
        yield Finding(Level.ADVICE, "Requests take long", figure, rule, advice)


def _uses_connections(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    connections = load.settings.get("connections", 0.0) if load else 0.0
    if not load or not connections or not load.requests:
        return
    figure = f"{load.in_flight:.1f} of {connections:.0f} connections were busy on average"
    rule = f"{_BUSY_CONNECTIONS:.0%} busy: more may help; a server that sets the pace gains nothing from them"
    if load.in_flight >= _BUSY_CONNECTIONS * connections and load.server_share < _BUSY_SHARE:
        yield Finding(
            Level.ADVICE, "All connections are busy", figure, rule, f"try --connections {2 * connections:.0f}"
        )


def _compresses(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    if not load or not load.size or not load.payload_size:
        return
    ratio = load.payload_size / load.size
    figure = f"{size_text(load.payload_size)} of line protocol, {size_text(load.size)} sent"
    if ratio > _COMPRESSIBLE:
        rule = f"compression pays where it divides by {_COMPRESSIBLE:g} or more, and the network is the bottleneck"
        yield Finding(Level.NOTE, f"Compression divides what is sent by {ratio:.1f}", figure, rule)


def _has_order(evidence: Evidence) -> Iterator[Finding]:
    entries, number = evidence.sample.entries, evidence.sample.series_number
    figure = f"rows of a series begin {entries:,.1f} times within a few thousand rows ({number:,} series in the sample)"
    rule = f"up to {_ONCE:g} times: series order; {_OFTEN:g} times or more: mixed"
    if number > 1 and 0 < entries <= _ONCE:
        yield Finding(Level.GOOD, "Rows lie in series order", figure, rule)
    elif number > 1 and entries >= _OFTEN:
        yield Finding(
            Level.ADVICE,
            "Rows of series are mixed",
            figure,
            rule,
            "sort them by series with loader stage --from: servers take such rows faster",
        )


def _could_restore(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    if load and load.server.startswith("InfluxDB 2."):
        yield Finding(
            Level.ADVICE,
            "The restore path is possible",
            f"{load.rate:,.0f} points/s by the write path into {load.server}",
            "InfluxDB 2.x restores storage files; it takes an operator token and a new bucket",
            "try --via restore with a new --bucket",
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
