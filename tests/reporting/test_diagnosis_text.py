"""A diagnosis as text."""

from __future__ import annotations

import pytest

from loader.diagnosis import Diagnosis, Finding, Level
from loader.reporting.diagnosis_text import diagnosis_text

FINDINGS = (
    Finding("memory", Level.OK, "8.0 GiB are available"),
    Finding("open files", Level.WARNING, "up to 20 at a time", "commands may end", "run ulimit -n 1024"),
    Finding("server", Level.PROBLEM, "http://localhost:8086: cannot connect", "nothing can be loaded", "start it"),
)


def test_a_diagnosis_in_lines() -> None:
    """A line begins with the level; effect and hint are below; the end counts."""
    assert diagnosis_text(Diagnosis(FINDINGS)).splitlines() == [
        "ok       memory: 8.0 GiB are available",
        "warning  open files: up to 20 at a time",
        "         commands may end",
        "         hint: run ulimit -n 1024",
        "problem  server: http://localhost:8086: cannot connect",
        "         nothing can be loaded",
        "         hint: start it",
        "",
        "1 problem, 1 warning",
    ]
    assert diagnosis_text(Diagnosis(FINDINGS[:1])).endswith("\n\nnothing is wrong")


@pytest.mark.parametrize("width", [0, 40, 80])
def test_lines_are_as_wide_as_the_terminal(width: int) -> None:
    """They are cut at blanks, and what belongs together begins in one column; an address stays whole."""
    lines = diagnosis_text(Diagnosis(FINDINGS), width).splitlines()
    assert all(len(line) <= max(width, 40) for line in lines)
    assert any("http://localhost:8086:" in line for line in lines)
    assert {line[:9].strip() for line in lines[:-1]} == {"ok", "warning", "problem", ""}
