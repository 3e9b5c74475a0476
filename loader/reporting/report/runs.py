"""Reads the metrics that runs left beside a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader.dataset.claims import check_integer, check_line, check_list, check_mapping, check_number, excerpt
from loader.events import SERVER_BUSY
from loader.printable import printable
from loader.reporting.metrics import damaged_metrics, list_metrics, read_metrics
from loader.servers.address import redacted

MOST_RUNS = 50
"""Runs that are read, the newest."""
_MOST_SAMPLES = 10_000
_SAMPLED = ("seconds", "rows", "bytes", "requests", "request_seconds", "retries", "rejected", "cpu_seconds", "memory")


@dataclass(frozen=True)
class Run:
    """One run of a command: what it did in ``seconds``; sizes are bytes, ``started`` is ISO 8601 in UTC.

    ``rows`` and ``size`` are what this run did, without what earlier runs had done. ``waits`` is seconds by cause,
    ``requests`` tells how long the server took for requests (number, sum, p50, p90, p99, max), ``timeline`` has columns
    of what was done and used until each moment (see ``Recorder``); both are empty where a run left none. ``way`` is how
    it was done: write or restore, sums or values. ``settings`` are those that are numbers.
    """

    activity: str
    started: str
    seconds: float
    exit_code: int
    error: str
    rows: int
    size: int
    payload_size: int
    cpu_seconds: float
    peak_memory: int
    retries: int
    rejected: int
    waits: Mapping[str, float]
    requests: Mapping[str, float]
    timeline: Mapping[str, Sequence[float]]
    way: str
    server: str
    url: str
    bucket: str
    differences: int | None
    interrupted: bool
    settings: Mapping[str, float]
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def finished(self) -> bool:
        """Whether it came to its end, with or without rejected rows or differences."""
        return not self.interrupted and self.exit_code in {0, 1}

    @property
    def cores(self) -> float:
        """Processors that it kept busy on average, with those of its children."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    @property
    def in_flight(self) -> float:
        """Requests that were in flight on average, by Little's law: their times together, by the time it took."""
        return self.requests.get("sum", 0.0) / self.seconds if self.seconds else 0.0

    @property
    def server_share(self) -> float:
        """The share of the time in which the loader could do nothing but wait for the server, 0 to 1."""
        return min(1.0, self.waits.get(SERVER_BUSY, 0.0) / self.seconds) if self.seconds else 0.0


def read_runs(state: Path) -> list[Run]:
    """Return the newest MOST_RUNS runs on the dataset whose state is at ``state``, in the order in which they began.

    Memory is about MOST_RUNS times 200 KiB. Raises StageError for a damaged file.
    """
    runs = []
    for name in list_metrics(state)[-MOST_RUNS:]:
        path, content = read_metrics(state, name)
        try:
            runs.append(_run(content))
        except KeyError as error:
            raise damaged_metrics(path, f"{error} is missing") from error
        except ValueError as error:
            raise damaged_metrics(path, error) from error
    return sorted(runs, key=lambda run: run.started)


def newest(runs: Sequence[Run], activity: str) -> Run | None:
    """Return the newest run of ``activity`` that came to its end and did something, None if there is none."""
    return next((run for run in reversed(runs) if run.activity == activity and run.finished and run.rows), None)


def _run(content: Mapping[str, Any]) -> Run:
    report = check_mapping("the report", content["report"] or {})
    settings = check_mapping("the settings", content["settings"])
    target = check_mapping("the target", settings.get("target", {}))
    activity = check_line("the activity", content["activity"])
    differences = report.get("difference_count")
    return Run(
        activity=activity,
        started=check_line("the start", content["started"]),
        seconds=check_number("the seconds", content["seconds"]),
        exit_code=check_integer("the exit code", content["exit_code"], 0),
        error=printable(str(content["error"])),
        rows=check_integer("the rows", content["rows"], 0),
        size=check_integer("the bytes", content["bytes"], 0),
        payload_size=check_integer("the payload size", report.get("payload_size", 0), 0),
        cpu_seconds=check_number("the CPU seconds", content["cpu_seconds"]),
        peak_memory=check_integer("the peak memory", report.get("peak_memory", content["peak_memory"]), 0),
        retries=check_integer("the retries", content["retries"], 0),
        rejected=check_integer("the rejected rows", content["rejected"], 0),
        waits=_numbers("the waits", content["waits"]),
        requests=_numbers("the requests", content.get("requests", {})),
        timeline=_timeline(content.get("timeline", {})),
        way=_way(activity, settings),
        server=printable(str(report.get("server", ""))),
        url=redacted(printable(str(target.get("url", "")))),
        bucket=printable(str(target.get("bucket", ""))),
        differences=None if differences is None else check_integer("the number of differences", differences, 0),
        interrupted=bool(report.get("interrupted", not report)),
        settings=_told(settings),
        machine=check_mapping("the machine", content["machine"]),
        versions=check_mapping("the versions", content["versions"]),
    )


def _way(activity: str, settings: Mapping[str, Any]) -> str:
    if activity == "verify":
        return "values" if settings.get("values") else "sums"
    if activity == "load":
        return printable(str(settings.get("via", "")))
    return ""


def _told(settings: Mapping[str, Any]) -> dict[str, float]:
    """Return the settings that are numbers; others may name files, or quote anybody."""
    flat = {**settings, **check_mapping("the settings of the write path", settings.get("write", {}))}
    return {printable(name): value for name, value in flat.items() if type(value) in {int, float}}


def _numbers(what: str, value: Any) -> dict[str, float]:
    return {printable(name): check_number(what, number) for name, number in check_mapping(what, value).items()}


def _timeline(value: Any) -> dict[str, list[float]]:
    """Return the columns of a timeline, all of the same length."""
    columns = {
        name: [
            check_number(f"the timeline's {name}", number) for number in check_list("a column of the timeline", column)
        ]
        for name, column in check_mapping("the timeline", value).items()
        if name in _SAMPLED
    }
    lengths = {len(column) for column in columns.values()}
    if columns and (len(lengths) > 1 or {*columns} != {*_SAMPLED} or max(lengths) > _MOST_SAMPLES):
        raise ValueError(f"the timeline has columns {excerpt(sorted(columns))} of {excerpt(sorted(lengths))} samples")
    return columns
