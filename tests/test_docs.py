"""What the documents name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import loader

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"


def missing_tests(text: str) -> list[str]:
    """Return the tests and files of tests that a text names and that do not exist."""
    file = ""
    missing = []
    for path, test in re.findall(r"`((?:\w+/)*test_\w+\.py)?(?:::(test_\w+))?`", text):
        file = path.removeprefix("tests/") or file
        if not (path or test):
            continue
        code = (TESTS / file).read_text() if (TESTS / file).is_file() else ""
        if not code or (test and f"def {test}(" not in code):
            missing.append(f"{file}::{test}")
    return missing


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_promise_has_its_test(page: Path) -> None:
    """Each file and test that a page names exists."""
    assert missing_tests(page.read_text()) == []


def test_a_test_that_is_gone_is_found() -> None:
    """Of a file, and of a name in it; a name alone is in the file before it."""
    assert missing_tests("`test_docs.py::test_a_test_that_is_gone_is_found`, `::test_every_promise_has_its_test`") == []
    assert missing_tests("`test_docs.py`, `::test_of_nothing`, `cli/test_gone.py`") == [
        "test_docs.py::test_of_nothing",
        "cli/test_gone.py::",
    ]
    assert len(re.findall(r"`(?:\w+/)*test_", (DOCS / "reliability.md").read_text())) > 60


def test_each_pattern_has_its_lines() -> None:
    """The patterns in README's table are those of the page, in the same order, and none is without code and test."""
    table = (ROOT / "README.md").read_text().partition("| Pattern | Where |\n|---|---|\n")[2]
    named = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    _, *sections = (DOCS / "patterns.md").read_text().split("\n## ")
    assert [section.partition("\n")[0] for section in sections] == named
    assert [
        section.partition("\n")[0] for section in sections if "```" not in section or "Tests: " not in section
    ] == []


def test_every_public_name_is_in_the_api() -> None:
    """What the package promises is on the page; errors and events come with their modules."""
    shown = set(re.findall(r"^\.\. auto\w+:: loader\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
    assert {*loader.__all__, "events", "errors"} - shown == {"LoaderError"}


def test_every_rule_of_the_report_is_told() -> None:
    """Each title of a finding stands in the table of rules, and each row of it is a finding."""
    modules = TESTS.parent / "loader" / "reporting" / "report"
    source = "\n".join((modules / name).read_text() for name in ("findings.py", "pace.py"))
    titles = {
        " ".join(part.value for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant)).strip()
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Finding"
    }
    rows = re.findall(r"^\| ([A-Z][^|]+?) \|", (DOCS / "report.md").read_text().partition("## The rules")[2], re.M)
    titles = {re.sub(r" by .*", "", title) for title in titles}
    assert titles == {*rows} - {"Finding"}
    assert len(titles) > 15
