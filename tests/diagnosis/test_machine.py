"""What a diagnosis finds of this machine."""

from __future__ import annotations

import importlib.metadata
import io
import resource
import shutil
import sys
import tempfile
import zoneinfo
from collections.abc import Iterable
from types import SimpleNamespace
from typing import NoReturn

import pytest

from loader.diagnosis import machine
from loader.diagnosis.findings import Finding, Level, looked_at

GIB = 1 << 30


def only(findings: Iterable[Finding]) -> Finding:
    """Return the finding when there is one."""
    (finding,) = findings
    return finding


def test_libraries_that_are_here_are_named() -> None:
    """The versions are those that are installed, of all that the loader requires and of nothing else."""
    finding = only(machine.look_at_libraries())
    assert finding.level is Level.OK
    assert f"polars {importlib.metadata.version('polars')}" in finding.text
    assert "pytest" not in finding.text


def test_libraries_that_are_missing_or_old_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are compared as numbers: 1.10 is newer than 1.9."""
    required = ["polars>=999.1", "typer>=0.10", "nowhere-to-be-found>=1", "pytest; extra == 'dev'"]
    monkeypatch.setattr(machine, "requires", lambda name: required)
    old, missing, rest = machine.look_at_libraries()
    assert (old.level, missing.level, rest.level) == (Level.PROBLEM, Level.PROBLEM, Level.OK)
    assert "is older than 999.1" in old.text
    assert missing.text == "nowhere-to-be-found is not installed"
    assert all("pip install" in finding.hint for finding in (old, missing))
    assert machine._numbers("1.10.2rc1") > machine._numbers("1.9")


@pytest.mark.parametrize(
    ("available", "level", "words"),
    [(8 * GIB, Level.OK, ""), (GIB, Level.WARNING, "--via restore"), (GIB // 8, Level.PROBLEM, "0.35 GiB")],
)
def test_memory(monkeypatch: pytest.MonkeyPatch, available: int, level: Level, words: str) -> None:
    """What a load takes is compared with what is available."""
    monkeypatch.setattr(machine, "measure_available_memory", lambda: available)
    finding = only(machine.look_at_memory())
    assert finding.level is level
    assert words in finding.effect


@pytest.mark.parametrize(
    ("limits", "level", "hint"),
    [
        ((1_024, 4_096), Level.OK, ""),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), Level.OK, ""),
        ((20, resource.RLIM_INFINITY), Level.WARNING, "run ulimit -n 1024"),
        ((20, 100), Level.WARNING, "run ulimit -n 100"),
        (
            (20, 20),
            Level.WARNING,
            "have the hard limit of 20 raised: limits.conf, LimitNOFILE of systemd, or docker --ulimit",
        ),
    ],
)
def test_open_files(monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], level: Level, hint: str) -> None:
    """Few files are a warning, with a limit that may be set, or whose limit it is."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    finding = only(machine.look_at_open_files())
    assert (finding.level, finding.hint) == (level, hint)


def test_texts_of_other_encodings_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASCII for output, or no time zones, are told with what they cost."""
    assert [finding.level for finding in machine.look_at_texts()] == [Level.OK]
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))

    def unknown(name: str) -> NoReturn:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", unknown)
    texts, zones = machine.look_at_texts()
    assert (texts.level, zones.level) == (Level.WARNING, Level.WARNING)
    assert "ascii for output" in texts.text
    assert "tzdata" in zones.hint


@pytest.mark.parametrize(
    ("free", "needed", "level", "words"),
    [
        (9 * GIB, 2 * GIB, Level.OK, ""),
        (9 * GIB, 10 * GIB, Level.PROBLEM, "needs 10.0 GiB"),
        (GIB // 2, 0, Level.WARNING, "verify --values"),
    ],
)
def test_temporary_files(monkeypatch: pytest.MonkeyPatch, free: int, needed: int, level: Level, words: str) -> None:
    """The disk is compared with what the search for identities needs."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    finding = only(machine.look_at_temporary_files(needed))
    assert finding.level is level
    assert words in finding.effect


def test_no_place_for_temporary_files_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which variable names one."""

    def nowhere() -> NoReturn:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    finding = only(machine.look_at_temporary_files(0))
    assert finding.level is Level.PROBLEM
    assert "TMPDIR" in finding.hint


@pytest.mark.parametrize(
    ("error", "text"), [(OSError(5, "Input/output error", "/x"), "/x: Input/output error"), (OSError(5, "bad"), "bad")]
)
def test_an_error_of_the_system_is_a_finding(error: OSError, text: str) -> None:
    """What was found before it stays."""

    def look() -> Iterable[Finding]:
        yield Finding("one", Level.OK, "fine \x1b[2J")
        raise error

    before, finding = looked_at("two", "it fails", look)
    assert before.text == "fine \\x1b[2J"
    assert (finding.subject, finding.level, finding.text) == ("two", Level.PROBLEM, text)
