"""Findings and recommendations, each by a stated rule, with the figure that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loader.quantities import counted, size_text
from loader.reporting.report.runs import Run, newest
from loader.reporting.report.sample import Sample
from loader.servers.load_method import LoadMethod

_BUSY_SHARE = 0.5
"""The server is the bottleneck when the loader waits for it half of the time; a quarter tells neither way."""
_IDLE_SHARE = 0.25
_FULL_CORE = 0.8
_SMALL_ROWS = 5_000
_QUICK = 0.05
"""Requests of fewer rows, answered within so many seconds at the median, spend much of their time on being requests."""
_LONG_REQUEST = 10.0
_FREE_CONNECTIONS = 1.0
_ONCE = 1.2
_OFTEN = 4.0
"""How often the rows of a series begin within a chunk: about once in series order, often where series are mixed."""
_SHARD_SECONDS = 0.05
"""What each shard costs on the restore path besides its points, as measured on InfluxDB 2.9.1."""
_MOST_SHARDS = 1_000
_WEEK = 7 * 86_400_000_000_000
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
    """What findings are worked out from: a dataset's rows and nanoseconds, its runs, and a sample of its rows.

    ``complete`` tells whether its staging came to its end.
    """

    rows: int
    nanoseconds: int
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
        _has_shards,
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
    loads = [run for run in evidence.runs if run.activity == "load"]
    if loads and not loads[-1].finished:
        yield Finding(
            Level.PROBLEM,
            "The last load did not finish",
            loads[-1].error or f"{counted(loads[-1].rows, 'row')} in {loads[-1].seconds:.0f} s",
            "the last run of loader load ended with exit code 0 or 1 when it finished",
            "run the same loader load again: it goes on where it stopped",
        )


def _is_verified(evidence: Evidence) -> Iterator[Finding]:
    checks = [run for run in evidence.runs if run.activity in {"load", "verify"} and run.finished]
    if not checks:
        return
    last = checks[-1]
    rule = "the last load is followed by a verification without differences"
    if last.activity == "load":
        yield Finding(
            Level.ADVICE, "The last load is not verified", f"loaded {last.started}", rule, "run loader verify"
        )
    elif last.differences:
        yield Finding(
            Level.PROBLEM,
            "The bucket differs from the dataset",
            counted(last.differences, "difference"),
            rule,
            "look at what loader verify lists; loader load --restart sends everything again",
        )
    else:
        what = "every value" if last.way == "values" else "counts, sums, extremes and samples"
        yield Finding(Level.GOOD, "The bucket is verified", f"{what}: no differences", rule)


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
    """Return the newest load if it wrote line protocol."""
    load = newest(evidence.runs, "load")
    return load if load and load.way == LoadMethod.WRITE else None


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
    number = load.requests.get("number", 0) if load else 0
    if not load or not number:
        return
    rows, median = load.rows / number, load.requests["p50"]
    figure = (
        f"{rows:,.0f} rows and {size_text(load.size / number)} a request, answered in {median * 1e3:,.0f} ms (median)"
    )
    rule = (
        f"fewer than {_SMALL_ROWS:,} rows in less than {_QUICK * 1e3:.0f} ms are small; {_LONG_REQUEST:.0f} s are long"
    )
    if rows < min(_SMALL_ROWS, evidence.rows / 10) and median < _QUICK:
        yield Finding(Level.ADVICE, "Requests are small", figure, rule, "raise --batch-lines or --batch-bytes")
    elif median >= _LONG_REQUEST:
        yield Finding(
            Level.ADVICE,
            "Requests take long",
            figure,
            rule,
            "lower --batch-lines, so that less is sent again on a fault",
        )


def _uses_connections(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    connections = load.settings.get("connections", 0) if load else 0
    if not load or not connections or not load.requests.get("number"):
        return
    figure = f"{load.in_flight:.1f} of {connections:.0f} connections were busy on average"
    rule = f"all but {_FREE_CONNECTIONS:g} busy: more may help; a server that sets the pace gains nothing from them"
    if load.in_flight > connections - _FREE_CONNECTIONS and load.server_share < _BUSY_SHARE:
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
    if number > 1 and entries <= _ONCE:
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


def _has_shards(evidence: Evidence) -> Iterator[Finding]:
    load = newest(evidence.runs, "load")
    if not load:
        return
    number = int(evidence.nanoseconds // (load.settings.get("shard_duration") or _WEEK)) + 1
    figure = f"about {number:,} shards of {evidence.rows / number:,.0f} points"
    rule = f"more than {_MOST_SHARDS:,} shards cost memory; a restore takes about {_SHARD_SECONDS:g} s for each"
    overhead = number * _SHARD_SECONDS
    if number > _MOST_SHARDS or (load.way == LoadMethod.RESTORE and overhead > load.seconds / 2):
        yield Finding(
            Level.ADVICE,
            "There are many small shards",
            figure,
            rule,
            "make the bucket with longer ones: --shard-duration, such as 52w",
        )
