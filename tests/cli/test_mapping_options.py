"""The flags that say which column is what, and Parquet of others on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.dataset.place import find_place
from loader.errors import ConfigError
from tests.datasets import small_dataset

TIMES = pa.array([1_704_067_200_000, 1_704_067_201_000], pa.timestamp("ms", "UTC"))


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of somebody's."""
    pq.write_table(pa.table({"when": TIMES, "a,b": ["x", "y"], "v": [1, 2]}), tmp_path / "own.parquet")
    return tmp_path / "own.parquet"


def test_flags_and_files_say_the_same(path: Path, tmp_path: Path) -> None:
    """Both encode the same lines; together they are an error. A dry run keeps nothing, no mapping either."""
    flags = ("--measurement", "m", "--time", "when", "--field", "v=w:float")
    toml = tmp_path / "points.toml"
    toml.write_text('measurement = "m"\ntime = "when"\nfields = ["v=w:float"]\n')
    sizes = [
        json.loads(run("load", path, *options, "--dry-run", "--json").stdout)["report"]["payload_size"]
        for options in (flags, ("--schema", toml))
    ]
    assert sizes == [len("m w=1.0 1704067200000000000\n") * 2] * 2
    assert not (path.parent / ".loader").exists()
    both = run("load", path, "--schema", toml, "--time", "when", "--dry-run")
    assert both.exit_code == 2
    assert "--schema and flags say the columns (time)" in both.stderr


def test_a_file_without_a_mapping(path: Path) -> None:
    """It is an error with what to do, and nothing is written."""
    result = run("load", path, "--dry-run")
    assert result.exit_code == 2
    assert "--measurement NAME --tag COLUMN" in result.stderr
    assert not (path.parent / ".loader").exists()


def test_a_mapping_without_a_time(path: Path, tmp_path: Path) -> None:
    """The error names the columns, and those that may be the time; of what cannot be read it names none."""
    for command in (("load", path), ("stage", "--from", path, "--out", tmp_path / "out"), ("tune", path)):
        result = run(*command, "--measurement", "m")
        assert result.exit_code == 2
        assert "error: no time column is named" in result.stderr
        assert "name it: --time COLUMN; columns are when, a,b, v; when may be the time" in " ".join(
            result.stderr.split()
        )
    assert "--time COLUMN\n" in run("load", tmp_path / "none.parquet", "--measurement", "m").stderr
    staged = tmp_path / "staged"
    small_dataset(staged)
    assert "--time COLUMN\n" in run("load", staged, "--measurement", "m").stderr


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    """They are named, with what is wrong."""
    pattern = str(tmp_path / "*.parquet")
    flags = ("--measurement", "m", "--time", "t")
    for command in (("load", pattern, *flags), ("stage", "--from", pattern, *flags), ("inspect", pattern)):
        result = run(*command)
        assert result.exit_code == 2
        assert "*.parquet: no file matches this pattern" in result.stderr


def test_places(tmp_path: Path) -> None:
    """A name that cannot be looked at is an error; a name that is there is no pattern."""
    with pytest.raises(ConfigError, match="File name too long"):
        find_place(Path("x" * 300))
    (tmp_path / "a[b]").mkdir()
    assert find_place(tmp_path / "a[b]").root == tmp_path / "a[b]"
    place = find_place(tmp_path / "x*" / "*.parquet", tmp_path / "state")
    assert (place.root, place.pattern, place.state) == (tmp_path, "x*/*.parquet", tmp_path / "state")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a[b]"]


def test_inspect(path: Path, tmp_path: Path) -> None:
    """It prints what it finds, as JSON too, and writes a mapping that a load takes."""
    assert "a guess, to be checked" in run("inspect", path).stdout
    found = json.loads(run("inspect", path, "--json", "--write", tmp_path / "points.toml").stdout)
    assert (found["rows"], found["mapping"]["time"]) == (2, "when")
    assert run("load", path, "--schema", tmp_path / "points.toml", "--dry-run").exit_code == 0
    assert run("inspect", tmp_path / "none").exit_code == 2
    assert run("inspect", path, "--write", tmp_path / "points.toml").exit_code == 2


def test_what_was_not_loaded_yet(path: Path) -> None:
    """Verifying it, or asking for its status, says that it has to be loaded first, and leaves nothing behind."""
    for command in (("verify", path), ("status", path), ("export-tsm", path)):
        result = run(*command)
        assert (result.exit_code, "nothing was loaded from here yet" in result.stderr) == (2, True)
        assert "load it first" in result.stderr
    for command in (("load", path.parent), ("load", path, "--measurement", "m", "--time", "none")):
        assert run(*command).exit_code == 2
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
