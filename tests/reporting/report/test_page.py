"""The page of a report, in a real browser."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from loader.dataset.reader import open_dataset
from loader.dataset.state import write_json
from loader.loading import LoadSettings, load
from loader.reporting.metrics import write_metrics
from loader.reporting.recorder import Recorder
from loader.reporting.report.report import ReportSettings
from loader.reporting.report.write import write_report
from loader.servers.base import Target
from loader.tuning.result import FILE
from loader.tuning.settings import Verdict
from loader.verification import VerifySettings, verify
from tests.browser import Page, opened_browser
from tests.datasets import small_dataset

CUT = """[...document.querySelectorAll(".chart svg")].flatMap((drawing) => {
  const inside = drawing.getBoundingClientRect(), place = drawing.closest(".chart").getBoundingClientRect();
  return [...drawing.querySelectorAll("text")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width && (box.left < inside.left - 1 || box.right > Math.min(inside.right, place.right) + 1
      || box.top < inside.top - 1 || box.bottom > inside.bottom + 1);
  }).map((each) => each.textContent);
})"""
LONG = """[...document.querySelectorAll(".words p")].map((each) => {
  const box = each.getBoundingClientRect();
  return box.right <= document.documentElement.clientWidth && each.scrollWidth <= each.clientWidth;
})"""
EVIL = '</script><img src=x onerror="console.log(1)">'


VERDICTS = [each.value for each in Verdict]
TUNING = {
    **{"version": 1, "measured": "2026-11-30T12:00:00+00:00", "server": "InfluxDB 2.9.1", "gain": 1.5},
    "flags": "--batch-lines 40000 --batch-bytes 8000000 --connections 3 --compress none",
    "trials": [
        {"factor": factor, "value": f"{value} of a long name", "rates": [1e5 * value, 2e5], "verdict": verdict}
        for factor in ("batch size", "row order", "load path")
        for value, verdict in enumerate(VERDICTS, 1)
    ],
}


@pytest.fixture(scope="module")
def reported(influx_v2: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a dataset that was loaded and verified, with a name that tries to be code."""
    folder = tmp_path_factory.mktemp("report") / "a&b"
    small_dataset(folder, symbols=(EVIL, "MSFT"))
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    runs = {"load": (load, LoadSettings(folder, target)), "verify": (verify, VerifySettings(folder, target))}
    for activity, (work, settings) in runs.items():
        with Recorder(activity, settings) as recorder:
            done = work(settings, recorder.observe)  # type: ignore[operator]
        write_metrics(folder, activity, recorder.content(done))
    with Recorder("load", LoadSettings(folder, target)) as recorder:
        pass
    failed = recorder.content(None, 3, f"http://localhost/{'without-a-blank' * 20}: gave up, the server is away")
    write_metrics(folder, "load", failed)
    write_json(folder, FILE, TUNING | {"fingerprint": open_dataset(folder).fingerprint, "url": target.url})
    page = tmp_path_factory.mktemp("page") / "report.html"
    write_report(ReportSettings(folder, (folder,)), page)
    assert influx_v2.token not in page.read_text() + Path(f"{page}.json").read_text()
    return page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a page of a browser."""
    with opened_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [375, 1_200])
def test_all_charts_are_drawn(browser: Page, reported: Path, width: int, dark: bool) -> None:
    """Wide and narrow, light and dark: every figure has a drawing, nothing is asked for, and nothing complains."""
    browser.console.clear()
    browser.requests.clear()
    browser.open(reported, width=width, dark=dark)
    number = browser.wait_for("document.documentElement.dataset.drawn")
    assert int(number) == browser.evaluate("document.querySelectorAll('figure').length") >= 8
    assert browser.evaluate("[...document.querySelectorAll('.chart')].every((each) => each.querySelector('svg path'))")
    assert browser.console == []
    assert {address.partition(":")[0] for address in browser.requests} <= {"file", "data", "blob"}
    assert [address for address in browser.requests if address.startswith("file:")] == [reported.resolve().as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    assert browser.evaluate(CUT) == [], "words of charts that are cut"
    assert browser.evaluate(LONG) == [True], "an error is read without scrolling, however long it is"
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not dark


def test_its_order_makes_sense_without_eyes(browser: Page, reported: Path) -> None:
    """Headings go down step by step, charts and tables have names, and the keyboard reaches links and wide tables."""
    browser.open(reported)
    browser.wait_for("document.documentElement.dataset.drawn")
    levels = browser.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= former + 1 for former, later in pairwise(levels))
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    drawings = [name for role, name in roles if role in {"graphics-document", "GraphicsDocument", "img", "image"}]
    assert all(drawings)
    assert len(drawings) >= 8
    assert all(name for role, name in roles if role in {"region", "navigation", "table"})
    focused = []
    for _ in range(12):
        browser.press("Tab")
        focused.append(browser.evaluate("document.activeElement.textContent.slice(0, 30)"))
    assert focused[:3] == ["At a glance", "Side by side", "Findings"]
    assert any(text.strip().startswith("Dataset") for text in focused), "the table of datasets"


def test_names_are_text(browser: Page, reported: Path) -> None:
    """A name that tries to be code is shown, in tables, charts and descriptions."""
    browser.open(reported)
    browser.wait_for("document.documentElement.dataset.drawn")
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.evaluate("document.title").startswith(str(reported)[:1])
    assert "img src=x" in browser.evaluate("document.querySelector('main').textContent")


def test_it_prints_dark_on_white(browser: Page, reported: Path) -> None:
    """Paper is white, also for somebody whose screen is dark."""
    browser.open(reported, dark=True)
    browser.wait_for("document.documentElement.dataset.drawn")
    assert len(browser.send("Page.printToPDF")["data"]) > 10_000
    browser.send(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.send("Emulation.setEmulatedMedia", media="")
