"""The examples in the help: every one is shown, fits, and runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from loader.cli import COMMANDS, build_app
from loader.cli.examples import EXAMPLES, Example, epilog
from tools.influxd import RunningServer

FEWER = ("--trades", "2000", "--end", "2024-01-05", "--workers", "1")
"""What is added to an example that would stage many trades."""
SHORT = ("--seconds", "1")
"""What is added to one that would measure for minutes."""


def test_every_command_has_examples() -> None:
    """Two or three each, in lines that a terminal of 80 columns has room for."""
    assert {*EXAMPLES} == {name for name, _ in COMMANDS}
    for examples in EXAMPLES.values():
        assert 2 <= len(examples) <= 3
        lines = [line for example in examples for line in (*example.command.splitlines(), f"# {example.purpose}")]
        assert max(map(len, lines)) <= 76
    assert epilog("nothing") is None


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_shows_them(name: str, width: int) -> None:
    """They stand at the end as they are typed, without colours in a pipe, and no line is wider than the terminal."""
    result = CliRunner().invoke(build_app(), [name, "--help"], env={"COLUMNS": str(width), "TERMINAL_WIDTH": None})
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= width
    shown = [line.strip() for line in result.stdout.splitlines()]
    for example in EXAMPLES[name]:
        assert f"# {example.purpose}" in shown
        assert all(line.strip() in shown for line in example.command.splitlines())


def test_lines_of_the_help_end_at_the_terminals_width() -> None:
    """A paragraph is not broken where the lines of the source end."""
    result = CliRunner().invoke(build_app(), ["doctor", "--help"], env={"COLUMNS": "200"})
    (paragraph,) = (line for line in result.stdout.splitlines() if "Each finding" in line)
    assert paragraph.strip().endswith("The exit code is 1 if there are problems.")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the working folder of the examples, with the files that they name."""
    folder = tmp_path_factory.mktemp("examples")
    when = [datetime(2024, 1, 2, 3, number, tzinfo=UTC).replace(tzinfo=None) for number in range(3)]
    trips = pa.table({"pickup": pa.array(when, pa.timestamp("us")), "vendor": ["a", "b", "a"], "fare": [1.5, 2.5, 3.5]})
    pq.write_table(trips, folder / "trips.parquet")
    (folder / "export").mkdir()
    (folder / "export" / "one.csv").write_text("host,when,used\na,2024-01-02T03:04:05,0.5\n")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def test_they_run(workplace: Path, influx_v2: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the help, each ends well against a real server, as it stands; some do less than they say."""
    for name, value in (("HOST", influx_v2.url), ("TOKEN", influx_v2.token), ("ORG", influx_v2.org)):
        monkeypatch.setenv(f"INFLUX_{name}", value)
    outcomes = {example: outcome(example) for examples in EXAMPLES.values() for example in examples}
    assert {example.command: said for example, said in outcomes.items() if said} == {}
    assert (workplace / "points.toml").exists()
    assert {path.name for path in workplace.iterdir() if path.is_dir()} >= {"data", "january", "points", "export"}


def outcome(example: Example) -> str:
    """Run an example; return what went wrong, "" if nothing did."""
    words = shlex.split(example.command.replace("\\\n", " "))
    if ">" in words:  # where a script belongs is not tested here
        words = words[: words.index(">")]
    if words[1] == "stage" and "--from" not in words:
        words += FEWER
    if words[1] == "tune":
        words += SHORT
    result = CliRunner().invoke(build_app(), words[1:])
    return "" if result.exit_code == 0 else result.output
