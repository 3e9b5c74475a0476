"""The fenced blocks of README.md and docs/, run as a reader would run them.

A page is one sitting: its blocks run one after the other in one folder, with one server of their own. A block is

- ``console``: commands after ``$``, each with what it prints. Printed lines match when they differ in numbers and in
  space only; ``...`` stands for any lines. What goes to standard error may be left out.
- ``sh``, or a block without a language: commands only.
- ``python``: a program, which finds the names of the page's former ones.
- ``toml``, ``json`` or ``yaml``: it is read. ``text``: it is not.
- ``{name}``: a directive of the site, which building the site checks.

Every command ends with exit code 0, unless ``echo $?`` after it shows another one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from loader.cli import build_app

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?: (?:B|KiB|MiB|GiB)\b)?")
STATEMENT = re.compile(r"^(?:until|while|for|if)\b(?s:.*?)^(?:done|fi)\b.*|^.*\S.*", re.MULTILINE)
"""A loop or a condition over several lines, or a line."""
READERS: Mapping[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": yaml.safe_load,
    "text": str,
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the number of its first line, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """Page and line, as editors take them."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command, and the lines that the page shows as printed by it; None where it shows nothing."""

    text: str
    printed: tuple[str, ...] | None = None


class DoesNotHold(AssertionError):
    """A block does not do what the page says."""


def find_blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, also those in lists."""
    fence, language, begin, lines = "", "", 0, list[str]()
    for number, line in enumerate(page.read_text().splitlines(), 1):
        ticks = re.match(r"\s*(`{3,}|:{3,}(?=\{))(.*)", line)
        if not fence and ticks:
            fence, language, begin, lines = ticks[1], ticks[2].strip(), number + 1, []
        elif fence and line.strip() == fence:
            yield Block(page, begin, language, "\n".join(lines))
            fence = ""
        else:
            lines.append(line)


def commands(block: Block) -> list[Command]:
    """Return the commands of a block, with those that end in a backslash joined to their next lines."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        before, *parts = re.split(r"^\s*\$ ", text, flags=re.MULTILINE)
        if before.strip():
            raise DoesNotHold(f"{block.where}: begins without a command")
        return [Command(first, tuple(rest)) for first, *rest in (part.splitlines() for part in parts)]
    if block.language in {"", "sh"}:
        plain = re.sub(r"(^|\s+)# .*", "", text, flags=re.MULTILINE)
        return [
            Command(part)
            for statement in STATEMENT.findall(plain)
            for part in ([statement] if "\n" in statement else statement.strip().split(" && "))
        ]
    return []


def mismatch(printed: Sequence[str], output: str, optional: Sequence[str] = ()) -> str:
    """Return what is wrong when ``output`` has not the lines ``printed``, "" when nothing is.

    Lines of ``optional`` may be left out of ``printed``.
    """
    wanted = [line for line in printed if line.strip()]
    gap = False
    for line in filter(str.strip, output.splitlines()):
        while wanted and wanted[0].strip() == "...":
            gap = True
            del wanted[0]
        if wanted and shape(wanted[0]) == shape(line):
            gap = False
            del wanted[0]
        elif not gap and line not in optional:
            shown = f"the page shows {wanted[0]!r}" if wanted else "the page shows nothing more"
            return f"prints {line!r}, where {shown}"
    missing = [line for line in wanted if line.strip() != "..."]
    return f"does not print {missing[0]!r}" if missing else ""


def shape(line: str) -> str:
    """Return a line with 0 for each number, and one space for any."""
    return " ".join(NUMBER.sub("0", line).split())


@dataclass
class Sitting:
    """Runs the blocks of a page in the current folder; ``programs`` is the folder of its programs.

    ``replace`` turns a text of the page into the one that is run; ``left_out`` are commands that are not.
    """

    programs: Path
    replace: Callable[[str], str]
    left_out: Mapping[str, str]
    names: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0

    def run(self, block: Block) -> None:
        """Run one block; raises DoesNotHold."""
        if block.language.startswith("{"):
            return
        if block.language == "python":
            self._run_program(block)
        elif block.language in READERS:
            self._read(block)
        elif block.language in {"console", "sh", ""}:
            todo = commands(block)
            for command, following in zip(todo, [*todo[1:], Command("")], strict=True):
                self._run_command(block, command, following)
        else:
            raise DoesNotHold(f"{block.where}: nobody knows how to check a block of {block.language!r}")

    def _run_program(self, block: Block) -> None:
        try:
            exec(compile(self.replace(block.text), block.where, "exec"), self.names)
        except Exception as error:
            raise DoesNotHold(f"{block.where}: {type(error).__name__}: {error}") from error

    def _read(self, block: Block) -> None:
        try:
            READERS[block.language](block.text)
        except (ValueError, yaml.YAMLError) as error:
            raise DoesNotHold(f"{block.where}: is no {block.language}: {error}") from error

    def _run_command(self, block: Block, command: Command, following: Command) -> None:
        if command.text in self.left_out:
            return
        if command.text == "echo $?":
            code, output, optional = 0, f"{self.exit_code}\n", ""
            wanted = 0
            if command.printed != (str(self.exit_code),):
                raise DoesNotHold(f"{block.where}: the exit code is {self.exit_code}, not {command.printed}")
        else:
            code, output, optional = self._execute(self.replace(command.text))
            told = following.printed if following.text == "echo $?" else None
            wanted = int(told[0]) if told else 0
            self.exit_code = code
        if code != wanted:
            raise DoesNotHold(f"{block.where}: {command.text}: exit code {code}\n{output}")
        if command.printed is not None and (wrong := mismatch(command.printed, output, optional.splitlines())):
            raise DoesNotHold(f"{block.where}: {command.text}: {wrong}\n{output}")

    def _execute(self, text: str) -> tuple[int, str, str]:
        """Return exit code, all output, and standard error of a command line; of simple ones in this process."""
        words = shlex.split(text)
        if words[0] == "loader" and not {*shlex.shlex(text, punctuation_chars=True)} & {"|", ">", "<", "&", ";"}:
            result = CliRunner().invoke(build_app(), words[1:])
            return result.exit_code, result.output, result.stderr
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", text],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr, done.stderr


def write_programs(folder: Path, influxd: Path) -> None:
    """Write the programs ``loader`` and ``influxd`` to ``folder``."""
    folder.mkdir()
    for name, command in (
        ("loader", f"{shlex.quote(sys.executable)} -m loader"),
        ("influxd", shlex.quote(str(influxd))),
    ):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
