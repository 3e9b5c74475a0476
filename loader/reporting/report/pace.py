"""What sets the pace of a load, and which flags would make it faster.

What a tuning of the same server measured is told as it was measured, in place of rules of thumb.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from loader.quantities import size_text
from loader.reporting.report.finding import Evidence, Finding, Level, Rule
from loader.reporting.report.runs import LEAST_SECONDS, Run, newest
from loader.servers.base import WriteRules
from loader.servers.load_method import LoadMethod
from loader.tuning.settings import BATCH, COMPRESSION, CONNECTIONS, PATH, RESTORE, ROW_ORDER, SERIES_ORDER

_BUSY_SHARE = 0.5
"""The server is the bottleneck when the loader waits for it half of the time; a quarter tells neither way."""
_IDLE_SHARE = 0.25
_FULL_CORE = 0.8
_RETRY_SHARE = 0.1
"""A load that waited so much of its time to try again tells of faults, not of what sets the pace."""
_SMALL_ROWS = 5_000
_FULL_BATCH = 0.5
_QUICK = 0.05
"""Requests of fewer rows, answered within so many seconds at the median, spend much of their time on being requests."""
_LONG_REQUEST = 10.0
_BUSY_CONNECTIONS = 0.9
_COMPRESSIBLE = 1.5


def _written(evidence: Evidence) -> Run | None:
    """Return the newest load if it wrote line protocol, and tells how fast that goes."""
    load = newest(evidence.runs, "load")
    if not load or load.way != LoadMethod.WRITE or load.work_seconds < LEAST_SECONDS or load.settings.get("rate"):
        return None
    waited = load.waits.get("retry", 0.0) / max(1, load.connections or load.settings.get("connections", 1))
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
    if not load or not load.requests or evidence.tuned(BATCH):
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
    if not load or not load.requests or evidence.tuned(CONNECTIONS):
        return
    connections = load.settings.get("connections", WriteRules().connections)
    figure = f"{load.in_flight:.1f} of at most {connections:.0f} connections were busy on average"
    rule = f"{_BUSY_CONNECTIONS:.0%} busy: more may help; a server that sets the pace gains nothing from them"
    if load.in_flight >= _BUSY_CONNECTIONS * connections and load.server_share < _BUSY_SHARE:
        yield Finding(
            Level.ADVICE, "All connections are busy", figure, rule, f"try --connections {2 * connections:.0f}"
        )


def _compresses(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    if not load or not load.size or not load.payload_size or evidence.tuned(COMPRESSION):
        return
    ratio = load.payload_size / load.size
    figure = f"{size_text(load.payload_size)} of line protocol, {size_text(load.size)} sent"
    if ratio > _COMPRESSIBLE:
        rule = f"compression pays where it divides by {_COMPRESSIBLE:g} or more, and the network is the bottleneck"
        yield Finding(Level.NOTE, f"Compression divides what is sent by {ratio:.1f}", figure, rule)


def _could_restore(evidence: Evidence) -> Iterator[Finding]:
    load = _written(evidence)
    if load and load.server.startswith("InfluxDB 2.") and not evidence.tuned(PATH):
        yield Finding(
            Level.ADVICE,
            "The restore path is possible",
            f"{load.rate:,.0f} points/s by the write path into {load.server}",
            "InfluxDB 2.x restores storage files; it takes an operator token",
            "try --via restore",
        )


def _is_tuned(evidence: Evidence) -> Iterator[Finding]:
    """Tell what a tuning of the server found: of flags, of the order of rows, and of the load path."""
    tuning = evidence.tuning_of_server
    if not tuning or not tuning.factors:
        return
    measured = f"loader tune measured {tuning.server} on {tuning.measured[:10]}"
    rule = "a value is faster when all of its repeats are, and by more than they spread"
    load = newest(evidence.runs, "load")
    if load and load.way != LoadMethod.WRITE:
        pass  # these settings are of the write path
    elif tuning.gain > 1 and load and _has_flags(load, tuning.flags):
        figure = f"{measured}: {tuning.gain:.2f} times the rate of the start, with {tuning.flags}"
        yield Finding(Level.GOOD, "The newest load has the tuned settings", figure, rule)
    elif tuning.gain > 1:
        figure = f"{measured}: {tuning.gain:.2f} times the rate of the start, with {tuning.flags}"
        yield Finding(Level.ADVICE, "Tuned settings are faster", figure, rule, "use them: loader load --tuned")
    else:
        figure = f"{measured}: {', '.join(tuning.factors)}"
        yield Finding(Level.GOOD, "No other settings were faster", figure, rule)
    if ratio := tuning.gain_of(ROW_ORDER, SERIES_ORDER):
        figure, advice = f"{measured}: {ratio:.1f} times the rate", "sort rows by series with loader stage --from"
        yield Finding(Level.ADVICE, "Series order is faster", figure, rule, advice)
    if (ratio := tuning.gain_of(PATH, RESTORE)) and not (load and load.way == LoadMethod.RESTORE):
        figure, advice = f"{measured}: {ratio:.1f} times the rate", "use --via restore"
        yield Finding(Level.ADVICE, "The restore path is faster", figure, rule, advice)


def _has_flags(load: Run, flags: str) -> bool:
    """Tell whether ``load`` had the settings that ``flags`` say, as far as it tells."""
    names = ("batch_lines", "batch_bytes", "connections")
    return all(f"--{name.replace('_', '-')} {load.settings.get(name, 0.0):.0f} " in flags for name in names)


PACE_RULES: tuple[Rule, ...] = (
    _is_bound,
    _is_tuned,
    _sends_small_requests,
    _uses_connections,
    _compresses,
    _could_restore,
)
