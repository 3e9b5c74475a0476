"""Storage files on disk, by the library and by the command line; what the server says of them is tested on one."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from loader import loading
from loader.cli import build_app
from loader.dataset.manifest import Manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, LoadError
from loader.events import Advanced, Event, Observer, Started
from loader.loading import ExportReport, ExportSettings, export
from loader.loading.restore_path import storage_files
from tests.datasets import small_dataset
from tests.storage import index
from tests.tables import MOMENT, write_tables

DAY = 86_400_000_000_000
ROWS = 3 * 4 * 50


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a dataset of three days."""
    manifest: Manifest = small_dataset(tmp_path / "data")
    assert manifest.rows == ROWS
    return tmp_path / "data"


def files(out: Path) -> list[str]:
    """Return the files below ``out``."""
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def test_every_shard_gets_a_file(data: Path, tmp_path: Path) -> None:
    """Each shard is a folder with whole files, laid out like a server's; nothing else is there."""
    events: list[Event] = []
    report = export(ExportSettings(data, tmp_path / "out", DAY), events.append)
    names = [f"data/0000000000000001/autogen/{number}/000000001-000000004.tsm" for number in (1, 2, 3)]
    assert files(tmp_path / "out") == names
    sizes = [(tmp_path / "out" / name).stat().st_size for name in names]
    assert (report.rows, report.shards, report.files, report.size) == (ROWS, 3, 3, sum(sizes))
    assert (report.out, report.interrupted) == (str(tmp_path / "out"), False)
    assert events[-4:] == [Started("export", ROWS), *(Advanced(200, size) for size in sizes)]
    keys = index((tmp_path / "out" / names[0]).read_bytes()).keys
    assert keys[0] == b"trades,side=buy,symbol=AAPL#!~#amount"
    assert len(keys) == 8


def test_a_new_folder_may_be_there_already(data: Path, tmp_path: Path) -> None:
    """An empty folder will do; of the default duration, one shard holds these days."""
    (tmp_path / "out").mkdir()
    assert export(ExportSettings(data, tmp_path / "out")).shards == 1


def test_a_folder_with_something_in_it(data: Path, tmp_path: Path) -> None:
    """Nothing is put beside other files."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        export(ExportSettings(data, tmp_path / "out"))
    assert files(tmp_path / "out") == ["mine"]


def test_a_duration_that_no_server_takes(data: Path, tmp_path: Path) -> None:
    """Settings are looked at before anything is made."""
    with pytest.raises(ConfigError, match="below an hour"):
        export(ExportSettings(data, tmp_path / "out", 1))
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    """The error names the place and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="cannot be written: Not a directory") as caught:
        export(ExportSettings(data, tmp_path / "file" / "out"))
    assert str(tmp_path / "file") in caught.value.message
    with pytest.raises(LoadError, match="cannot be written: Not a directory"):
        export(ExportSettings(data, tmp_path / "file"))


def test_stopping(data: Path, tmp_path: Path) -> None:
    """A stop ends the export after a whole file, and the report says so; at the end it changes nothing."""
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    report = export(ExportSettings(data, tmp_path / "out", DAY), observe, stop)
    assert (report.rows, report.files, report.interrupted) == (200, 1, True)
    assert len(files(tmp_path / "out")) == 1
    assert export(ExportSettings(data, tmp_path / "all"), stop=stop).interrupted is False


def test_a_failed_write_leaves_no_part_of_a_file(data: Path, tmp_path: Path) -> None:
    """A file appears whole or not at all."""

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            second = tmp_path / "out" / "data" / "0000000000000001" / "autogen" / "2"
            second.touch()  # a file where the next folder should be

    with pytest.raises(LoadError, match="cannot be written"):
        export(ExportSettings(data, tmp_path / "out", DAY), observe)
    assert len(files(tmp_path / "out")) == 2


def test_the_command(data: Path, tmp_path: Path) -> None:
    """The command writes the files and says how much they are."""
    result = run("export-tsm", data, "--out", tmp_path / "out", "--shard-duration", "1d")
    assert result.exit_code == 0, result.output
    assert f"exported {ROWS} points in 3 files of 3 shards: {tmp_path / 'out'}" in result.stdout
    assert len(files(tmp_path / "out")) == 3


def test_the_command_as_json(data: Path, tmp_path: Path) -> None:
    """With --json the report is all there is on stdout; it is kept with the dataset, too."""
    result = run("export-tsm", data, "--out", tmp_path / "out", "--json")
    printed = json.loads(result.stdout)
    assert (printed["activity"], printed["exit_code"]) == ("export", 0)
    assert (printed["report"]["rows"], printed["report"]["files"]) == (ROWS, 1)
    assert any("export" in path.name for path in (data / ".loader").rglob("*"))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--shard-duration", "soon"], 2, "'soon' is not a duration"),
        (["--shard-duration", "1s"], 2, "below an hour"),
    ],
)
def test_options_that_will_not_do(data: Path, tmp_path: Path, options: list[str], code: int, words: str) -> None:
    """Wrong options end the command with its code and the reason, and nothing is written."""
    result = run("export-tsm", data, "--out", tmp_path / "out", *options)
    assert (result.exit_code, words in result.stderr) == (code, True)
    assert not (tmp_path / "out").exists()


def test_no_dataset(tmp_path: Path) -> None:
    """Without a dataset there is nothing to export."""
    result = run("export-tsm", tmp_path / "none", "--out", tmp_path / "out")
    assert (result.exit_code, "no such folder" in result.stderr) == (2, True)


def test_rows_that_cannot_be_points(tmp_path: Path) -> None:
    """They are counted and named, and a shard of nothing else gets no file."""
    schema = PointSchema("m", (), (Field("f", FieldType.FLOAT),), "t", "ns")
    rows = pa.table({"f": [1.0, math.nan], "t": [MOMENT, MOMENT + 2 * DAY]})
    write_tables(tmp_path / "data", schema, {"p.parquet": rows})
    result = run("export-tsm", tmp_path / "data", "--out", tmp_path / "out", "--shard-duration", "1d")
    assert result.exit_code == 1, result.output
    assert "exported 1 point in 1 file of 2 shards" in result.stdout
    assert "rejected 1 row\n         p.parquet, row 1, column 'f': nan" in result.stdout


def test_an_interrupted_command(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that was stopped says how far it got, with the code of an interruption."""

    def stopped(settings: ExportSettings, observe: Observer, stop: threading.Event) -> ExportReport:
        stop.set()
        return export(settings, observe, stop)

    monkeypatch.setattr(loading, "export", stopped)
    result = run("export-tsm", data, "--out", tmp_path / "out", "--shard-duration", "1d")
    assert result.exit_code == 130, result.output
    assert "stopped  200 points in 1 file of 3 shards" in result.stdout


def test_compiling_is_no_part_of_the_rate(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done once on a machine, so it would say nothing of the next export."""
    monkeypatch.setattr(storage_files, "compile_encoders", lambda: time.sleep(3.0))
    began = time.monotonic()
    seconds = export(ExportSettings(data, tmp_path / "out", DAY)).seconds
    assert time.monotonic() - began >= 3.0 + seconds
