"""Datasets of several measurements, by both ways into real servers, verified by sums and by every value."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loader.dataset.manifest import read_manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import EncodeError
from loader.events import Advanced, Event
from loader.loading import ExportSettings, LoadSettings, WriteSettings, export, load
from loader.reporting.status import read_status
from loader.reporting.text import load_text, status_text, verify_text
from loader.servers.base import Target
from loader.verification import VerifyReport, VerifySettings, verify
from tests.on_servers.ways import NAMES, WAYS, way_into
from tests.tables import HOUR, MOMENT, write_measurements

DAY = 24 * HOUR
CPU = PointSchema("cpu", ("host",), (Field("usage", FieldType.INTEGER), Field("idle", FieldType.FLOAT)), "t", "ns")
DISK = PointSchema("cpu disk,x", ("path", "host"), (Field("usage", FieldType.FLOAT),), "t", "ns")
"""Its name holds that of another measurement, and what has to be escaped; its field has another type there."""
BUILD = PointSchema("build", (), (Field("text", FieldType.STRING), Field("ok", FieldType.BOOLEAN)), "t", "ns")
CASES = pytest.mark.parametrize("way", WAYS, ids=NAMES, indirect=True)
Way = tuple[Any, LoadSettings]


def tables() -> Mapping[str, tuple[PointSchema, pa.Table]]:
    """Return three measurements over two days; the times of two are the same."""
    times = [MOMENT + number * HOUR for number in range(48)]

    def day(number: int, schema: PointSchema, columns: Mapping[str, Any]) -> tuple[PointSchema, pa.Table]:
        return schema, pa.table(columns).slice(24 * number, 24)

    cpu = {"host": ["a", "b"] * 24, "usage": list(range(48)), "idle": [None, 0.5, 1.25] * 16, "t": times}
    disk = {"path": ["/x y"] * 48, "host": ["a", "b"] * 24, "usage": [0.1 * n for n in range(48)], "t": times}
    build = {"text": ["done", None] * 24, "ok": [True, False, True] * 16, "t": [time + 1 for time in times]}
    return {
        f"measurement={name}/day={number}/points.parquet": day(number, schema, columns)
        for number in range(2)
        for name, schema, columns in (("cpu", CPU, cpu), ("disk", DISK, disk), ("build", BUILD, build))
    }


@pytest.fixture
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Return a server, and settings for a bucket of its own by one of the ways in, with the dataset written."""
    write_measurements(tmp_path / "data", tables())
    return way_into(request, tmp_path / "data", "measurements", write=WriteSettings(batch_lines=10))


def verified(settings: LoadSettings, **more: Any) -> VerifyReport:
    """Verify what ``settings`` load."""
    return verify(VerifySettings(settings.dataset, settings.target, retry_seconds=20.0, surplus="fail", **more))


def write(server: Any, settings: LoadSettings, line: str) -> None:
    """Write a line of somebody else."""
    target = settings.target
    version = f"/write?db={target.bucket}" if server.version.startswith("1.") else ""
    server.call(version or f"/api/v2/write?org={target.org}&bucket={target.bucket}", line.encode())


@CASES
def test_all_measurements_arrive(way: Way) -> None:
    """What is loaded is verified by sums, by samples of each measurement and by every value."""
    _, settings = way
    report = load(settings)
    assert (report.rows, report.rows_acknowledged, report.rows_rejected) == (144, 144, 0)
    assert report.measurements == {"cpu": 48, "cpu disk,x": 48, "build": 48}
    assert "loaded   144 of 144 points of 3 measurements" in load_text(report)
    found = verified(settings, samples=30)
    assert (found.difference_count, found.samples, found.windows) == (0, 30, 2 * (2 + 2 + 1))
    assert "verified 144 points of 3 measurements: no differences" in verify_text(found)
    found = verified(settings, values=True)
    assert (found.difference_count, found.values, found.windows) == (0, 48 + 32 + 48 + 24 + 48, 2 * (2 + 2 + 1))


@CASES
@pytest.mark.parametrize("values", [False, True])
def test_a_fault_in_one_measurement_is_found_there(way: Way, values: bool) -> None:
    """A value that another writer changed, and a point of his, are told with the names of their measurements."""
    server, settings = way
    load(settings)
    write(server, settings, f"cpu\\ disk\\,x,path=/x\\ y,host=b usage=7.5 {MOMENT + HOUR}")
    write(server, settings, f"build ok=true {MOMENT + 2}")
    found = verified(settings, values=values)
    assert sorted((each.kind, each.series, each.field) for each in found.differences) == [
        ("different", "cpu disk,x,path=/x y,host=b", "usage"),
        ("surplus", "build", ""),
    ]


@pytest.mark.parametrize("way", [("v1", "write"), ("v2", "write")], ids=["v1", "v2"], indirect=True)
def test_a_field_of_another_type_in_one_measurement(way: Way) -> None:
    """Where a measurement's field may be of another type, as 1.8 tells of all times, the others are compared."""
    server, settings = way
    write(server, settings, f"build text=1 {MOMENT - 400 * DAY}")
    load(settings)
    found = verified(settings)
    told = [(each.kind, each.series, each.field) for each in found.differences]
    unclear = server.version.startswith("1.")
    assert told == ([("different", "build", "text")] if unclear else [])
    assert found.windows == 2 * (2 + 2 if unclear else 2 + 2 + 1)


@CASES
def test_a_load_that_stops_is_resumed(way: Way) -> None:
    """A load that is stopped after its first acknowledgement goes on with what is left of all measurements."""
    _, settings = way
    settings = replace(settings, shard_duration=DAY, connections=1)
    stop = threading.Event()

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    assert load(settings, observe, stop).interrupted
    report = load(settings)
    assert 0 < report.rows_resumed < 144
    assert report.rows_acknowledged == 144
    assert verified(settings, values=True).difference_count == 0


def test_its_status_names_the_measurements(tmp_path: Path) -> None:
    """The rows of each measurement are shown, in text and as values."""
    write_measurements(tmp_path, tables())
    status = read_status(tmp_path)
    assert status.measurements == {"cpu": 48, "cpu disk,x": 48, "build": 48}
    assert "144 rows of 3 measurements in 6 partitions" in status_text(status)
    assert "            48  cpu disk,x" in status_text(status)


def test_storage_files_hold_several_measurements(tmp_path: Path) -> None:
    """A shard has one file for all measurements."""
    write_measurements(tmp_path / "data", tables())
    report = export(ExportSettings(tmp_path / "data", tmp_path / "out"))
    assert (report.rows, report.shards, report.files) == (144, 1, 1)


def test_each_measurement_has_names_that_can_be_written(tmp_path: Path) -> None:
    """A field that InfluxDB cannot have is refused in whichever measurement it is."""
    odd = PointSchema("odd", (), (Field("time", FieldType.INTEGER),), "t", "ns")
    parts = {**tables(), "odd.parquet": (odd, pa.table({"time": [1], "t": [MOMENT]}))}
    write_measurements(tmp_path, parts)
    assert read_manifest(tmp_path).schema_of("odd.parquet") == odd
    with pytest.raises(EncodeError, match="field key 'time'"):
        load(LoadSettings(tmp_path, Target("http://localhost:1", "b"), dry_run=True))
