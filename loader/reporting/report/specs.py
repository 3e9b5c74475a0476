"""Kinds of charts as Vega-Lite specifications: https://vega.github.io/vega-lite/docs/."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from loader.dataset.instant import DAY
from loader.reporting.report.sample import SLOT

PLAIN = ",.2~f"
_HEIGHT = 200
_ROW_HEIGHT = 22
_BAR = 16
_LEAST_HEIGHT = 120
_MINUTE = 60_000_000_000
_MANY_DAYS = 4
_TICKS = 4
"""Of moments: an axis begins and ends with one, whose label is drawn inwards."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def base(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what all charts have."""
    return {"width": "container", "height": _HEIGHT, "data": {"values": list(rows)}}


def axis(field: str, kind: str, title: str, format: str = "", **more: Any) -> dict[str, Any]:
    """Return an axis that shows ``field``, and says what that is."""
    form = {"axis": {"format": format}} if format else {}
    return {"field": field, "type": kind, "title": title, **form, **more}


def over_time(points: Sequence[tuple[float, float]], title: str, format: str = "~s") -> dict[str, Any]:
    """Return an area over the seconds of a run."""
    rows = [{"seconds": round(seconds, 2), "value": value} for seconds, value in points]
    return base(rows) | {
        "mark": {"type": "area", "line": True, "opacity": 0.35, "interpolate": "step-before", "tooltip": True},
        "encoding": {
            "x": axis("seconds", "quantitative", "seconds since it began"),
            "y": axis("value", "quantitative", title, format=format),
        },
    }


def bars(
    rows: Sequence[dict[str, Any]], name: str, name_title: str, value: str, title: str, sort: Any = "-x"
) -> dict[str, Any]:
    """Return a bar for each of ``rows``, with the name of each beside it."""
    return base(rows) | {
        "height": max(_LEAST_HEIGHT, _ROW_HEIGHT * len(rows)),
        "mark": {"type": "bar", "tooltip": True, "height": _BAR},
        "encoding": {
            "y": axis(name, "nominal", name_title, sort=sort),
            "x": axis(value, "quantitative", title, format="~s" if title.startswith("rows") else PLAIN),
        },
    }


def by_time_of_day(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a bar for each SLOT of the day: ``time`` is minutes since midnight."""
    clock = "pad(floor(datum.value / 60), 2, '0', 'left') + ':' + pad(datum.value % 60, 2, '0', 'left')"
    x = axis("time", "quantitative", "time of day (UTC)", scale={"domain": [0, 1_440], "nice": False})
    x["axis"] = {"labelExpr": clock, "values": list(range(0, 1_441, 360))}
    return base(rows) | {
        "mark": {"type": "bar", "tooltip": True, "width": {"band": 1}},
        "encoding": {
            "x": x | {"bin": {"binned": True, "step": SLOT // _MINUTE}},
            "y": axis("rows", "quantitative", "rows", format="~s"),
        },
    }


def lines(rows: Sequence[dict[str, Any]], title: str) -> dict[str, Any]:
    """Return a line over time for each series of prices; ``time`` is milliseconds since 1970."""
    return base(rows) | {
        "mark": {"type": "line", "tooltip": True, "point": {"size": 12}},
        "encoding": {
            "x": moments("time (UTC)", [row["time"] for row in rows]),
            "y": axis("price", "quantitative", title, scale={"zero": False}),
            "color": {"field": "series", "type": "nominal", "title": None},
        },
    }


def points(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a point for each run: its ``rate`` on a logarithmic scale, when it began (``time``, milliseconds)."""
    return base(rows) | {
        "mark": {"type": "point", "filled": True, "size": 70, "tooltip": True},
        "encoding": {
            "x": moments("began (UTC)", [row["time"] for row in rows]),
            "y": axis("rate", "quantitative", "rows a second", format="~s", scale={"type": "log"}),
            "color": {"field": "run", "type": "nominal", "title": None},
        },
    }


def repeats(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a row for each ``setting``: a point for each ``rate``, a line for the median; the colour is a verdict."""
    settings = dict.fromkeys(row["setting"] for row in rows)
    y = axis("setting", "nominal", "setting", sort=None)
    colour = {"field": "verdict", "type": "nominal", "title": None}
    x = axis("rate", "quantitative", "points a second", format="~s", scale={"zero": False})
    point = {"type": "point", "filled": True, "tooltip": True}
    tick = {"type": "tick", "thickness": 2, "tooltip": True}
    return base(rows) | {
        "height": max(_LEAST_HEIGHT, _ROW_HEIGHT * len(settings)),
        "layer": [
            {"mark": point, "encoding": {"x": x, "y": y, "color": colour}},
            {"mark": tick, "encoding": {"x": x | {"aggregate": "median"}, "y": y, "color": colour}},
        ],
    }


def moments(title: str, times: Sequence[int]) -> dict[str, Any]:
    """Return an axis of ``times``, milliseconds since 1970: dates, with hours (of 24) where they are few days apart."""
    apart = (max(times) - min(times)) * 1_000_000 if times else 0
    clock = "" if apart >= _MANY_DAYS * DAY else "%H:%M" if apart >= 10 * _MINUTE else "%H:%M:%S"
    lines = ", ".join(f"utcFormat(datum.value, '{form}')" for form in ("%Y-%m-%d", clock) if form)
    shown = {"format": f"%Y-%m-%d {clock}".strip(), "labelExpr": f"[{lines}]"}  # the format is that of tooltips
    return axis("time", "temporal", title, scale={"type": "utc", "nice": _TICKS}) | {
        "axis": {**shown, "tickCount": _TICKS, "labelFlush": True}
    }


def in_unit(sizes: Sequence[int]) -> tuple[str, list[float]]:
    """Return the natural unit of the largest of ``sizes``, which are bytes, and all of them in it."""
    largest, power = max(sizes, default=0), 0
    while largest >= 1 << 10 * (power + 1) and power < len(_UNITS) - 1:
        power += 1
    return _UNITS[power], [size / (1 << 10 * power) for size in sizes]


def milliseconds(text: str) -> int:
    """Return a time in ISO 8601 as milliseconds since 1970."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000


def short(text: str, most: int = 48) -> str:
    """Return ``text``, cut if it is longer than a label may be."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
