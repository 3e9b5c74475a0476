"""Errors and hints: plain lines for programs, set off for people."""

from __future__ import annotations

import io
import re
import sys

import pytest

from loader.cli import messages
from loader.cli.messages import tell

TEXT = "a message that is longer than a terminal of sixty columns, [red]and[/red] holds brackets"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return an environment in which nothing decides about colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "PYCHARM_HOSTED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    return monkeypatch


def told(stream: io.StringIO, environment: pytest.MonkeyPatch) -> str:
    """Return what ``stream`` gets of an error and a hint."""
    environment.setattr(sys, "stderr", stream)
    tell("error", TEXT)
    tell("hint", "do it again")
    return stream.getvalue()


def test_programs_get_plain_lines(environment: pytest.MonkeyPatch) -> None:
    """One line each, however long, as they always were."""
    assert told(io.StringIO(), environment) == f"error: {TEXT}\nhint: do it again\n"


def test_a_terminal_gets_colours_and_columns(environment: pytest.MonkeyPatch) -> None:
    """Lines end at the terminal's width, texts begin in one column, and what a text holds is no markup."""
    text = told(Terminal(), environment)
    assert "\x1b[1;31merror:" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert [line[:7] for line in plain] == ["error: ", "       ", " hint: "]
    assert all(len(line) <= 60 for line in plain)
    assert " ".join(line[7:].strip() for line in plain[:2]) == TEXT


def test_no_color_is_no_colour(environment: pytest.MonkeyPatch) -> None:
    """NO_COLOR keeps the columns and leaves out colours; FORCE_COLOR makes a pipe a terminal."""
    environment.setenv("NO_COLOR", "1")
    text = told(Terminal(), environment)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", text)
    assert " hint:" in text
    environment.delenv("NO_COLOR")
    environment.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31merror:" in told(io.StringIO(), environment)


def test_an_installation_that_is_broken_says_so_plainly(environment: pytest.MonkeyPatch) -> None:
    """Without Rich there is still a message, on a terminal, too."""
    environment.setitem(sys.modules, "rich.console", None)
    assert told(Terminal(), environment) == f"error: {TEXT}\nhint: do it again\n"
    assert messages.tell is tell
