"""The charts of a report, as Vega-Lite specifications: https://vega.github.io/vega-lite/docs/."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loader.events import SERVER_BUSY
from loader.reporting.report.report import DatasetReport, Report
from loader.reporting.report.runs import Run, newest
from loader.reporting.report.sample import SLOT
from loader.reporting.text import PAYLOADS
from loader.servers.load_method import LoadMethod

_BINS = 80
_HEIGHT = 200
_ROW_HEIGHT = 22
_LEAST_HEIGHT = 120
_PLAIN = ",.2~f"
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
        if not run or len(run.timeline.get("seconds", ())) < 3:
            continue
        rates = _derived(run, "rows")
        yield Chart(
            activity,
            "Rows a second",
            f"{max(rate for _, rate in rates):,.0f} at most, {run.rate:,.0f} on average",
            _over_time(rates, "rows a second"),
        )
        cores = _derived(run, "cpu_seconds")
        yield Chart(
            activity,
            "Processors in use by the loader",
            f"{run.cores:.2f} of {run.machine.get('cores')} on average",
            _over_time(cores, "processors", _PLAIN),
        )
        memory = [
            (seconds, size / _MIB)
            for seconds, size in zip(run.timeline["seconds"], run.timeline["memory"], strict=True)
        ]
        yield Chart(
            activity,
            "Memory of the loader",
            f"{max(size for _, size in memory):,.0f} MiB at most in the samples",
            _over_time(memory, "MiB"),
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
            _bars(rows, "share", "requests answered", "seconds", "seconds", sort=[*names.values()]),
        )
        if len(run.timeline.get("seconds", ())) >= 3:
            yield Chart(
                "load",
                "Requests in flight",
                f"{run.in_flight:.1f} on average",
                _over_time(_derived(run, "request_seconds"), "requests", _PLAIN),
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
            _bars(rows, "cause", "the loader waited", "seconds", "seconds"),
        )
    payload = PAYLOADS[LoadMethod.WRITE if run.way == LoadMethod.WRITE else LoadMethod.RESTORE]
    parquet = 0 if run.rows_resumed else dataset.size
    sizes = [("Parquet", parquet), (payload, run.payload_size), ("sent", run.size)]
    rows = [{"what": what, "MiB": size / _MIB} for what, size in sizes if size]
    yield Chart(
        "load",
        "Bytes before and after",
        "; ".join(f"{row['what']}: {row['MiB']:,.1f} MiB" for row in rows),
        _bars(rows, "what", "form", "MiB", "MiB", sort=[what for what, _ in sizes]),
    )


def _tuning(dataset: DatasetReport) -> Iterator[Chart]:
    """Yield the rates of all repeats of a tuning, and their medians."""
    if not dataset.tuning or not dataset.tuning.values:
        return
    values = dataset.tuning.values
    rows = [
        {"setting": f"{each.factor}: {each.value}", "rate": rate, "verdict": each.verdict}
        for each in values
        for rate in each.rates
    ]
    y = _axis("setting", "nominal", "setting", sort=None)
    colour = {"field": "verdict", "type": "nominal", "title": None}
    x = _axis("rate", "quantitative", "points a second", format="~s")
    spec = _base(rows) | {
        "height": max(_LEAST_HEIGHT, _ROW_HEIGHT * len(values)),
        "layer": [
            {"mark": {"type": "point", "filled": True, "tooltip": True}, "encoding": {"x": x, "y": y, "color": colour}},
            {
                "mark": {"type": "tick", "thickness": 2, "tooltip": True},
                "encoding": {"x": x | {"aggregate": "median"}, "y": y, "color": colour},
            },
        ],
    }
    yield Chart(
        "tuning",
        "Rates of each setting",
        f"each repeat is a point, the median a line: {len(values)} values, and how each compares",
        spec,
    )


def _dataset(dataset: DatasetReport) -> Iterator[Chart]:
    """Yield what the sample shows of the rows."""
    sample = dataset.sample
    of = f"in a sample of {sample.rows:,} rows"
    if sample.series_number > 1:
        rows = [{"series": _short(text.partition(",")[2] or text), "rows": number} for text, number in sample.series]
        yield Chart(
            "dataset",
            "Rows by series",
            f"the {len(rows)} series with most rows of {sample.series_number:,}, {of}",
            _bars(rows, "series", "series", "rows", "rows in the sample", sort="-x"),
        )
    if len(sample.slots) > 1:
        rows = [{"time": slot * SLOT // _MINUTE, "rows": number} for slot, number in sample.slots]
        yield Chart("dataset", "Rows by time of day", f"each quarter of an hour in UTC, {of}", _by_time_of_day(rows))
    if sample.prices:
        rows = [{"series": each.name, "time": each.time // 1_000_000, "price": each.value} for each in sample.prices]
        tag = dataset.series_tags[0]
        yield Chart(
            "dataset",
            f"{sample.price} over time",
            f"median of {sample.price} in each partition of the sample, for the {tag}s with most rows",
            _lines(rows, sample.price),
        )
    if sample.columns:
        rows = [{"column": name, "MiB": size / _MIB} for name, size in sample.columns]
        yield Chart(
            "dataset",
            "Bytes by column",
            f"compressed, in the {sample.partitions} partitions of the sample",
            _bars(rows, "column", "column", "MiB", "MiB", sort="-x"),
        )


def _history(dataset: DatasetReport) -> Iterator[Chart]:
    runs = [run for run in dataset.runs if run.finished and run.rows]
    if len(runs) > 3:
        rows = [{"run": _label(run), "rate": run.rate, "time": run.started} for run in runs]
        spec = _base(rows) | {
            "mark": {"type": "point", "filled": True, "size": 70, "tooltip": True},
            "encoding": {
                "x": _axis("time", "temporal", "began (UTC)", scale={"type": "utc"}),
                "y": _axis("rate", "quantitative", "rows a second", format="~s", scale={"type": "log"}),
                "color": {"field": "run", "type": "nominal", "title": None},
            },
        }
        yield Chart("runs", "Rate of each run", f"{len(runs)} runs, rows a second on a logarithmic scale", spec)


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
        spec = _bars(rows, "step", "step", "rate", "rows a second", sort=None)
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


def _base(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"width": "container", "height": _HEIGHT, "data": {"values": list(rows)}}


def _axis(field: str, kind: str, title: str, format: str = "", **more: Any) -> dict[str, Any]:
    axis = {"axis": {"format": format}} if format else {}
    return {"field": field, "type": kind, "title": title, **axis, **more}


def _over_time(points: Sequence[tuple[float, float]], title: str, format: str = "~s") -> dict[str, Any]:
    rows = [{"seconds": round(seconds, 2), "value": value} for seconds, value in points]
    return _base(rows) | {
        "mark": {"type": "area", "line": True, "opacity": 0.35, "interpolate": "step-before", "tooltip": True},
        "encoding": {
            "x": _axis("seconds", "quantitative", "seconds since it began"),
            "y": _axis("value", "quantitative", title, format=format),
        },
    }


def _bars(
    rows: Sequence[dict[str, Any]], name: str, name_title: str, value: str, title: str, sort: Any = "-x"
) -> dict[str, Any]:
    return _base(rows) | {
        "height": max(_LEAST_HEIGHT, _ROW_HEIGHT * len(rows)),
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "y": _axis(name, "nominal", name_title, sort=sort),
            "x": _axis(value, "quantitative", title, format=_PLAIN if value in {"seconds", "MiB"} else "~s"),
        },
    }


def _by_time_of_day(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    clock = "pad(floor(datum.value / 60), 2, '0', 'left') + ':' + pad(datum.value % 60, 2, '0', 'left')"
    x = _axis("time", "quantitative", "time of day (UTC)", scale={"domain": [0, 1_440], "nice": False})
    x["axis"] = {"labelExpr": clock, "values": list(range(0, 1_441, 180))}
    return _base(rows) | {
        "mark": {"type": "bar", "tooltip": True, "width": {"band": 1}},
        "encoding": {
            "x": x | {"bin": {"binned": True, "step": SLOT // _MINUTE}},
            "y": _axis("rows", "quantitative", "rows in the sample", format="~s"),
        },
    }


def _lines(rows: Sequence[dict[str, Any]], title: str) -> dict[str, Any]:
    return _base(rows) | {
        "mark": {"type": "line", "tooltip": True, "point": {"size": 12}},
        "encoding": {
            "x": _axis("time", "temporal", "time (UTC)", scale={"type": "utc"}),
            "y": _axis("price", "quantitative", title, scale={"zero": False}),
            "color": {"field": "series", "type": "nominal", "title": None},
        },
    }


def _short(text: str, most: int = 48) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
