"""Files of others by way of staging: loaded both ways, and verified; lines beside what a server makes of them."""

from __future__ import annotations

import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from loader.dataset.manifest import read_manifest
from loader.dataset.mapping import ColumnMapping
from loader.loading import ExportSettings, LoadSettings, export, load
from loader.loading.restore_path.export import BUCKET_ID
from loader.staging import FilesSettings, stage_files
from loader.verification import VerifySettings, verify
from tests.on_servers.ways import NAMES, WAYS, way_into
from tests.stored import ask

SECOND = 1_704_067_200
DAY = 86_400
MAPPING = ColumnMapping("m", "t", ("host",))
ROWS = 500


def table() -> pa.Table:
    """Return rows of ten series over three days, in no order, with nulls in each column."""
    chance = random.Random(1)
    times = [SECOND + number * DAY * 3 // ROWS for number in range(ROWS)]
    chance.shuffle(times)
    columns: dict[str, list[Any]] = {
        "host": [chance.choice(["a", "b c", "d,e", "f=g", "é", None]) for _ in range(ROWS)],
        "x": [chance.choice([None, chance.random() * 1e9]) for _ in range(ROWS)],
        "n": [number - 250 for number in range(ROWS)],
        "s": [chance.choice([None, "", 'a "b", c', "\\"]) for _ in range(ROWS)],
        "ok": [chance.choice([None, True, False]) for _ in range(ROWS)],
    }
    return pa.table({"t": pa.array(times, pa.timestamp("s", "UTC")), **columns})


def lines() -> str:
    """Return line protocol of three measurements, with missing tags and fields, and points in several lines."""
    chance = random.Random(2)
    found = []
    for number in range(ROWS):
        measurement = chance.choice(["cpu", "disk\\ io", "m\\,x"])
        tags = chance.sample([",host=a", ",host=b\\ c", ",path=/x\\=y"], chance.choice([0, 1, 1]))
        fields = chance.sample(
            [f"u={number}i", f"v={chance.random()}", "w=t", 'text="a \\"b\\", c"'], chance.randint(1, 4)
        )
        time = (SECOND + chance.randrange(40) * DAY // 8) * 10**9
        found.append(f"{measurement}{''.join(tags)} {','.join(fields)} {time}")
    return "\n".join(found) + "\n"


@pytest.fixture(params=WAYS, ids=NAMES)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, LoadSettings]:
    """Return a server, and settings for a bucket of its own by one of the ways in."""
    return way_into(request, tmp_path / "out", "files")


def assert_equal(settings: LoadSettings) -> None:
    """Verify by sums and samples, and every value."""
    for values in (False, True):
        report = verify(VerifySettings(settings.dataset, settings.target, values=values))
        assert report.differences == ()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables(way: tuple[Any, LoadSettings], tmp_path: Path, kind: str) -> None:
    """What was staged of a table is loaded, verified, and what the server's own query says."""
    server, settings = way
    path = tmp_path / f"x.{kind}"
    if kind == "csv":
        pc.write_csv(table(), path)
    else:
        pq.write_table(table(), path)
    stage_files(FilesSettings(settings.dataset, (path,), MAPPING))
    assert load(settings).rows_acknowledged == ROWS
    assert_equal(settings)
    found = ask(server, settings.target.bucket, "SELECT n, ok, s, x, host FROM m")["series"][0]["values"]
    wanted = [
        [row["t"].timestamp() * 10**9, row["n"], row["ok"], row["s"], row["x"], row["host"]]
        for row in table().to_pylist()
    ]
    assert sorted(found) == sorted(wanted)


def test_line_protocol(way: tuple[Any, LoadSettings], tmp_path: Path) -> None:
    """What was staged of lines is loaded and verified, and is what a server makes of the lines themselves."""
    server, settings = way
    (tmp_path / "x.lp").write_text(lines())
    report = stage_files(FilesSettings(settings.dataset, (tmp_path / "x.lp",), on_duplicate="last"))
    assert [*report.measurements] == ["cpu", "disk io", "m,x"]
    assert sum(report.measurements.values()) == report.rows
    load(settings)
    assert_equal(settings)
    other = server.new_bucket()
    first = server.version.startswith("1.")
    path = f"/write?db={other}" if first else f"/api/v2/write?org={server.org}&bucket={other}"
    for line in lines().splitlines():  # one by one: of one identity, the last one counts
        server.call(path, line.encode())
    assert_equal(replace(settings, target=replace(settings.target, bucket=other)))


def test_what_a_server_exports(influx_v2: Any, tmp_path: Path) -> None:
    """Of each line of an export, which has one field, and of its compressed form, the points come back as they were."""
    (tmp_path / "x.lp").write_text(lines())
    stage_files(FilesSettings(tmp_path / "one", (tmp_path / "x.lp",), on_duplicate="last"))
    export(ExportSettings(tmp_path / "one", tmp_path / "engine"))
    out = tmp_path / "y.lp.gz"
    command = [
        influx_v2.command[0],
        "inspect",
        "export-lp",
        "--engine-path",
        tmp_path / "engine",
        "--bucket-id",
        BUCKET_ID,
    ]
    subprocess.run([*command, "--output-path", out, "--compress", "--log-level", "error"], check=True, timeout=60)
    report = stage_files(FilesSettings(tmp_path / "two", (out,)))
    assert report.rows == read_manifest(tmp_path / "one").rows
    assert rows_of(tmp_path / "two") == rows_of(tmp_path / "one")


def rows_of(root: Path) -> list[list[dict[str, Any]]]:
    """Return the rows of each partition of a dataset, whatever the order of its columns; an empty tag is none."""
    tables = [pq.read_table(root / part.path, partitioning=None) for part in read_manifest(root).partitions]
    return [[{name: row[name] for name in sorted(row)} for row in table.to_pylist()] for table in tables]
