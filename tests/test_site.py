"""The documentation as a site: it is built strictly, is read without a network, and fits on a telephone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

from tests.browser import opened_browser

ROOT = Path(__file__).parents[1]
NARROW, USUAL = 375, 1200
INSIDE = {"file", "data", "blob"}
# Blocks of code scroll sideways; tables and text do not.
CUT_OFF = """
[...document.querySelectorAll("main :is(p, li, dd, dt, h1, h2, h3, td, th, code)")]
  .filter(each => !each.closest("pre") && each.getClientRects().length)
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
    || each.closest("table") && each.getBoundingClientRect().right
      > each.closest("table").parentElement.getBoundingClientRect().right + 0.5)
  .map(each => each.innerText)
"""
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of ``root`` as ``make docs`` does."""
    recipe = re.search(r"-m (sphinx .*)", (ROOT / "Makefile").read_text())
    assert recipe
    options = recipe[1].replace("build/doctrees", str(out / "doctrees")).replace("build/site", str(out / "site"))
    command = [sys.executable, "-m", *options.split()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def test_what_is_broken_ends_the_build(tmp_path: Path) -> None:
    """A link, an anchor, a page without a place in the navigation, code that is gone, an unknown name."""
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "findings.md"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs")
    for name in ("_static", "_templates"):
        (tmp_path / "docs" / name).symlink_to(ROOT / "docs" / name)
    (tmp_path / "loader").symlink_to(ROOT / "loader")
    (tmp_path / "docs" / "index.md").write_text("# Planted\n\n```{toctree}\nfindings\n```\n")
    (tmp_path / "docs" / "planted.md").write_text(
        "# Planted\n\n[a](nothing.md) [b](findings.md#nothing)\n\n"
        "```{literalinclude} ../loader/waiting.py\n:pyobject: gone\n```\n\n"
        "```{eval-rst}\n.. autoclass:: loader.Nothing\n```\n"
    )
    built = build(tmp_path, tmp_path / "out")
    assert built.returncode == 1
    for words in ("'nothing.md'", "in doc 'findings': 'nothing'", "any toctree", "'gone' not found", "'Nothing'"):
        assert words in built.stderr
    assert built.stderr.count("WARNING") == 5


class Loads(HTMLParser):
    """Collects what a page loads by itself; links that a reader follows are not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of what ``tag`` loads."""
        self.found += [value or "" for name, value in attrs if name == LOADED.get(tag)]


def test_the_site_is_read_without_a_network(tmp_path: Path) -> None:
    """By text and in a browser, no page loads anything from elsewhere; nothing of it is cut off; search works."""
    built = build(ROOT, tmp_path)
    assert (built.returncode, built.stderr) == (0, "")
    site = tmp_path / "site"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text())
    pages = sorted(site.glob("*.html"))
    assert len(pages) >= 10
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found
        assert [each for each in loads.found if re.match(r"\w+:|//", each)] == []
    wide = []
    with opened_browser(tmp_path / "profile") as browser:
        for page, width in product(pages, (NARROW, USUAL)):
            browser.open(page, width=width)
            if browser.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((page.name, width, ""))
            wide += [(page.name, width, text) for text in browser.evaluate(CUT_OFF)]
        browser.send("Page.navigate", url=f"{(site / 'search.html').as_uri()}?q=acknowledged")
        found = browser.wait_for('document.querySelector("#search-results a")?.getAttribute("href")')
        assert {address.partition(":")[0] for address in browser.requests} <= INSIDE
    assert wide == []
    assert found.startswith(("reliability.html", "index.html"))


def test_a_request_and_a_wide_page_are_seen(tmp_path: Path) -> None:
    """The test before this one can fail."""
    page = tmp_path / "page.html"
    page.write_text(
        '<script src="http://127.0.0.1:9/x.js"></script><p style="width: 500px">wide</p>'
        '<main><p style="width: 400px">text</p><p>fits</p><pre style="width: 400px"><code>x</code></pre>'
        '<div style="width: 99px; overflow: auto"><table><td style="min-width: 150px">cell</table></div></main>'
    )
    with opened_browser(tmp_path / "profile") as browser:
        browser.open(page, width=NARROW)
        assert browser.evaluate("document.documentElement.scrollWidth") > NARROW
        assert browser.evaluate(CUT_OFF) == ["text", "cell"]
        assert [address for address in browser.requests if address.partition(":")[0] not in INSIDE] == [
            "http://127.0.0.1:9/x.js"
        ]
