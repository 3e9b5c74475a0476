"""docs/live.md and the dashboard name the metrics that a run serves, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from loader.reporting.prometheus import CAUSES, RunMetrics

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "live.md").read_text()
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
VARIABLES = {"$job", "$instance", "$__rate_interval"}


@pytest.fixture(scope="module")
def served() -> str:
    """Return what is served before anything has happened."""
    return generate_latest(RunMetrics("load").registry).decode()


def queries() -> Iterator[str]:
    """Yield every query of the page and of the dashboard."""
    yield from re.findall(r"^\| .*? \| `([^`]*)` \|$", PAGE, re.MULTILINE)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["definition"] if variable["type"] == "query" else ""


def unknown(query: str, served: str) -> set[str]:
    """Return the names of metrics in ``query`` that are not served."""
    names = {re.split("[{ ]", line)[0] for line in served.splitlines() if not line.startswith("#")}
    return set(re.findall(r"\b(?:loader|process)_\w+", query)) - names


def test_the_table_is_what_is_served(served: str) -> None:
    """Names and types of all, and what those of the loader mean in their own words."""
    table = {
        name: (kind, text) for name, kind, text in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    }
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", served, re.MULTILINE))
    texts = dict(re.findall(r"^# HELP (\w+) (.*)$", served, re.MULTILINE))
    assert {name: kind for name, (kind, _) in table.items()} == kinds
    own = [name for name in kinds if name.startswith("loader_")]
    assert {name: table[name][1] for name in own} == {name: texts[name] for name in own}
    assert all(f"`{cause}` (" in PAGE for cause in CAUSES)


def test_queries_name_what_is_served(served: str) -> None:
    """Each query of the page and of the dashboard has metrics, causes and variables that exist."""
    asked = list(filter(None, queries()))
    assert len(asked) > 20
    for query in asked:
        assert unknown(query, served) == set(), query
        assert re.search(r"\b(loader|process)_", query), query
        assert set(re.findall(r'cause="([^"]*)"', query)) <= {*CAUSES}, query
        assert set(re.findall(r"\$\w+", query)) <= VARIABLES, query


def test_a_name_that_is_not_served_is_found(served: str) -> None:
    """The check can fail: for a misspelt metric, and for the name of a histogram without its suffix."""
    assert unknown("rate(loader_row_total[1m])", served) == {"loader_row_total"}
    assert unknown("loader_request_duration_seconds", served) == {"loader_request_duration_seconds"}


def test_the_dashboard_is_whole() -> None:
    """Panels have ids and places of their own, data comes from the variable, and what a run serves is shown."""
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len({*cells}) == len(cells)
    assert max(x for x, _ in cells) < 24
    sources = [panel["datasource"] for panel in panels]
    sources += [target["datasource"] for panel in panels for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    text = " ".join(queries())
    for name in re.findall(r"^\| `(loader_\w+)`", PAGE, re.MULTILINE):
        assert name in text
