"""Rows of one series and time that are moved apart where they lie, by each way into real servers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loader.dataset.manifest import read_manifest, write_manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.moves import read_moves, with_moves, write_moves
from loader.dataset.opened import FilesChanged
from loader.errors import ConfigError, StageError
from loader.events import Advanced, Event, Notice, Started
from loader.loading import LoadSettings, WriteSettings, load
from loader.loading.restore_path.export import ExportSettings, export
from loader.reporting.status import read_status
from loader.reporting.text import load_text, status_text
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.on_servers.test_adopted import put
from tests.on_servers.test_rows import MOMENT, SCHEMA, table
from tests.on_servers.ways import NAMES, WAYS, way_into
from tests.stored import ask
from tests.tables import write_tables

HOUR = 3_600
START = 1_704_067_200
"""Seconds from 1970 to 2024-01-01."""
TIMES = pa.timestamp("s", tz="UTC")
MAPPING = ColumnMapping("m", "time", ("host",))


@pytest.fixture(params=WAYS, ids=NAMES)
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[Any, LoadSettings]]:
    """Return a function that gives a server, and settings for a bucket of its own by one of the ways in."""

    def settings(**changes: Any) -> tuple[Any, LoadSettings]:
        usual: dict[str, Any] = {"mapping": MAPPING, "on_duplicate": "nudge"}
        return way_into(request, tmp_path / "data", "nudged", **usual | changes)

    return settings


def fill(root: Path, rows: int = 40) -> None:
    """Write two files of times in seconds, in no order, of which all are there four times for each of two hosts."""
    for number, name in enumerate(("a.parquet", "z.parquet")):
        seconds = [START + row * 31 % rows for row in range(rows)] * 4
        hosts = [("a", "b")[row // rows % 2] for row in range(4 * rows)]
        x = [float(4 * rows * number + row) for row in range(4 * rows)]
        put(root / name, time=pa.array(seconds, TIMES), host=pa.array(hosts), x=pa.array(x))


def verified(settings: LoadSettings) -> None:
    """Verify by sums and by value."""
    for values in (False, True):
        report = verify(VerifySettings(settings.dataset, settings.target, values=values))
        assert (report.difference_count, report.superseded) == (0, 0)


def test_all_rows_arrive(begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path) -> None:
    """Of two files of few times, every row is a point; the server's own query has them behind each other, in order."""
    fill(tmp_path / "data")
    server, settings = begin()
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_moved, report.rows_skipped) == (320, 240, 0)
    assert "240 rows are moved by nanoseconds" in load_text(report)
    series = ask(server, settings.target.bucket, "SELECT x FROM m GROUP BY host")["series"]
    assert [each["tags"]["host"] for each in series] == ["a", "b"]
    for each in series:
        assert [time for time, _ in each["values"]] == [
            (START + second) * 10**9 + step for second in range(40) for step in range(4)
        ]
        found = [x for time, x in each["values"][:4]]
        assert found == sorted(found)
    assert len({x for each in series for _, x in each["values"]}) == 320
    verified(settings)
    assert "240 rows are moved by nanoseconds" in status_text(read_status(settings.dataset))
    assert load(settings).rows_resumed == 320
    events: list[Event] = []
    with pytest.raises(ConfigError, match=r"240 values belong to rows with the same series and time|did not make it"):
        load(replace(settings, on_duplicate="fail"), events.append)
    assert events[0] == Notice(
        "the last load moved rows apart, and this one does not: say --on-duplicate nudge to go on with it"
    )


def test_a_row_that_leaves_its_shard(begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path) -> None:
    """Rows of the last nanosecond of an hour go into the shard of the next, where others are moved on."""
    last = (START + HOUR) * 10**9 - 1
    times = pa.array([START * 10**9, last, last, last, last + 1], pa.timestamp("ns", tz="UTC"))
    put(tmp_path / "data" / "x.parquet", time=times, host=pa.array(["a"] * 5), x=pa.array([1, 2, 3, 4, 5]))
    server, settings = begin(shard_duration=HOUR * 10**9)
    assert load(settings).rows_moved == 3
    found = ask(server, settings.target.bucket, "SELECT x FROM m")["series"][0]["values"]
    assert found == [[START * 10**9, 1], *([last + step, 2 + step] for step in range(4))]
    verified(settings)


def test_rejected_rows_take_no_time(begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path) -> None:
    """Others are not moved behind what is no point; files of other units and integers are moved as well."""
    times = pa.array([5, 5, None, 6, 5, 2**62], pa.int64())
    x = pa.array([1.0, float("nan"), 2.0, 3.0, 4.0, 5.0])
    put(tmp_path / "data" / "x.parquet", time=times, host=pa.array(["a"] * 6), x=x)
    server, settings = begin(mapping=replace(MAPPING, time_unit="us"))
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_rejected, report.rows_moved) == (3, 3, 1)
    found = ask(server, settings.target.bucket, "SELECT x FROM m")["series"][0]["values"]
    assert found == [[5_000, 1.0], [5_001, 4.0], [6_000, 3.0]]
    for values in (False, True):
        told = verify(VerifySettings(settings.dataset, settings.target, values=values))
        assert (told.difference_count, told.unfit) == (0, 3)


def test_a_stop_in_the_middle(begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path) -> None:
    """What is resumed moves the same rows by the same steps."""
    fill(tmp_path / "data")
    _, settings = begin(write=WriteSettings(batch_lines=20), shard_duration=HOUR * 10**9)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Started | Advanced):
            stop.set()

    assert load(settings, observe, stop).interrupted
    assert load(settings, stop=stop).interrupted  # while rows are looked through
    report = load(settings)
    assert report.rows_acknowledged == 320
    verified(settings)


def test_a_file_that_is_another_for_a_while(begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path) -> None:
    """What was sent of a file that changed meanwhile is sent again, once it is the one that it was."""
    fill(tmp_path / "data")
    path = tmp_path / "data" / "z.parquet"
    content, former = path.read_bytes(), path.stat().st_mtime_ns
    _, settings = begin()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            os.utime(path, ns=(former, former + 1))

    for dry_run in (True, False):
        with pytest.raises(FilesChanged):
            load(replace(settings, dry_run=dry_run), observe)
        os.utime(path, ns=(former, former))
    path.write_bytes(content)
    os.utime(path, ns=(former, former))
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_moved) == (320, 240)
    assert report.rows_resumed <= 160
    verified(settings)


def test_moves_of_another_dataset(begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path) -> None:
    """Verification sees rows that were left at one time, and refuses moves that the manifest does not count."""
    fill(tmp_path / "data")
    _, settings = begin()
    load(settings)
    root = settings.dataset
    manifest = read_moves(root, read_manifest(root))
    steps = {each.path: np.array(each.moves) for each in manifest.partitions}
    path = manifest.partitions[-1].path
    row = int(np.flatnonzero(steps[path] == 2)[0])
    steps[path][row] = 1
    planted = with_moves(manifest, steps, {each.path: each.time_max for each in manifest.partitions})
    write_moves(root, planted)
    with pytest.raises(StageError, match="holds other moves than the manifest counts"):
        verify(VerifySettings(root, settings.target))
    load(settings)  # as the words that come with it say
    verified(settings)
    write_moves(root, planted)
    write_manifest(root, planted)
    for values in (False, True):
        report = verify(VerifySettings(root, settings.target, values=values))
        words = "1 value has the series and time of a later row that sets the same field, though rows were moved"
        assert any(words in difference.detail for difference in report.differences)
        assert report.difference_count > 1  # and what the server has


def test_an_export_moves_as_the_load_did(influx_v2: Any, tmp_path: Path) -> None:
    """Storage files of a dataset that was loaded hold its rows where they were moved to."""
    fill(tmp_path / "data")
    target = _target(influx_v2)
    load(LoadSettings(tmp_path / "data", target, mapping=MAPPING, on_duplicate="nudge"))
    events: list[Event] = []
    report = export(ExportSettings(tmp_path / "data", tmp_path / "out"), events.append)
    assert report.rows == 320
    assert not any(isinstance(event, Notice) for event in events)


def _target(server: Any) -> Target:
    return Target(server.url, server.new_bucket(), server.org, server.token)


def test_what_cannot_be_moved(influx_v2: Any, tmp_path: Path) -> None:
    """A row without room, rows that are not to be looked for, and a staged dataset are refused; nothing is sent."""
    times = pa.array([START * 10**9 - 1] * 2, pa.timestamp("ns", tz="UTC"))
    put(tmp_path / "x.parquet", time=times, x=pa.array([1, 2]))
    settings = LoadSettings(
        tmp_path / "x.parquet", _target(influx_v2), mapping=ColumnMapping("m", "time"), on_duplicate="nudge"
    )
    with pytest.raises(ConfigError, match=r"x.parquet row 1: no nanosecond of its day is left"):
        load(settings)
    with pytest.raises(ConfigError, match="not to be looked for"):
        load(replace(settings, assume_distinct=True))
    write_tables(tmp_path / "staged", SCHEMA, {"x.parquet": table(("a", 1.0, None, None, MOMENT))})
    with pytest.raises(ConfigError, match="is a staged dataset, whose rows stay where they are"):
        load(replace(settings, dataset=tmp_path / "staged", mapping=None))
    assert "series" not in ask(influx_v2, settings.target.bucket, "SELECT * FROM m")
