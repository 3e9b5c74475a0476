"""Runs and samples for tests of reports, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loader.reporting.report.findings import Evidence
from loader.reporting.report.runs import Run
from loader.reporting.report.sample import Sample

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
    interrupted=False,
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
