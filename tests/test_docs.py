"""What the documents name is there."""

from __future__ import annotations

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
