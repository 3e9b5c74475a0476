"""Runs and samples for tests of reports, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loader.reporting.report.finding import Evidence
from loader.reporting.report.runs import Run
from loader.reporting.report.sample import Sample
from loader.reporting.report.tuning import TunedValue, Tuning

RUN = Run(
    activity="load",
    started="2024-01-02T00:00:00+00:00",
    seconds=100.0,
    work_seconds=100.0,
    exit_code=0,
    error="",
    rows=1_000_000,
    rows_resumed=0,
    size=100_000_000,
    payload_size=100_000_000,
    cpu_seconds=30.0,
    peak_memory=1 << 28,
    retries=0,
    rejected=0,
    waits={},
    requests={"number": 50, "sum": 100.0, "p50": 1.0, "p90": 1.5, "p99": 2.0, "max": 3.0},
    timeline={},
    way="write",
    server="InfluxDB 1.8.10",
    url="http://localhost:8086",
    bucket="b",
    fingerprint="f",
    differences=None,
    unfit=0,
    interrupted=False,
    connections=3,
    settings={"connections": 3, "batch_lines": 20_000, "batch_bytes": 4_000_000},
    machine={"cores": "2"},
    versions={},
)
SAMPLE = Sample(1_000, 1, (("m,a=b", 1_000),), 10, ((1, 1_000),), 2.0, (("v", 10),), "", ())
DAY = 86_400_000_000_000


def run(**changes: Any) -> Run:
    """Return a load of a million rows in 100 seconds, about which there is little to say, with ``changes``."""
    return replace(RUN, **changes)


def verified(**changes: Any) -> Run:
    """Return a verification of it without differences, with ``changes``."""
    return run(**{"activity": "verify", "way": "sums", "differences": 0, "requests": {}, **changes})


def evidence(*runs: Run, **changes: Any) -> Evidence:
    """Return evidence of a million rows, and of ``runs``, with ``changes``."""
    return replace(Evidence(1_000_000, complete=True, runs=runs, sample=SAMPLE), **changes)


def tuning(*values: TunedValue, gain: float = 1.0, url: str = RUN.url) -> Tuning:
    """Return a tuning of the server of the load."""
    flags = "--batch-lines 40000 --batch-bytes 8000000 --connections 6 --compress none"
    return Tuning("2024-01-01T12:00:00+00:00", "InfluxDB 2.9.1", url, "f", flags, gain, values)


def tuned(factor: str, value: str = "other", verdict: str = "within the noise") -> tuple[TunedValue, TunedValue]:
    """Return two values of a factor, the second three times as fast as the first."""
    base = TunedValue(factor, "base", (1.0, 2.0, 3.0), "compared with")
    return base, TunedValue(factor, value, (5.0, 6.0, 7.0), verdict)
