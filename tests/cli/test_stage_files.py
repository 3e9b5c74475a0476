"""Files of others on the command line of a stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), ["stage", *(str(argument) for argument in arguments)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of CSV, whose times are seconds."""
    (tmp_path / "x.csv").write_text("host,at,v\na,1,1.5\nb,2,2.5\na,3,NaN\n")
    return tmp_path / "x.csv"


def test_tables_with_flags_and_with_the_file_that_a_stage_writes(path: Path, tmp_path: Path) -> None:
    """Rejected rows are exit code 1; the second run knows the types from points.toml, and keeps everything."""
    flags = ("--measurement", "m", "--tag", "host", "--time", "at", "--time-unit", "s", "--workers", "1")
    result = run("--from", path, "--out", tmp_path / "out", *flags)
    assert result.exit_code == 1, result.output
    assert "staged   2 rows in 1 partition" in result.stdout
    assert "types of fields, as inferred: v float\n" in result.stderr
    assert "rejected 1 row: " in result.stdout
    assert (tmp_path / "out" / "points.toml").read_text() == (
        'measurement = "m"\ntime = "at"\ntime_unit = "s"\ntags = [\n  "host",\n]\nfields = [\n  "v=:float",\n]\n'
    )
    again = run("--from", path, "--out", tmp_path / "out", "--schema", tmp_path / "out" / "points.toml", "--json")
    assert json.loads(again.stdout)["report"]["partitions_kept"] == 1
    skipped = run("--from", path, "--out", tmp_path / "skip", *flags, "--non-finite", "skip", "--max-rejected", "0")
    assert skipped.exit_code == 3
    assert "1 row was rejected, more than the 0 allowed" in skipped.stderr
    assert "1 value is NaN or infinite, and left out: 1 of v" in skipped.stderr
    path.write_text("host,at,u,v\na,1,1,1.5\nb,2,2,-inf\na,3,1,NaN\n")
    left_out = run("--from", path, "--out", tmp_path / "skip", *flags, "--non-finite", "skip")
    assert left_out.exit_code == 0
    assert "2 values left out: NaN or infinite" in left_out.stdout


def test_line_protocol(tmp_path: Path) -> None:
    """Its unit is said by the same flag; a mapping is refused."""
    (tmp_path / "x.lp").write_text("m v=1 7\nm v= 8\n")
    refused = run("--from", tmp_path / "x.lp", "--out", tmp_path / "out", "--time-unit", "ms")
    assert refused.exit_code == 3
    assert "x.lp, line 2, column 5: a field has no value" in refused.stderr
    skipping = ("--time-unit", "ms", "--on-bad-line", "skip", "--temp", tmp_path, "--on-duplicate", "nudge")
    assert run("--from", tmp_path / "x.lp", "--out", tmp_path / "out", *skipping).exit_code == 1
    mapped = run("--from", tmp_path / "x.lp", "--out", tmp_path / "other", "--measurement", "m", "--time", "t")
    assert mapped.exit_code == 2
    assert "line protocol knows its measurements" in mapped.stderr


def test_what_is_missing_is_said(path: Path, tmp_path: Path) -> None:
    """Exit code 2, and what to do."""
    result = run("--from", path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "--measurement NAME --tag COLUMN" in result.stderr
    assert run("--from", tmp_path / "none", "--out", tmp_path / "out").exit_code == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--from", "x.csv", "--trades", "5", "--symbols-file", "x"), "--trades, --symbols-file beside --from"),
        (("--measurement", "m", "--time", "t"), "--measurement, --time without --from"),
    ],
)
def test_flags_that_mean_nothing(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    """Flags of trades beside --from, and those of files without it, are refused, and nothing is staged."""
    result = run("--out", tmp_path / "out", *flags)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_another_kind_of_dataset(path: Path, tmp_path: Path) -> None:
    """Trades where files were staged, and the other way round, are refused in one sentence."""
    flags = ("--measurement", "m", "--tag", "host", "--time", "at", "--time-unit", "s", "--non-finite", "skip")
    files = ("--from", path, "--out", tmp_path / "files", *flags, "--max-rejected", "1", "--workers", "1")
    trades = ("--trades", "10", "--end", "2024-01-03", "--workers", "1", "--out", tmp_path / "trades")
    assert run(*files).exit_code == 1
    assert run(*trades).exit_code == 0
    assert "holds a dataset of files, and trades are to be staged" in run(*trades[:-1], tmp_path / "files").stderr
    assert "holds a dataset of trades, and files are" in run(*files[:3], tmp_path / "trades", *flags).stderr
