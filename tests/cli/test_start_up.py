"""What a command does not need is not imported: help, versions and completions come at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loader.cli import COMMANDS
from loader.cli.completion import VARIABLE
from tests.datasets import small_dataset

HEAVY = (
    *("polars", "pyarrow", "numpy", "numba", "duckdb", "exchange_calendars", "pandas"),
    *("influxdb_client", "urllib3", "jinja2", "psutil", "vl_convert"),
)


def imported(
    *arguments: str, environment: dict[str, str] | None = None, wanted: Sequence[str] = HEAVY
) -> tuple[list[str], str]:
    """Run the loader; return which of ``wanted`` it has imported in the end, and what it printed."""
    program = (
        "import atexit, os, sys\n"
        f"atexit.register(lambda: os.write(2, ' '.join(name for name in {wanted!r} if name in sys.modules).encode()))\n"
        f"sys.argv = {['loader', *arguments]!r}\n"
        "from loader.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **(environment or {})}
    )
    return done.stderr.split(), done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["completion", "bash"], ["load", "--help"]])
def test_what_is_only_read_imports_nothing_heavy(arguments: list[str]) -> None:
    """Neither help nor versions need any library that computes or connects."""
    heavy, output = imported(*arguments)
    assert heavy == []
    assert output


@pytest.mark.parametrize(("shell", "form"), [("bash", "COMP_WORDS"), ("fish", "_TYPER_COMPLETE_ARGS")])
def test_a_completion_imports_nothing_heavy(shell: str, form: str) -> None:
    """A shell waits for it at each press of a key."""
    words = {form: "loader load --via re", "COMP_CWORD": "3", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    heavy, output = imported(environment={VARIABLE: f"complete_{shell}", **words})
    assert heavy == []
    assert output == "restore\n"


def test_what_works_imports_what_it_needs() -> None:
    """The test above can fail: a command that looks at data has imported the libraries for it."""
    heavy, _ = imported("status", "/nowhere")
    assert {"pyarrow", "polars"} <= {*heavy}


def test_a_load_imports_only_its_own(tmp_path: Path) -> None:
    """Neither pandas, which pyarrow would import, nor what stages and verifies, nor the encoders of the other path."""
    small_dataset(tmp_path, days=1, rows=5)
    others = (
        "pandas",
        "loader.verification",
        "loader.staging",
        "loader.encoding.line_protocol",
        "loader.encoding.tsm.decode",
    )
    found, _ = imported("load", str(tmp_path), "--via", "restore", "--dry-run", "--quiet", wanted=(*others, "numba"))
    assert found == ["numba"]


def test_no_command_imports_its_work_to_be_declared() -> None:
    """A command that is added is declared without libraries, too."""
    program = f"import loader.cli, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert len(COMMANDS) > 6


def test_a_completion_that_fails_says_nothing() -> None:
    """An error at a prompt would be in the way: it is an empty answer."""
    heavy, output = imported(environment={VARIABLE: "complete_bash"})  # without the words
    assert (heavy, output) == ([], "")
    assert imported(environment={VARIABLE: "complete_tcsh"})[1] == ""
