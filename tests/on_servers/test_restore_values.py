"""Values that go through the restore path into a real InfluxDB 2 come back as they were, by every way out."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loader.dataset.manifest import Manifest, Partition
from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.encoding.columns import TIME_MAX, TIME_MIN
from loader.loading import ExportSettings, LoadSettings, export, load
from loader.loading.restore_path import storage_files
from loader.loading.restore_path.export import BUCKET_ID
from loader.loading.restore_path.shards import plan_shards
from loader.servers.backup import list_shards
from loader.servers.base import PointsQuery, Target
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2
from loader.verification import VerifySettings, verify
from tests import reference
from tests.points import write_dataset
from tools.influxd import RunningServer

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
MONDAY = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z, when a weekly shard begins."""
FIELDS = tuple(
    Field(name, kind) for name, kind in zip(("float", "z,=", "UNSIGNED", "b d", "é#!~# €"), FieldType, strict=True)
)
SCHEMA = PointSchema("edge, case", ("zone", "a b", "aB"), FIELDS, "when")
ROW = dict[str, Any]
SUBNORMAL, NORMAL, LARGEST = 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308
VALUES: dict[FieldType, Sequence[Any]] = {
    FieldType.FLOAT: (
        0.0,
        -0.0,
        1.5,
        1.5,
        SUBNORMAL,
        -SUBNORMAL,
        LARGEST,
        -LARGEST,
        0.1 + 0.2,
        2.2250738585072014e-308,
    ),
    FieldType.INTEGER: (0, 2**63 - 1, -(2**63), 1, 2, 3, -1, 2**59, -(2**59)),
    FieldType.UNSIGNED: (0, 2**64 - 1, 1, 2**63, 2**63 - 1, 5, 5, 5, 5),
    FieldType.BOOLEAN: (True, False, False, True, True),
    FieldType.STRING: ("", "é€😀", 'a "quoted" \\ one', "two\nlines", "a=b, c", "plain"),
}
TAGS = ("a b", "a,b", "a=b", "a\\b", 'a"b', "é€😀", " ", "=", "#!~x", "a\\ b", "\t", "😀, =")


def row(number: int, time: int, *tags: str | None, without: Sequence[FieldType] = ()) -> ROW:
    """Return a row with values by its number, and null for the types ``without``."""
    fields = {
        field.column: None if field.type in without else VALUES[field.type][number % len(VALUES[field.type])]
        for field in FIELDS
    }
    return {**dict(zip(SCHEMA.tags, tags, strict=True)), **fields, "when": time}


def edges() -> list[ROW]:
    """Return rows of every kind."""
    kinds = list(FieldType)
    rows = []
    for size in (1, 2, 999, 1_000, 1_001, 2_001):
        rows += [row(number, MONDAY - DAY + number * 2_000, f"{size} points", "x", "y") for number in range(size)]
    # One point an hour, into the next two shards; each lacks another field, and one has one field only.
    for number in range(400):
        without = kinds[number % 6 : number % 6 + 1] if number else kinds[1:]
        rows.append(row(number // 6, MONDAY + number * HOUR, "sparse", None, "", without=without))
    for number, tag in enumerate(TAGS):
        rows.append(row(number, MONDAY + number, tag, None, None))
        rows.append(row(number, MONDAY + number, None, tag, None))
        rows.append(row(number, MONDAY + number, "", tag, tag))
    rows.append(row(0, MONDAY + 500, None, None, ""))
    rows.append(row(0, MONDAY + 501, "", "", None))
    rows.append(row(0, MONDAY, "long", None, None) | {FIELDS[4].column: "x€" * (1 << 14)})
    for number in range(300):  # one type's all values are equal, or in equal steps
        rows.append(
            row(0, MONDAY + number * number, "equal", None, None)
            | {"z,=": 7 * number - 1_000, "UNSIGNED": 2**64 - 1 - number, "float": -2.5}
        )
    random.Random(1).shuffle(rows)
    return rows


def bounds() -> list[ROW]:
    """Return rows around 0, and near the first and last times: at these themselves Flux is slow, or blind."""
    times = (TIME_MIN + 30 * DAY, -1, 0, 1, TIME_MAX - 30 * DAY)
    return [row(number, time, "bounds", None, None) for number, time in enumerate(times)]


def frame(rows: Sequence[ROW], schema: PointSchema = SCHEMA) -> pl.DataFrame:
    """Return rows as a frame of a dataset's types."""
    types = {
        FieldType.FLOAT: pl.Float64(),
        FieldType.INTEGER: pl.Int64(),
        FieldType.UNSIGNED: pl.UInt64(),
        FieldType.BOOLEAN: pl.Boolean(),
        FieldType.STRING: pl.String(),
    }
    return pl.DataFrame(
        rows,
        schema={
            **dict.fromkeys(schema.tags, pl.String()),
            **{field.column: types[field.type] for field in schema.fields},
            schema.time: pl.Int64(),
        },
        orient="row",
    )


Points = dict[tuple[str, ...], dict[tuple[int, str], Any]]
"""By the values of the tags ("" for none): by time and field."""


def exact(value: Any) -> Any:
    """Return what tells -0.0 from 0.0."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def expected(rows: Sequence[ROW], schema: PointSchema = SCHEMA) -> Points:
    """Return the points of rows."""
    found: Points = defaultdict(dict)
    for entry in rows:
        points = found[tuple(entry[tag] or "" for tag in schema.tags)]
        for field in schema.fields:
            if entry[field.column] is not None:
                points[entry[schema.time], field.column] = exact(entry[field.column])
    return found


def by_flux(target: Target, series: Sequence[tuple[str, ...]]) -> Points:
    """Return the points of ``series`` that Flux finds."""
    dialect = InfluxDB2()
    found: Points = {}
    with Connection(target, 60.0) as link:
        for tags in series:
            query = PointsQuery(SCHEMA, tags, TIME_MIN, TIME_MAX)
            points = dialect.parse_points(query, link.send(dialect.build_points(target, query)))
            found[tags] = {
                (time, field.column): exact(value.decode() if isinstance(value, bytes) else value)
                for number, field in enumerate(FIELDS)
                for time, value in points.select("time", f"f{number}").drop_nulls().rows()
            }
    return found


def by_export(server: RunningServer, engine: Path, bucket: str) -> Points:
    """Return the points in the files below ``engine``, which no server uses now."""
    text = inspect(server, engine, "export-lp", "--bucket-id", bucket, "--output-path", "-", "--log-level", "error")
    lines = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    found: Points = defaultdict(dict)
    for point in reference.decode(lines):
        assert point.measurement == SCHEMA.measurement
        points = found[tuple(point.tags.get(tag, "") for tag in SCHEMA.tags)]
        points |= {(point.time, name): value for name, (_, value) in point.fields.items()}
    return found


def inspect(server: RunningServer, engine: Path, command: str, *arguments: str) -> str:
    """Return what ``influxd inspect`` says of the files below ``engine``."""
    whole = [server.command[0], "inspect", command, "--engine-path", str(engine), *arguments]
    done = subprocess.run(whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


def bucket_id(server: RunningServer, bucket: str) -> str:
    """Return the id of a bucket."""
    return str(json.loads(server.call(f"/api/v2/buckets?name={bucket}"))["buckets"][0]["id"])


@pytest.mark.parametrize("most_bytes", [storage_files.MOST_BYTES, 100_000])
def test_every_value_comes_back(
    start_influxd: Callable[..., RunningServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    """Every type and edge comes back from Flux, the server's files and its export, of one file a shard and several."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", most_bytes)
    server = start_influxd("v2")
    ids = []
    for rows, name in ((edges(), "edges"), (bounds(), "bounds")):
        root = tmp_path / name
        write_dataset(root, SCHEMA, frame(rows), partition_days=5)
        target = Target(server.url, name, server.org, server.token)
        report = load(LoadSettings(root, target, via="restore", connections=2, retry_seconds=1.0))
        assert (report.rows_done, report.retries) == (len(rows), 0)
        points = expected(rows)
        assert by_flux(target, list(points)) == points
        verified = verify(VerifySettings(root, target, values=True))
        assert (verified.difference_count, verified.differences) == (0, ())
        ids.append((bucket_id(server, name), points))
    server.stop()
    for bucket, points in ids:
        assert by_export(server, server.folder / "engine", bucket) == points
    assert "Broken Blocks: 0 / " in inspect(server, server.folder / "engine", "verify-tsm")


def test_later_writes_replace_restored_points(influx_v2: RunningServer, tmp_path: Path) -> None:
    """Line protocol finds the series that a restore made, whatever their tags, and replaces their points."""
    target = Target(influx_v2.url, "replaced", influx_v2.org, influx_v2.token)
    points: Points = {}
    for via, shift in (("restore", 0), ("write", 1)):
        rows = [
            row(number + shift, MONDAY + number, *tags)
            for number, tag in enumerate(TAGS)
            for tags in ((tag, None, None), (None, tag, None), ("", tag, tag))
        ]
        write_dataset(tmp_path / via, SCHEMA, frame(rows))
        load(LoadSettings(tmp_path / via, target, via=via, retry_seconds=1.0))
        points = expected(rows)
        assert by_flux(target, list(points)) == points
        assert verify(VerifySettings(tmp_path / via, target, values=True)).differences == ()


def test_exported_files(influx_v2: RunningServer, tmp_path: Path) -> None:
    """The server's tools find no fault in exported files, and every value, up to the first and last times."""
    rows = edges() + [row(number, time, "bounds", "", None) for number, time in enumerate((TIME_MIN, 0, TIME_MAX))]
    write_dataset(tmp_path / "data", SCHEMA, frame(rows), partition_days=5)
    report = export(ExportSettings(tmp_path / "data", tmp_path / "out", shard_duration=3 * DAY))
    assert (report.rows, report.interrupted) == (len(rows), False)
    assert by_export(influx_v2, tmp_path / "out", BUCKET_ID) == expected(rows)
    assert "Broken Blocks: 0 / " in inspect(influx_v2, tmp_path / "out", "verify-tsm")


@pytest.mark.parametrize("duration", [HOUR, DAY, 3 * DAY, 7 * DAY, 52 * 7 * DAY])
def test_shards_are_those_of_the_server(influx_v2: RunningServer, duration: int) -> None:
    """Planned shards begin and end where the server makes them for written points, before 1970 too."""
    times = [-(2**62), -7 * DAY, -1, 0, MONDAY - 1, MONDAY, MONDAY + 40 * DAY, TIME_MAX]
    target = Target(influx_v2.url, f"shards{duration}", influx_v2.org, influx_v2.token)
    with Connection(target, 60.0) as link:
        bucket = InfluxDB2().create_bucket(link.send, target, duration)
        lines = "\n".join(f"m v=1 {time}" for time in times).encode()
        influx_v2.call(f"/api/v2/write?org={target.org}&bucket={target.bucket}&precision=ns", lines)
        made = [(shard.start, shard.stop) for shard in list_shards(link.send, bucket)]
    partitions = [Partition(str(time), 1, time, time, 1, "") for time in times]
    manifest = Manifest((trades_schema(),), {}, {}, tuple(partitions), complete=True)
    planned = plan_shards(Path("nowhere"), manifest, duration)
    assert [(shard.start, shard.stop) for shard in planned] == made
