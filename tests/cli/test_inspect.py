"""``loader inspect``: what it prints is what can be done next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.dataset.mapping import mapping_json, parse_mapping, read_mapping
from tests.datasets import small_dataset

ROWS = 40
TIMES = pa.array([1_704_067_200_000 + row for row in range(ROWS)], pa.timestamp("ms"))
TABLES: tuple[dict[str, Any], ...] = (
    {"when": TIMES, "v": [0.5] * ROWS},
    {"when": TIMES, "host": ["a", "b"] * 20, "parts": [[1]] * ROWS, "v": [0.5] * ROWS, "x:float": [1] * ROWS},
    {"when": TIMES, "a,b": ["a", "b"] * 20, " v ": [0.5] * ROWS, "raw": [b"x"] * ROWS},
    {"time_ms": TIMES.cast(pa.int64()), "$(id) 'q'": ["a", "b"] * 20, "time": [1] * ROWS, "-v": [0.5] * ROWS},
    {"when": TIMES, "a\nb\x1b[2J": [{"c\nd": 1}] * ROWS, "a\tb": [0.5] * ROWS, "": [1] * ROWS},
)


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.mark.parametrize("table", TABLES)
def test_the_printed_commands_load_the_file(folder: Path, table: dict[str, Any]) -> None:
    """As they are printed on a narrow terminal, a shell splits them into what loads every row by the guess."""
    pq.write_table(pa.table(table), folder / "my trips.parquet")
    result = run("inspect", "my trips.parquet")
    assert result.exit_code == 0, result.output
    assert all(line.isprintable() and len(line) <= 80 for line in result.stdout.splitlines())
    assert [entry.name for entry in folder.iterdir()] == ["my trips.parquet"]
    printed = result.stdout[result.stdout.index("\n  loader ") :].replace("\\\n", "").strip().splitlines()
    guess = json.loads(run("inspect", "my trips.parquet", "--json").stdout)
    assert [shlex.split(line) for line in printed] == [shlex.split(command) for command in guess["commands"]]
    for line in printed:
        last = run(*shlex.split(line)[1:], *["--dry-run"] * (" load " in line))
        assert last.exit_code == 0, last.output
    assert "40 of 40 points" in last.stdout


@pytest.mark.parametrize("table", TABLES)
def test_the_written_guess_is_the_one_that_is_told(folder: Path, table: dict[str, Any]) -> None:
    """TOML, JSON and the load by them agree."""
    pq.write_table(pa.table(table), folder / "trips.parquet")
    result = run("inspect", "trips.parquet", "--json", "--write", "points.toml")
    told = json.loads(result.stdout)
    assert told["commands"] == ["loader load trips.parquet --schema points.toml"]
    mapping = read_mapping(folder / "points.toml")
    said = mapping_json(mapping)
    assert parse_mapping(said, "") == mapping
    assert (told["mapping"]["time"], told["mapping"]["tags"]) == (said["time"], said["tags"])
    assert [field["column"] for field in told["mapping"]["fields"]] == said["fields"]
    assert (told["rows"], told["problem"], len(told["columns"])) == (ROWS, "", len(table))
    assert run("load", "trips.parquet", "--schema", "points.toml", "--dry-run").exit_code == 0


CSVS = (
    "when,host,v,ok\n" + "".join(f"2024-01-02 03:04:{row:02},{'ab'[row % 2]},{row}.5,true\n" for row in range(ROWS)),
    "Zeit;Ort;Wert\n" + "".join(f"{row + 1:02}.01.2024 10:00;x;{row},5\n" for row in range(30)),
    "time_ms\tx,y\tv\n" + "".join(f"{1_704_067_200_000 + row}\tx\t{row}\n" for row in range(ROWS)),
)


@pytest.mark.parametrize("text", CSVS)
@pytest.mark.parametrize("write", [False, True])
def test_the_printed_commands_stage_csv(folder: Path, text: str, *, write: bool) -> None:
    """Whatever its separator, decimals and times, what is printed stages and loads each row."""
    (folder / "my.csv").write_text(text)
    result = run("inspect", "my.csv", *["--write", "said.toml"] * write)
    assert result.exit_code == 0, result.output
    assert all(line.isprintable() and len(line) <= 80 for line in result.stdout.splitlines())
    printed = result.stdout[result.stdout.index("\n  loader ") :].replace("\\\n", "").strip().splitlines()
    told = json.loads(run("inspect", "my.csv", "--json").stdout)
    assert (told["whole"], told["sample_rows"]) == (True, text.count("\n") - 1)
    for line in printed:
        last = run(*shlex.split(line)[1:], *["--dry-run"] * (" load " in line))
        assert last.exit_code == 0, last.output
    assert f"{told['sample_rows']} of {told['sample_rows']} points" in last.stdout


def test_a_staged_dataset_is_recognised(folder: Path) -> None:
    """It and each part of it are said to be what they are, with the command that loads it; no guess is written."""
    small_dataset(folder / "data")
    part = next((folder / "data").rglob("*.parquet")).relative_to(folder)
    for path in (Path("data"), part, part.parent):
        result = run("inspect", path)
        assert result.exit_code == 0
        assert "dataset that loader staged" in result.stdout
        assert "fields: price float, amount integer" in result.stdout
        assert result.stdout.endswith("  loader load data\n")
        assert json.loads(run("inspect", path, "--json").stdout)["commands"] == ["loader load data"]
    refused = run("inspect", "data", "--write", "points.toml")
    assert (refused.exit_code, (folder / "points.toml").exists()) == (2, False)
    assert "knows its columns" in refused.stderr


def test_flags_of_csv_are_for_csv(folder: Path) -> None:
    """Of Parquet they are an error."""
    pq.write_table(pa.table(TABLES[0]), folder / "trips.parquet")
    result = run("inspect", "trips.parquet", "--decimal", ",", "--separator", ";")
    assert (result.exit_code, "trips.parquet: is no CSV" in result.stderr) == (2, True)


def test_what_is_written_is_said(folder: Path) -> None:
    """It is named, and never written over."""
    pq.write_table(pa.table(TABLES[0]), folder / "trips.parquet")
    assert "it is in points.toml:" in run("inspect", "trips.parquet", "--write", "points.toml").stdout
    again = run("inspect", "trips.parquet", "--write", "points.toml")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "points.toml: is there already" in again.stderr


def test_errors_have_a_hint_and_no_traceback(folder: Path) -> None:
    """Nothing there, not Parquet, no rows: exit code 2; damaged within: 3."""
    pq.write_table(pa.table(TABLES[0]), folder / "x.parquet", compression="none")
    content = (folder / "x.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(content[:-9])
    (folder / "damaged.parquet").write_bytes(content[:4] + b"\xff" * 99 + content[103:])
    pq.write_table(pa.table(TABLES[0]).slice(0, 0), folder / "none.parquet")
    for name, code in (("missing", 2), ("cut.parquet", 2), ("none.parquet", 2), ("*.csv", 2), ("damaged.parquet", 3)):
        result = run("inspect", name)
        assert (result.exit_code, result.stdout) == (code, "")
        assert result.stderr.startswith(f"error: {name}")
        assert "\nhint: " in result.stderr
        assert "unexpected" not in result.stderr
        assert json.loads(run("inspect", name, "--json").stdout)["exit_code"] == code
