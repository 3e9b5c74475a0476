"""What the documents name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"


def test_every_promise_has_its_test() -> None:
    """Each file and test that stands beside a promise exists."""
    named = re.findall(r"`((?:\w+/)*test_\w+\.py)?(?:::(test_\w+))?`", (DOCS / "reliability.md").read_text())
    file = ""
    missing = []
    for path, test in named:
        file = path or file
        if not (path or test):
            continue
        text = (TESTS / file).read_text() if (TESTS / file).is_file() else ""
        if not text or (test and f"def {test}(" not in text):
            missing.append(f"{file}::{test}")
    assert len(named) > 60
    assert missing == []


def test_every_rule_of_the_report_is_told() -> None:
    """Each title of a finding stands in the table of rules, and each row of it is a finding."""
    source = (TESTS.parent / "loader" / "reporting" / "report" / "findings.py").read_text()
    titles = {
        " ".join(part.value for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant)).strip()
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Finding"
    }
    rows = re.findall(r"^\| ([A-Z][^|]+?) \|", (DOCS / "report.md").read_text().partition("## The rules")[2], re.M)
    titles = {re.sub(r" by .*", "", title) for title in titles}
    assert titles == {*rows} - {"Finding"}
    assert len(titles) > 15
