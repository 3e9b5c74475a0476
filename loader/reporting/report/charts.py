"""The charts of a report, as Vega-Lite specifications: https://vega.github.io/vega-lite/docs/."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loader.events import SERVER_BUSY
from loader.quantities import counted, size_text
from loader.reporting.report.report import DatasetReport, Report
from loader.reporting.report.runs import Run, newest
from loader.reporting.report.sample import SLOT
from loader.reporting.report.specs import (
    PLAIN,
    bars,
    by_time_of_day,
    in_unit,
    lines,
    milliseconds,
    over_time,
    points,
    repeats,
    short,
)
from loader.reporting.text import PAYLOADS
from loader.servers.load_method import LoadMethod
from loader.tuning.settings import PATH

_BINS = 80
_SHORTEST = 0.01
_MINUTE = 60_000_000_000
_MIB = 1 << 20


@dataclass(frozen=True)
class Chart:
    """A chart for ``section`` of the page; ``description`` says in words what it shows, also to a screen reader."""

    section: str
    title: str
    description: str
    spec: dict[str, Any]


def draw(report: Report) -> list[Chart]:
    """Return the charts of the first dataset of ``report``, and those that compare all of them."""
    first = report.datasets[0]
    return [*_comparison(report), *_steps(first), *_load(first), *_tuning(first), *_dataset(first), *_history(first)]


def _steps(dataset: DatasetReport) -> Iterator[Chart]:
    """Yield what the newest run of each step did over time."""
    for activity in ("stage", "load", "verify"):
        run = newest(dataset.current, activity)
        if not run or not run.has_course:
            continue
        rates = _derived(run, "rows")
        yield Chart(
            activity,
            "Rows a second",
            f"{max(rate for _, rate in rates):,.0f} at most, {run.rate:,.0f} on average",
            over_time(rates, "rows a second"),
        )
        cores = _derived(run, "cpu_seconds")
        yield Chart(
            activity,
            "Processors in use by the loader",
            f"{run.cores:.2f} of {run.machine.get('cores')} on average",
            over_time(cores, "processors", PLAIN),
        )
        memory = [
            (seconds, size / _MIB)
            for seconds, size in zip(run.timeline["seconds"], run.timeline["memory"], strict=True)
        ]
        yield Chart(
            activity,
            "Memory of the loader",
            f"{max(size for _, size in memory):,.0f} MiB at most in the samples",
            over_time(memory, "MiB"),
        )


def _load(dataset: DatasetReport) -> Iterator[Chart]:
    """Yield what the newest load shows of the server and of the wire."""
    run = newest(dataset.current, "load")
    if not run:
        return
    if run.requests.get("number"):
        names = {"p50": "half of all", "p90": "90 %", "p99": "99 %", "max": "all"}
        rows = [{"share": name, "seconds": run.requests[key]} for key, name in names.items() if key in run.requests]
        yield Chart(
            "load",
            "Time until a request is answered",
            f"{run.requests['number']:,.0f} requests; half of them within {run.requests['p50'] * 1e3:,.0f} ms,"
            f" 99 % within {run.requests['p99'] * 1e3:,.0f} ms",
            bars(rows, "share", "requests answered", "seconds", "seconds", sort=[*names.values()]),
        )
        if run.has_course:
            yield Chart(
                "load",
                "Requests in flight",
                f"{run.in_flight:.1f} on average",
                over_time(_derived(run, "request_seconds"), "requests", PLAIN),
            )
    waits = {cause: seconds for cause, seconds in run.waits.items() if seconds}
    if waits:
        names = {SERVER_BUSY: "for the server", "retry": "to try again", "rate": "to keep --rate"}
        rows = [{"cause": names.get(cause, cause), "seconds": seconds} for cause, seconds in waits.items()]
        yield Chart(
            "load",
            "Waits by cause",
            "; ".join(f"{row['cause']}: {row['seconds']:.1f} s" for row in rows)
            + f"; the run took {run.seconds:.1f} s",
            bars(rows, "cause", "the loader waited", "seconds", "seconds"),
        )
    payload = PAYLOADS[LoadMethod.RESTORE if run.way == LoadMethod.RESTORE else LoadMethod.WRITE]
    parquet = 0 if run.rows_resumed else dataset.size
    known = [("Parquet", parquet), (payload, run.payload_size), ("sent", run.size)]
    sizes = {what: size for what, size in known if size}
    unit, scaled = in_unit([*sizes.values()])
    rows = [{"what": what, unit: size} for what, size in zip(sizes, scaled, strict=True)]
    yield Chart(
        "load",
        "Bytes before and after",
        "; ".join(f"{what}: {size_text(size)}" for what, size in sizes.items()),
        bars(rows, "what", "form", unit, unit, sort=[*sizes]),
    )


def _tuning(dataset: DatasetReport) -> Iterator[Chart]:
    """Yield the rates of all repeats of a tuning, and their medians; load paths may be far apart, so by themselves."""
    values = dataset.tuning.values if dataset.tuning else ()
    titles = {"Rates of each setting": False, "Rates of each load path": True}
    for title, of_path in titles.items():
        chosen = [each for each in values if (each.factor == PATH) is of_path]
        rows = [
            {
                "setting": each.value if of_path else f"{each.factor}: {each.value}",
                "rate": rate,
                "verdict": each.verdict,
            }
            for each in chosen
            for rate in each.rates
        ]
        if rows:
            described = f"each repeat is a point, the median a line: {len(chosen)} values, and how each compares"
            yield Chart("tuning", title, described, repeats(rows))


def _dataset(dataset: DatasetReport) -> Iterator[Chart]:
    """Yield what the sample shows of the rows."""
    sample = dataset.sample
    of = f"in all {sample.rows:,} rows" if sample.rows == dataset.rows else f"in a sample of {sample.rows:,} rows"
    of_sample = "" if sample.partitions == dataset.partitions else " of the sample"
    if sample.series_number > 1:
        rows = [{"series": short(text.partition(",")[2] or text), "rows": number} for text, number in sample.series]
        yield Chart(
            "dataset",
            "Rows by series",
            f"the {len(rows)} series with most rows of {sample.series_number:,}, {of}"
            if sample.series_number > len(rows)
            else f"{len(rows)} series, {of}",
            bars(rows, "series", "series", "rows", "rows", sort="-x"),
        )
    if len(sample.slots) > 1:
        rows = [{"time": slot * SLOT // _MINUTE, "rows": number} for slot, number in sample.slots]
        yield Chart("dataset", "Rows by time of day", f"each quarter of an hour in UTC, {of}", by_time_of_day(rows))
    if sample.prices:
        rows = [{"series": each.name, "time": each.time // 1_000_000, "price": each.value} for each in sample.prices]
        tag = dataset.series_tags[0]
        yield Chart(
            "dataset",
            f"{sample.price} over time",
            f"median of {sample.price} in each partition{of_sample}, for the {tag}s with most rows",
            lines(rows, sample.price),
        )
    if sample.columns:
        unit, scaled = in_unit([size for _, size in sample.columns])
        rows = [{"column": short(name), unit: size} for (name, _), size in zip(sample.columns, scaled, strict=True)]
        yield Chart(
            "dataset",
            "Bytes by column",
            f"compressed, in {counted(sample.partitions, 'partition')}{of_sample}",
            bars(rows, "column", "column", unit, unit),
        )


def _history(dataset: DatasetReport) -> Iterator[Chart]:
    runs = [run for run in dataset.runs if run.finished and run.rows]
    if len(runs) > 3:
        rows = [{"run": _label(run), "rate": run.rate, "time": milliseconds(run.started)} for run in runs]
        yield Chart("runs", "Rate of each run", f"{len(runs)} runs, rows a second on a logarithmic scale", points(rows))


def _comparison(report: Report) -> Iterator[Chart]:
    if len(report.datasets) < 2:
        return
    rows = [
        {"dataset": dataset.name, "step": _label(run), "rate": run.rate}
        for dataset in report.datasets
        for activity in ("stage", "load", "verify")
        if (run := newest(dataset.current, activity))
    ]
    if rows:
        spec = bars(rows, "step", "step", "rate", "rows a second", sort=None)
        spec["mark"] = {"type": "bar", "tooltip": True}
        spec["encoding"] |= {
            "yOffset": {"field": "dataset", "type": "nominal", "sort": None},
            "color": {"field": "dataset", "type": "nominal", "title": None, "sort": None},
        }
        yield Chart("compare", "Rows a second", "the newest run of each step, for each dataset", spec)


def _label(run: Run) -> str:
    return f"{run.activity}, {run.way}" if run.way else run.activity


def _derived(run: Run, column: str) -> list[tuple[float, float]]:
    """Return what was done of ``column`` a second, in at most _BINS spans; the time is the end of a span."""
    moments = list(zip(run.timeline["seconds"], run.timeline[column], strict=True))
    apart = max(1, -(-(len(moments) - 1) // _BINS))
    chosen = [*moments[:-1:apart], moments[-1]]
    begin = chosen[0]
    if len(chosen) > 2 and chosen[-1][0] - chosen[-2][0] < (chosen[-2][0] - chosen[0][0]) / len(chosen) / 2:
        del chosen[-2]  # the run ended soon after it: what is done in so short a time tells nothing
    spans = [
        (after[0], max(0.0, after[1] - before[1]) / (after[0] - before[0]))
        for before, after in pairwise(chosen)
        if after[0] - before[0] >= _SHORTEST
    ]
    return [(begin[0], spans[0][1] if spans else 0.0), *spans]
