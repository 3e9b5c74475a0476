"""The scripts of ``loader completion``, in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loader.cli import build_app
from loader.cli.completion import SCRIPTS, Shell
from loader.cli.options import UNSIGNED_TYPES, values
from loader.dataset.schema import FieldType

CASES = [
    ("loader lo", "loader load"),
    ("loader completion f", "loader completion fish"),
    ("loader load --via re", "loader load --via restore"),
    ("loader load --via=re", "loader load --via=restore"),
    ("loader load --dry", "loader load --dry-run"),
    ("loader stage --unsigned fl", "loader stage --unsigned float"),
    ("loader load dat", "loader load data.parquet"),
    ("loader load --schema poi", "loader load --schema points.toml"),
    ("loader load data.parquet --on-duplicate nu", "loader load data.parquet --on-duplicate nudge"),
]
SECONDS = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a program ``loader``, the scripts, and files to complete."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "loader"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m loader "$@"\n')
    program.chmod(0o755)
    for shell in Shell:
        result = CliRunner().invoke(build_app(), ["completion", shell])
        assert result.exit_code == 0
        (tmp_path / f"{shell}.script").write_text(result.stdout)
    for name in ("data.parquet", "points.toml"):
        (tmp_path / name).write_text("")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a shell: the program first in the path, a home without settings, few capabilities."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # Coverage of a program that a shell starts would be that of the same lines again.
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_"))}
    root = str(Path(__file__).parents[2])
    return {**plain, "PATH": path, "PYTHONPATH": root, "HOME": str(folder), "ZDOTDIR": str(folder), "TERM": "dumb"}


@contextmanager
def terminal(folder: Path, *command: str) -> Iterator[Callable[[str, str], str]]:
    """Yield a function that types into a shell, and waits until the shell has shown some text."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    master, slave = pty.openpty()
    pipes: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave}
    shell = subprocess.Popen(command, cwd=folder, env=environment(folder), start_new_session=True, **pipes)
    os.close(slave)

    def send(text: str, expected: str) -> str:
        os.write(master, text.encode())
        shown, deadline = "", time.monotonic() + SECONDS
        while expected not in shown:
            assert time.monotonic() < deadline, (expected, shown)
            if select.select([master], [], [], 0.1)[0]:
                shown += os.read(master, 65_536).decode(errors="replace")
        return shown

    try:
        yield send
    finally:
        shell.kill()
        shell.wait()
        os.close(master)


def complete_all(send: Callable[[str, str], str], cases: Sequence[tuple[str, str]] = CASES) -> None:
    """Complete every one of ``cases``: after a Tab, the line is printed by the shell itself, as it stands."""
    for number, (typed, completed) in enumerate(cases):
        # Ctrl-A goes to the beginning of the line, which becomes the argument of echo.
        send(typed, typed[-3:])
        send("\t", completed[len(typed) :])
        send(f"\x01echo {number}: \r", f"{number}: {completed}")


def test_bash_completes(folder: Path) -> None:
    """Commands, options, values in both forms, and files where the loader knows no answer."""
    with terminal(folder, "bash", "--noprofile", "--norc", "-i") as send:
        send("PS1='%'; bind 'set enable-bracketed-paste off'; . ./bash.script; echo rea''dy\r", "ready")
        complete_all(send)


@pytest.mark.parametrize("installed", ["by eval", "in fpath"])
def test_zsh_completes(folder: Path, installed: str) -> None:
    """Both by eval and as a file in fpath, from the first Tab on."""
    begin = "autoload -Uz compinit; compinit -u -D"
    if installed == "in fpath":
        (folder / "functions").mkdir()
        (folder / "zsh.script").rename(folder / "functions" / "_loader")
        begin = f"fpath=({folder}/functions $fpath); {begin}"
    else:
        begin += "; . ./zsh.script"
    with terminal(folder, "zsh", "-f", "-i") as send:
        send(f"PS1='%%'; unsetopt zle_bracketed_paste; {begin}; echo rea''dy\r", "ready")
        complete_all(send, CASES if installed == "by eval" else CASES[:2])


def test_fish_completes(folder: Path) -> None:
    """Fish answers without a terminal what it would complete."""
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    for typed, completed in CASES:
        program = f"source fish.script; complete -C {typed!r}"
        done = subprocess.run(
            ["fish", "--no-config", "-c", program], cwd=folder, env=environment(folder), capture_output=True, text=True
        )
        words = [line.split("\t")[0] for line in done.stdout.splitlines()]
        assert completed.split()[-1] in words, (typed, done)


def test_every_shell_has_a_script() -> None:
    """A shell that is offered can be told."""
    assert {*SCRIPTS} == {*Shell}


def test_values_are_those_that_begin_so() -> None:
    """They are those that are known where they are read."""
    assert values(["fail", "last", "late"])("la") == ["last", "late"]
    assert {*UNSIGNED_TYPES} < {*FieldType}
