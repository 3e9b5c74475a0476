"""Reads the metrics that runs left beside a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from loader.dataset.claims import check_integer, check_line, check_list, check_mapping, check_number, excerpt
from loader.events import SERVER_BUSY
from loader.printable import printable
from loader.reporting.metrics import (
    activity_of,
    compared,
    count_differences,
    count_unfit,
    damaged_metrics,
    list_metrics,
    read_metrics,
)
from loader.servers.address import redacted

MOST_RUNS = 50
"""Runs that are read, the newest; and the newest of each activity."""
DRY_RUN = "dry run"
_MOST_SAMPLES = 1_000
_MOST_NAMES = 100
_SAMPLED = ("seconds", "rows", "bytes", "requests", "request_seconds", "retries", "rejected", "cpu_seconds", "memory")
_ANSWERED = ("number", "sum", "p50", "p90", "p99", "max")
_SETTINGS = ("connections", "batch_lines", "batch_bytes", "rate")
_SENT = ("batch_lines", "batch_bytes")
LEAST_SECONDS = 5.0
"""A run of fewer seconds tells how long it takes to begin, not how fast it goes on."""
_MOMENT = 1e-3
_FEW_SAMPLES = 4


@dataclass(frozen=True)
class Run:
    """One run of a command: what it did in ``seconds``; sizes are bytes, ``started`` is ISO 8601 in UTC.

    ``rows`` and ``size`` are what this run did, ``rows_resumed`` what earlier runs had done. ``work_seconds`` leave out
    start-up and looks, where the command tells them. ``fingerprint`` is that of the dataset, "" where the run does not
    tell. ``waits`` is seconds by cause, ``requests`` tells how long the server took for requests (number, sum, p50,
    p90, p99, max), ``timeline`` has columns of what was done and used until each moment (see ``Recorder``); both are
    empty where a run left none. ``peak_memory`` is the most of all processes in a sample, or of one at its peak.
    ``way`` is how it was done: write, restore or DRY_RUN; sums, values or candles. ``settings`` are a few numbers,
    ``connections`` is how many there were at most, 0 where the run does not tell.
    ``unfit`` counts rows that cannot be points, which are no ``differences`` of the bucket.
    """

    activity: str
    started: str
    seconds: float
    work_seconds: float
    exit_code: int
    error: str
    rows: int
    rows_resumed: int
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
    fingerprint: str
    differences: int | None
    unfit: int
    interrupted: bool
    settings: Mapping[str, float]
    connections: int
    machine: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def rate(self) -> float:
        """Rows a second of work; 0 where there was hardly any."""
        return self.rows / self.work_seconds if self.work_seconds >= _MOMENT else 0.0

    @property
    def began(self) -> str:
        """When it began, as people read it."""
        return self.started.replace("T", " ").replace("+00:00", " UTC")

    @property
    def has_course(self) -> bool:
        """Whether there are enough samples to show what it did over time."""
        return len(self.timeline.get("seconds", ())) >= _FEW_SAMPLES

    @property
    def place(self) -> tuple[str, str]:
        """Server and bucket."""
        return self.url, self.bucket

    @property
    def finished(self) -> bool:
        """Whether it came to its end, with or without rejected rows or differences."""
        return not self.interrupted and self.exit_code in {0, 1}

    @property
    def cores(self) -> float:
        """Processors that it kept busy on average, with those of its children."""
        return self.cpu_seconds / self.seconds if self.seconds >= _MOMENT else 0.0

    @property
    def in_flight(self) -> float:
        """Requests that were in flight on average, by Little's law: their times together, by the time it took."""
        return self.requests.get("sum", 0.0) / self.work_seconds if self.work_seconds >= _MOMENT else 0.0

    @property
    def server_share(self) -> float:
        """The share of the time in which the loader could do nothing but wait for the server, 0 to 1."""
        busy = self.waits.get(SERVER_BUSY, 0.0)
        return min(1.0, busy / self.work_seconds) if self.work_seconds >= _MOMENT else 0.0


def read_runs(state: Path) -> list[Run]:
    """Return the newest runs on the dataset whose state is at ``state``, in the order in which they ended.

    These are the newest MOST_RUNS, and the newest of each activity. Memory is about 200 KiB for each, and one file.
    Raises StageError for a damaged file.
    """
    names = list_metrics(state)
    last = {activity_of(name): name for name in names}
    runs = []
    for name in [name for name in names[:-MOST_RUNS] if name in last.values()] + names[-MOST_RUNS:]:
        path, content = read_metrics(state, name)
        try:
            runs.append(_run(content))
        except KeyError as error:
            raise damaged_metrics(path, f"{error} is missing") from error
        except ValueError as error:
            raise damaged_metrics(path, error) from error
    return runs


def runs_on(runs: Sequence[Run], fingerprint: str) -> tuple[Run, ...]:
    """Return those of ``runs`` on the dataset ``fingerprint``, and those that do not tell, for they did not finish."""
    return tuple(run for run in runs if run.fingerprint == fingerprint or not (run.fingerprint or run.finished))


def newest(runs: Sequence[Run], activity: str) -> Run | None:
    """Return the newest run of ``activity`` that came to its end and did something, None if there is none.

    A dry run did nothing; candles are staged.
    """
    activities = {activity, "candles"} if activity == "stage" else {activity}
    return next((run for run in reversed(runs) if run.activity in activities and did_something(run)), None)


def did_something(run: Run) -> bool:
    """Tell whether a run came to its end, and did something that lasts."""
    return run.finished and run.rows > 0 and run.way != DRY_RUN


def _run(content: Mapping[str, Any]) -> Run:
    report = check_mapping("the report", content["report"] or {})
    settings = check_mapping("the settings", content["settings"])
    target = check_mapping("the target", settings.get("target", {}))
    activity = check_line("the activity", content["activity"])
    differences = report.get("difference_count")
    seconds = check_number("the seconds", content["seconds"])
    timeline = _timeline(content.get("timeline", {}))
    unfit = count_unfit(report)
    peak = check_integer("the peak memory", content["peak_memory"], 0)
    return Run(
        activity=activity,
        started=check_line("the start", content["started"]),
        seconds=seconds,
        work_seconds=check_number("the seconds of work", report.get("seconds", seconds)),
        exit_code=check_integer("the exit code", content["exit_code"], 0),
        error=printable(str(content["error"])),
        rows=check_integer("the rows", content["rows"], 0),
        rows_resumed=check_integer("the rows of earlier runs", content["rows_resumed"], 0),
        size=check_integer("the bytes", content["bytes"], 0),
        payload_size=check_integer("the payload size", report.get("payload_size", 0), 0),
        cpu_seconds=check_number("the CPU seconds", content["cpu_seconds"]),
        peak_memory=max([peak, *map(int, timeline.get("memory", []))]),
        retries=check_integer("the retries", content["retries"], 0),
        rejected=check_integer("the rejected rows", content["rejected"], 0),
        waits=_numbers("the waits", content["waits"]),
        requests=_requests(content.get("requests", {})),
        timeline=timeline,
        way=_way(activity, settings, report),
        server=printable(str(report.get("server", ""))),
        url=redacted(printable(str(target.get("url", "")))),
        bucket=printable(str(target.get("bucket", ""))),
        fingerprint=printable(str(report.get("fingerprint", ""))),
        differences=None if differences is None else count_differences(report),
        unfit=unfit,
        interrupted=bool(report.get("interrupted", not report)),
        settings=_told(settings) | {name: value for name, value in _told(report).items() if name in _SENT and value},
        connections=check_integer("the connections", report.get("connections", 0), 0),
        machine=_texts("the machine", content["machine"]),
        versions=_texts("the versions", content["versions"]),
    )


def _way(activity: str, settings: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    if activity == "verify":
        return compared(settings, report)
    if activity == "load":
        return DRY_RUN if settings.get("dry_run") else printable(str(report.get("via") or settings.get("via", "")))
    return ""


def _told(settings: Mapping[str, Any]) -> dict[str, float]:
    """Return a few settings; others may name files, or quote anybody."""
    flat = {**settings, **check_mapping("the settings of the write path", settings.get("write", {}))}
    told = {name: flat[name] for name in _SETTINGS if flat.get(name) is not None}
    return {name: check_number(f"the setting {name}", value) for name, value in told.items()}


def _texts(what: str, value: Any) -> dict[str, str]:
    return {printable(name): printable(str(text)) for name, text in _few(what, value).items() if _is_plain(text)}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _few(what: str, value: Any) -> dict[str, Any]:
    found = check_mapping(what, value)
    if len(found) > _MOST_NAMES:
        raise ValueError(f"{what} has {len(found):,} names, more than {_MOST_NAMES}")
    return found


def _requests(value: Any) -> dict[str, float]:
    """Return how long requests took; nothing where there were none."""
    found = _numbers("the requests", value)
    if not found.get("number"):
        return {}
    if missing := [name for name in _ANSWERED if name not in found]:
        raise ValueError(f"the requests have no {', '.join(missing)}")
    return found


def _numbers(what: str, value: Any) -> dict[str, float]:
    return {printable(name): check_number(what, number) for name, number in _few(what, value).items()}


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
    moments = columns.get("seconds", [])
    if any(later < former for former, later in pairwise(moments)):
        raise ValueError("the seconds of the timeline do not ascend")
    return columns
