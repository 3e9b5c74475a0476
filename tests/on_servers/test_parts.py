"""Line protocol in files: everything is in them once, whatever comes between, and a real server takes them later."""

from __future__ import annotations

import gzip
import json
import math
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from loader.errors import ConfigError, LoadError
from loader.events import Advanced, Event, Notice
from loader.loading import FolderTarget, LoadReport, LoadSettings, WriteSettings, load
from loader.loading.ledger import Ledger
from loader.loading.write_path import parts
from loader.reporting.status import read_status
from loader.reporting.text import status_text
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.killing import kill_at_first_progress
from tests.on_servers.test_cli_end_to_end import run
from tests.on_servers.test_rows import SCHEMA, table
from tests.stored import expected, stored
from tests.tables import MOMENT, write_tables

ROWS = 600


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts small."""
    monkeypatch.setattr(parts, "PART_BYTES", 5_000)


@pytest.fixture
def settings(tmp_path: Path) -> LoadSettings:
    """Return settings to write a dataset of 600 rows into a folder that is not there."""
    small_dataset(tmp_path / "data")
    target = FolderTarget.to(tmp_path / "out put" / "parts")
    return LoadSettings(tmp_path / "data", target, write=WriteSettings(batch_lines=20))


def folder_of(settings: LoadSettings) -> Path:
    """Return the folder."""
    assert isinstance(settings.target, FolderTarget)
    return settings.target.folder


def files_of(settings: LoadSettings) -> list[Path]:
    """Return the parts, in the order of a shell."""
    return sorted(folder_of(settings).glob("*.lp.gz"))


def lines_of(settings: LoadSettings) -> list[bytes]:
    """Return the lines of all parts."""
    return [line for path in files_of(settings) for line in gzip.decompress(path.read_bytes()).splitlines()]


def send(server: Any, bucket: str, settings: LoadSettings) -> None:
    """Post the parts, one after the other, as curl does."""
    address = f"{server.url}/api/v2/write?org={server.org}&bucket={bucket}&precision=ns"
    headers = {"Authorization": f"Token {server.token}", "Content-Encoding": "gzip"}
    for part in files_of(settings):
        with urlopen(Request(address, part.read_bytes(), headers), timeout=60) as reply:
            assert reply.status == 204


def test_a_server_takes_them_later(influx: Any, settings: LoadSettings) -> None:
    """Each part is of bounded size and whole lines; posted to a server, every value is verified."""
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_left, report.retries) == (ROWS, 0, 0)
    assert report.server == f"{len(files_of(settings))} parts in {folder_of(settings)}"
    sizes = [len(gzip.decompress(path.read_bytes())) for path in files_of(settings)]
    assert len(sizes) > 5
    assert max(sizes) <= 5_000
    assert (sum(sizes), sum(path.stat().st_size for path in files_of(settings))) == (
        report.payload_size,
        report.body_size,
    )
    assert [path.name for path in folder_of(settings).iterdir() if path not in files_of(settings)] == []
    bucket = influx.new_bucket()
    send(influx, bucket, settings)
    assert stored(influx, bucket) == expected(settings.dataset)
    target = Target(influx.url, bucket, influx.org, influx.token)
    found = verify(VerifySettings(settings.dataset, target, values=True))
    assert (found.difference_count, found.values) == (0, 2 * ROWS)
    again = load(settings)
    assert (again.rows_resumed, again.rows_acknowledged, again.body_size) == (ROWS, ROWS, 0)
    folder = folder_of(settings)
    assert f"loaded   600 points into {folder.as_uri()}: finished" in status_text(read_status(settings.dataset))


def check_all_there(settings: LoadSettings, report: LoadReport) -> None:
    """Assert that the parts hold each row once."""
    assert (report.rows_acknowledged, report.rows_left) == (ROWS, 0)
    lines = lines_of(settings)
    assert len(lines) == len({*lines}) == ROWS


def test_a_stop_in_the_middle(settings: LoadSettings) -> None:
    """What was begun is written, and the same command goes on with the next part."""
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    report = load(settings, observe, stop)
    assert report.interrupted
    assert len(lines_of(settings)) == report.rows_acknowledged == ROWS - report.rows_left < ROWS
    first = files_of(settings)[0].read_bytes()
    check_all_there(settings, load(settings))
    assert files_of(settings)[0].read_bytes() == first
    stop.set()
    assert load(replace(settings, restart=True), stop=stop).rows_left == ROWS


def test_a_part_that_the_ledger_does_not_know(settings: LoadSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash between the two its name is given to the next part, which begins with the same rows."""
    kept: list[int] = []

    def acknowledge(self: Ledger, rows: Any, parts: int) -> None:
        kept.append(parts)
        if len(kept) == 3:
            raise ZeroDivisionError
        former(self, rows, parts)

    former = Ledger.acknowledge_part
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "acknowledge_part", acknowledge)
        with pytest.raises(ZeroDivisionError):
            load(settings)
    assert len(files_of(settings)) == 3
    check_all_there(settings, load(replace(settings, write=WriteSettings(batch_lines=33))))


def test_a_kill(settings: LoadSettings) -> None:
    """After kill -9 the same command writes what is missing, and nothing is lost."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom loader.loading import FolderTarget, LoadSettings, WriteSettings\n"
        "from loader.loading import load\n"
        "from loader.loading.write_path import parts\nparts.PART_BYTES = 5_000\nsys.stdin.readline()\n"
        "settings = LoadSettings(Path(sys.argv[1]), FolderTarget.to(Path(sys.argv[2])), write=WriteSettings(20))\n"
        "load(settings, lambda event: print(event, flush=True))\n"
    )
    kill_at_first_progress(program, [str(settings.dataset), str(folder_of(settings))], "")
    report = load(settings)
    assert 0 < report.rows_resumed < ROWS
    check_all_there(settings, report)


def test_a_folder_that_cannot_be_written(settings: LoadSettings) -> None:
    """The error names the part; what is there stays, and the same command goes on."""
    folder_of(settings).parent.mkdir()
    folder_of(settings).write_text("a file")
    with pytest.raises(LoadError, match=r"part-[0-9a-f]{8}-000001\.lp\.gz: cannot be written"):
        load(settings)
    folder_of(settings).unlink()
    check_all_there(settings, load(settings))


def test_a_link_is_not_followed(settings: LoadSettings, tmp_path: Path) -> None:
    """A part is a new file, whatever has its name."""
    load(settings)
    first = files_of(settings)[0]
    content = first.read_bytes()
    (tmp_path / "victim").write_text("precious")
    first.unlink()
    first.symlink_to(tmp_path / "victim")
    load(replace(settings, restart=True))
    assert (tmp_path / "victim").read_text() == "precious"
    assert first.read_bytes() == content


def test_other_files_and_parts_that_are_gone(settings: LoadSettings) -> None:
    """Both are said; a restart writes all parts again."""
    load(settings)
    for path in files_of(settings)[:2]:
        path.unlink()
    (folder_of(settings) / "other.lp.gz").write_bytes(b"")
    events: list[Event] = []
    load(settings, events.append)
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.startswith("2 parts of earlier runs are not in") for text in notices)
    assert any("holds 1 file of other loads, such as other.lp.gz" in text for text in notices)
    (folder_of(settings) / "other.lp.gz").unlink()
    check_all_there(settings, load(replace(settings, restart=True)))


def test_rejected_rows_of_parts(tmp_path: Path) -> None:
    """They are counted and limited as those of a server; no part is made of nothing."""
    rows = [("a", math.nan if row % 2 else 1.0, None, None, MOMENT + row // 4) for row in range(80)]
    write_tables(tmp_path / "data", SCHEMA, {"a.parquet": table(*rows)})
    settings = LoadSettings(tmp_path / "data", FolderTarget.to(tmp_path / "parts"), write=WriteSettings(batch_lines=5))
    with pytest.raises(LoadError, match="more than the 8 allowed"):
        load(replace(settings, max_rejected="10%"))
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_rejected, report.rows_skipped) == (20, 40, 20)
    assert len(json.loads(Path(report.rejected_path).read_text().splitlines()[0])) == 5
    assert len(lines_of(settings)) == 20
    write_tables(tmp_path / "none", SCHEMA, {"a.parquet": table(*rows[1::2])})
    nothing = load(replace(settings, dataset=tmp_path / "none", target=FolderTarget.to(tmp_path / "nothing")))
    assert (nothing.rows_rejected, nothing.server) == (40, f"0 parts in {tmp_path / 'nothing'}")
    assert not (tmp_path / "nothing").exists()


def test_what_parts_are_not(settings: LoadSettings) -> None:
    """Storage files, or without compression; a dry run writes nothing."""
    with pytest.raises(ConfigError, match="storage files into a folder"):
        load(replace(settings, via="restore"))
    with pytest.raises(ConfigError, match="parts without compression"):
        load(replace(settings, write=WriteSettings(compress="none")))
    assert load(replace(settings, dry_run=True)).rows_acknowledged == ROWS
    assert not folder_of(settings).exists()
    fast, small = (
        load(replace(settings, write=WriteSettings(compress=f"gzip:{level}"), restart=True)).body_size
        for level in (1, 9)
    )
    assert small < fast


def test_from_the_command_line(influx_v2: Any, tmp_path: Path) -> None:
    """No server is asked for; options that speak of one are refused; verification needs its bucket only."""
    small_dataset(tmp_path / "data")
    command = ("load", tmp_path / "data", "--to", tmp_path / "parts")
    refused = run(influx_v2, *command, "--host", influx_v2.url, "--batch-lines", "5")
    assert refused.exit_code == 2
    assert "--to writes files, and needs no --batch-lines, --host" in refused.stderr
    result = run(influx_v2, *command)
    assert result.exit_code == 0, result.output
    assert "server" not in result.stderr
    bucket = influx_v2.new_bucket()
    send(influx_v2, bucket, LoadSettings(tmp_path / "data", FolderTarget.to(tmp_path / "parts")))
    verified = run(influx_v2, "verify", tmp_path / "data", "--bucket", bucket)
    assert verified.exit_code == 0, verified.output
    page = tmp_path / "page.html"
    told = [
        run(influx_v2, *command, tmp_path / "data") for command in (("status",), ("doctor",), ("report", "--out", page))
    ]
    assert [each.exit_code for each in told] == [0, 0, 0]
    assert "not verified" not in told[0].stdout
    assert f"600 rows into file://{tmp_path}/parts" in " ".join(told[1].stdout.split())
    assert "The bucket was verified after the load" in page.read_text()
