"""The report as one page of HTML that needs nothing else: its style, its scripts and its data are in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup, escape

from loader.dataset.instant import instant
from loader.quantities import counted, size_text
from loader.reporting.metrics import moment_text
from loader.reporting.report.charts import Chart, draw
from loader.reporting.report.report import DatasetReport, Report
from loader.reporting.report.runs import Run, newest
from loader.reporting.text import unfit_text

_ACTIVITIES = {"stage": "Staging", "load": "Loading", "verify": "Verification"}
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def render(report: Report) -> str:
    """Return ``report`` as HTML. All text of datasets is escaped; charts are drawn by Vega-Lite, which is inlined."""
    charts = draw(report)
    first = report.datasets[0]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= _FILTERS
    activities = [(name, title, run) for name, title in _ACTIVITIES.items() if (run := newest(first.current, name))]
    return environment.from_string(_part("page.html.j2")).render(
        report=report,
        first=first,
        style=Markup(_part("page.css")),
        script=Markup(_part("page.js")),
        library=_script(vl_convert.javascript_bundle()),  # type: ignore[call-arg]  # its types miss the default
        charts=_data([{"title": c.title, "description": c.description, "spec": c.spec} for c in charts]),
        figures=lambda section: _figures(charts, section),
        sections=list(_sections(report, [(name, title) for name, title, _ in activities])),
        steps=list(_steps(first)),
        activities=activities,
        comparison=list(_comparison(report)),
        projected=[*first.projections[0].seconds],
        machine=_machine(first.runs[-1]) if first.runs else "",
    )


def _minute(nanoseconds: int) -> str:
    return instant(nanoseconds)[:16].replace("T", " ")


def _whole_minute(text: str) -> str:
    """Return a time of metrics without its seconds and zone."""
    return text.replace("T", " ")[:16]


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _script(text: str) -> Markup:
    """Return a script, of which nothing ends the element that it stands in."""
    return Markup(re.sub("</(?=script)", r"<\\/", text, flags=re.IGNORECASE))


def _data(value: Any) -> Markup:
    """Return ``value`` as JSON that stands in an element of a page as it is."""
    return Markup(json.dumps(value, allow_nan=False).replace("<", r"\u003c"))


def _figures(charts: list[Chart], section: str) -> Markup:
    """Return the places of the charts of ``section``, whose titles and descriptions can be read without them."""
    found = [
        f"<figure><h3>{escape(chart.title)}</h3>"
        f"<figcaption>{escape(chart.description)}</figcaption>"
        f'<div class="chart" id="chart-{number}"></div></figure>'
        for number, chart in enumerate(charts)
        if chart.section == section
    ]
    return Markup(f'<div class="charts">{"".join(found)}</div>' if found else "")


def _sections(report: Report, activities: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    yield "glance", "At a glance"
    if len(report.datasets) > 1:
        yield "compare", "Side by side"
    yield "findings", "Findings"
    yield from activities
    if report.datasets[0].tuning:
        yield "tuning", "Tuning"
    yield "dataset", "The dataset"
    if report.datasets[0].projections[0].seconds or report.datasets[0].unprojected:
        yield "more", "What more would take"
    yield "runs", "All runs"


def _steps(dataset: DatasetReport) -> Iterator[dict[str, str]]:
    """Yield a card for each step."""
    for activity, name in _ACTIVITIES.items():
        run = newest(dataset.current, activity)
        if not run:
            if activity != "stage" or dataset.staged:
                yield {
                    "name": name,
                    "figure": "not yet",
                    "detail": f"no run of loader {activity} on this dataset is known",
                }
            continue
        before = f", {run.rows_resumed:,} before" if run.rows_resumed else ""
        detail = f"{run.rows:,} rows in {run.work_seconds:.1f} s{before}, peak memory {size_text(run.peak_memory)}"
        ways = {"write": "write path", "restore": "restore path", "values": "every value", "sums": "sums and samples"}
        way = f" ({ways.get(run.way, run.way)})" if run.way else ""
        if activity == "verify":
            figure = counted(run.differences, "difference") if run.differences else "no differences"
            detail += f", {unfit_text(run.unfit)}" * bool(run.unfit)
            yield {"name": name + way, "figure": figure, "detail": f"{detail}, {run.rate:,.0f} rows/s"}
        else:
            yield {"name": name + way, "figure": f"{run.rate:,.0f} rows/s", "detail": detail}


def _comparison(report: Report) -> Iterator[dict[str, Any]]:
    for activity in _ACTIVITIES:
        reference = newest(report.datasets[0].current, activity)
        for dataset in report.datasets:
            run = newest(dataset.current, activity)
            if run:
                yield {
                    "dataset": dataset.name,
                    "step": f"{activity}, {run.way}" if run.way else activity,
                    "rows": run.rows,
                    "seconds": run.work_seconds,
                    "rate": run.rate,
                    "ratio": run.rate / reference.rate if reference and reference.rate else 0.0,
                }


def _machine(run: Run) -> str:
    known = {"processor": "{}", "cores": "{} cores", "platform": "{}"}
    told = [form.format(run.machine[name]) for name, form in known.items() if name in run.machine]
    return ", ".join(told) or "a machine that is not told"


def _duration(seconds: float) -> str:
    """Return a duration in its natural unit."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 0.05 else "under 0.1 s"


def _ending(run: Run) -> str:
    if run.interrupted and not run.error:
        return "interrupted"
    if run.error:
        return "failed"
    if run.differences:
        return counted(run.differences, "difference")
    if run.unfit:
        return f"no differences, {unfit_text(run.unfit)}"
    return f"{counted(run.rejected, 'row')} rejected" if run.rejected else "well"


_FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {
        "count": _count,
        "size": size_text,
        "time": _minute,
        "moment": moment_text,
        "minute": _whole_minute,
        "duration": _duration,
        "ending": _ending,
    }
)
