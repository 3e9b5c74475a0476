"""The page of a report, in a real browser."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from loader.loading import LoadSettings, load
from loader.reporting.metrics import write_metrics
from loader.reporting.recorder import Recorder
from loader.reporting.report.report import ReportSettings
from loader.reporting.report.write import write_report
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.browser import Page, opened_browser
from tests.datasets import small_dataset

EVIL = '</script><img src=x onerror="console.log(1)">'


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
    assert any("The newest run" in text for text in focused)


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
