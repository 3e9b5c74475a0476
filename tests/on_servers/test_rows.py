"""Rows that are not as simple as trades, by both ways into real servers: replaced, sparse, and no points at all."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, EncodeError, LoadError
from loader.events import Advanced, Event, Notice
from loader.loading import LoadSettings, WriteSettings, load
from loader.reporting.status import read_status
from loader.reporting.text import load_text, status_text
from loader.servers.base import PointsQuery, Target, WriteRules
from loader.servers.probe import probe
from loader.servers.transport import Connection
from tests.fault_proxy import Answer, Call, Fault, Reset, fault_proxy
from tests.on_servers.ways import NAMES, WAYS, way_into
from tests.tables import HOUR, MOMENT, write_tables

FIELDS = (Field("f", FieldType.FLOAT), Field("n", FieldType.INTEGER), Field("s", FieldType.STRING))
SCHEMA = PointSchema("m", ("tag",), FIELDS, "t", "ns")
TYPES = pa.schema([("tag", pa.string()), ("f", pa.float64()), ("n", pa.int64()), ("s", pa.string()), ("t", pa.int64())])
Row = tuple[Any, ...]


def table(*rows: Row) -> pa.Table:
    """Return rows of tag, f, n, s, t as a table."""
    return pa.table([[row[column] for row in rows] for column in range(5)], schema=TYPES)


@pytest.fixture(params=WAYS, ids=NAMES)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, LoadSettings]:
    """Return a server, and settings for a bucket of its own by one of the ways in."""
    return way_into(request, tmp_path / "data", "rows", write=WriteSettings(batch_lines=100))


def points(settings: LoadSettings, tag: str = "a", schema: PointSchema = SCHEMA, since: int = MOMENT) -> list[Row]:
    """Return time and fields of the points of a series on the server, a day around ``since``; strings as bytes."""
    with Connection(settings.target, 30.0) as link:
        dialect = probe(link).dialect
        query = PointsQuery(schema, (tag,) * len(schema.tags), since - 24 * HOUR, since + 24 * HOUR)
        return dialect.parse_points(query, link.send(dialect.build_points(settings.target, query))).rows()


def corrected(root: Path, rows: int) -> None:
    """Write two partitions of the same identities, the second of which corrects the first; names tell another order."""
    parts = {
        name: table(*(("a", value, None, None, MOMENT + row) for row in range(rows)))
        for name, value in (("z.parquet", 1.0), ("a.parquet", 2.0))
    }
    write_tables(root, SCHEMA, parts)


def test_the_last_row_in_the_order_of_the_dataset_stays(way: tuple[Any, LoadSettings]) -> None:
    """Whatever arrives first, of two partitions with equal identities the later one's values are stored."""
    _, settings = way
    corrected(settings.dataset, 2_000)
    events: list[Event] = []
    report = load(settings, events.append)
    assert {row[1] for row in points(settings)} == {2.0}
    assert len(points(settings)) == 2_000
    assert (report.rows_acknowledged, report.rows_skipped) == (2_000, 2_000)
    assert "skipped  2,000 rows" in load_text(report)
    assert any(isinstance(event, Notice) and event.message.startswith("2,000 values") for event in events)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_the_last_row_stays_when_the_first_arrives_late(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """A body that is taken on its second attempt, after a later one, brings no old value back."""
    server = request.getfixturevalue(f"influx_{kind}")
    row = ("a", 0.0, None, None, MOMENT - 1)
    first = table(row, *(("a", 1.0, None, None, MOMENT + number) for number in range(49)))
    second = table(*(("a", 2.0, None, None, MOMENT + number) for number in range(49)))
    write_tables(tmp_path, SCHEMA, {"first.parquet": first, "second.parquet": second})
    late: list[Call] = []

    def script(call: Call) -> Fault | None:
        # Twice: what waits with it for the first pause to end arrives meanwhile.
        if b" f=0.0 " in call.body and len(late) < 2:
            late.append(call)
            return Answer(503)
        return None

    with fault_proxy(server.url, script) as proxy:
        target = Target(proxy.url, server.new_bucket(), server.org, server.token)
        load(LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=50), retry_seconds=60.0))
    direct = LoadSettings(tmp_path, replace(target, url=server.url))
    assert [each[1] for each in points(direct)] == [0.0, *[2.0] * 49]


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_the_last_row_stays_through_faults_and_resumes(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Lost replies, retries and a stop in the middle change nothing of which value wins."""
    server = request.getfixturevalue(f"influx_{kind}")
    corrected(tmp_path, 500)
    stop = threading.Event()

    def script(call: Call) -> Fault | None:
        faults = {0: Reset(forward=True), 3: Answer(503), 6: Reset(forward=True), 9: Reset()}
        return faults.get(call.number)

    def observe(event: Event) -> None:
        if isinstance(event, Advanced):
            stop.set()

    with fault_proxy(server.url, script) as proxy:
        target = Target(proxy.url, server.new_bucket(), server.org, server.token)
        settings = LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=50), retry_seconds=60.0)
        assert load(settings, observe, stop).interrupted
        report = load(settings)
    assert 0 < report.rows_resumed < 1_000
    direct = replace(settings, target=replace(target, url=server.url))
    assert [row[1] for row in points(direct)] == [2.0] * 500


def test_sparse_rows_become_one_point(way: tuple[Any, LoadSettings]) -> None:
    """Rows of one identity that each have another field are one point with all of them, across partitions too."""
    _, settings = way
    parts = {
        "a.parquet": table(
            ("a", 1.5, None, None, MOMENT), ("a", None, 7, None, MOMENT), ("a", 2.5, None, None, MOMENT)
        ),
        "b.parquet": table(("a", None, None, "x", MOMENT), ("a", None, 8, None, MOMENT + 1)),
    }
    write_tables(settings.dataset, SCHEMA, parts)
    report = load(settings)
    assert points(settings) == [(MOMENT, 2.5, 7, b"x"), (MOMENT + 1, None, 8, None)]
    assert (report.rows_acknowledged, report.rows_skipped, report.rows_rejected) == (4, 1, 0)


BAD: Mapping[str, tuple[Row, str, str]] = {
    "nan": (("a", math.nan, 1, None, MOMENT + 7), "f", "nan"),
    "no time": (("a", 1.0, 1, None, None), "t", "null"),
    "too late": (("a", 1.0, 1, None, 2**63 - 1), "t", str(2**63 - 1)),
    "tag": (("C:\\", 1.0, 1, None, MOMENT + 8), "tag", "'C:\\\\'"),
    "no field": (("a", None, None, None, MOMENT + 9), "f, n, s", "null"),
}


def test_rows_that_cannot_be_points_are_rejected(way: tuple[Any, LoadSettings]) -> None:
    """They are on file with row, column, value and reason, counted, and passed over by every run; others are loaded."""
    _, settings = way
    good = [("a", row / 2, row, f"t{row}", MOMENT + row * HOUR // 100) for row in range(500)]
    bad = [row for row, _, _ in BAD.values()]
    rows = [*good[:100], *bad, *good[100:]]
    write_tables(settings.dataset, SCHEMA, {"part.parquet": table(*rows)}, row_group_size=60)
    report = load(settings)
    assert points(settings) == [(row[4], *row[1:3], row[3].encode()) for row in good]
    entries = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert sorted((entry["partition"], entry["row"], entry["column"], entry["value"]) for entry in entries) == [
        ("part.parquet", 100 + row, column, value) for row, (_, column, value) in enumerate(BAD.values())
    ]
    assert all(entry["reason"] for entry in entries)
    assert (report.rows_acknowledged, report.rows_rejected) == (500, 5)
    assert "loaded   500 of 505 points" in load_text(report)
    assert "part.parquet, row 100, column 'f': nan" in load_text(report)
    assert "loaded   500 points into" in status_text(read_status(settings.dataset))
    again = load(settings)
    assert (again.rows_done, again.rows_acknowledged, again.rows_rejected) == (0, 500, 5)
    anew = load(replace(settings, restart=True))
    assert (anew.rows_acknowledged, anew.rows_rejected) == (500, 5)
    assert len(Path(anew.rejected_path).read_text().splitlines()) == 5


def test_names_without_a_form_are_refused_before_anything_is_made(way: tuple[Any, LoadSettings]) -> None:
    """A field that no server can hold costs no bucket."""
    server, settings = way
    settings = replace(settings, target=replace(settings.target, bucket=f"never{next(server.numbers)}"))
    schema = PointSchema("m", (), (Field("f\\", FieldType.INTEGER),), "t", "ns")
    write_tables(settings.dataset, schema, {"p.parquet": pa.table({"f\\": [1], "t": [MOMENT]})})
    with pytest.raises(EncodeError, match="the field key"):
        load(settings)
    with Connection(settings.target, 30.0) as link:
        assert probe(link).dialect.find_bucket(link.send, settings.target) is None


def test_more_rejected_rows_than_allowed_stop_the_load(way: tuple[Any, LoadSettings]) -> None:
    """The error names the first one; a rerun stops before it sends anything, and one that allows more goes on."""
    _, settings = way
    rows = [("a", math.nan if row % 2 else 1.0, None, None, MOMENT + row) for row in range(60)]
    write_tables(settings.dataset, SCHEMA, {"part.parquet": table(*rows)})
    limited = LoadSettings(settings.dataset, settings.target, via=settings.via, max_rejected=3)
    with pytest.raises(LoadError, match=r"30 rows were rejected, more than the 3 .*part\.parquet, row 1, column 'f'"):
        load(limited)
    with pytest.raises(LoadError, match="30 rows were rejected, more than the 3"):
        load(limited)
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_rejected) == (30, 30)
    assert len(points(settings)) == 30


def test_a_partition_without_any_point(way: tuple[Any, LoadSettings]) -> None:
    """Rows of which none is a point are all rejected, and nothing is sent."""
    _, settings = way
    write_tables(settings.dataset, SCHEMA, {"part.parquet": table(*(row for row, _, _ in BAD.values()))})
    report = load(settings)
    assert (report.rows_acknowledged, report.rows_rejected, report.body_size) == (0, 5, 0)


def test_int96_beyond_nanoseconds_does_not_wrap(way: tuple[Any, LoadSettings]) -> None:
    """Times of years 1000 and 9999, as Spark writes them, are rejected; the nanoseconds of others are exact."""
    _, settings = way
    seconds = [-30_610_224_000, 253_402_214_400, None, 253_402_214_401]
    micro = pa.array([None if each is None else each * 10**6 for each in seconds], pa.timestamp("us"))
    schema = PointSchema("m", (), (Field("n", FieldType.INTEGER),), "t")
    times = pa.chunked_array([micro.cast(pa.timestamp("us")), pa.array([(MOMENT // 1_000) + 1], pa.timestamp("us"))])
    rows = pa.table({"n": [1, 2, 3, 4, 5], "t": times})
    for store_schema in (True, False):
        root = settings.dataset / str(store_schema)
        options = {"use_deprecated_int96_timestamps": True, "store_schema": store_schema}
        write_tables(root, schema, {"spark.parquet": rows}, **options)
        report = load(LoadSettings(root, settings.target, dry_run=True))
        assert (report.rows_acknowledged, report.rows_rejected) == (1, 4)
    report = load(LoadSettings(root, settings.target, via=settings.via))
    assert points(settings, schema=schema) == [(MOMENT // 1_000 * 1_000 + 1_000, 5)]
    entries = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert [entry["value"] for entry in entries] == [str(each) if each else "null" for each in seconds]


def test_text_that_is_not_utf_8_is_rejected(way: tuple[Any, LoadSettings]) -> None:
    """Bytes that are no text, in a tag and in a field, are named; they never reach the server."""
    _, settings = way
    odd = pa.array([b"a", b"\xff", b"a"], pa.binary()).view(pa.string())
    rows = table(*(("a", 1.0, 1, "x", MOMENT + row) for row in range(3)))
    text = pa.array([b"x", b"y", b"\xc3("], pa.binary()).view(pa.string())
    write_tables(settings.dataset, SCHEMA, {"p.parquet": rows.set_column(0, "tag", odd).set_column(3, "s", text)})
    report = load(settings)
    entries = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert [(entry["row"], entry["column"]) for entry in entries] == [(1, "tag"), (2, "s")]
    assert points(settings) == [(MOMENT, 1.0, 1, b"x")]


@pytest.mark.parametrize(("unit", "factor"), [("ms", 10**6), ("us", 10**3), ("ns", 1), ("s", 10**9)])
def test_integer_times_are_in_the_unit_that_the_schema_says(
    influx_v2: Any, tmp_path: Path, unit: str, factor: int
) -> None:
    """Epoch milliseconds are milliseconds; without a unit the load is refused, and shows what the first may be."""
    schema = PointSchema("m", (), (Field("n", FieldType.INTEGER),), "t")
    first = MOMENT // factor
    unknown = pa.table({"n": [1, 2], "t": [first, first + 1]})
    write_tables(tmp_path, PointSchema("m", (), schema.fields, "t", unit), {"p.parquet": unknown})
    target = Target(influx_v2.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
    settings = LoadSettings(tmp_path, target)
    load(settings)
    assert points(settings, schema=schema) == [(MOMENT, 1), (MOMENT + factor, 2)]
    write_tables(tmp_path, PointSchema("m", (), schema.fields, "t", "ns"), {"p.parquet": unknown})
    path = tmp_path / ".loader" / "manifest.json"
    path.write_text(path.read_text().replace('"time_unit": "ns"', '"time_unit": ""'))
    with pytest.raises(ConfigError, match=f"2024-01-02T00:00:00Z in {unit}"):
        load(settings)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_a_field_of_another_type_stops_the_load_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Whole bodies that are refused are known by a sample: few requests, no rejected lines, and a word before."""
    server = request.getfixturevalue(f"influx_{kind}")
    bucket = server.new_bucket()
    line = f'm,tag=a n="text" {MOMENT}'.encode()
    server.call(f"/api/v2/write?org={server.org}&bucket={bucket}&precision=ns", line)
    rows = [("a", 1.0, row, None, MOMENT + 1 + row) for row in range(20_000)]
    write_tables(tmp_path, SCHEMA, {"part.parquet": table(*rows)})
    events: list[Event] = []
    with fault_proxy(server.url, lambda call: None) as proxy:
        settings = LoadSettings(
            tmp_path, Target(proxy.url, bucket, server.org, server.token), write=WriteSettings(batch_lines=5_000)
        )
        for _ in range(2):
            with pytest.raises(LoadError, match=r"refused all 8 lines that were tried.*conflict"):
                load(settings, events.append)
        assert len(proxy.writes) <= 2 * 3 * (1 + 8)
    assert any(
        isinstance(event, Notice) and "'n' is integer in the dataset and string" in event.message for event in events
    )
    assert not list((tmp_path / ".loader").glob("rejected/*"))


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_the_limit_of_refused_lines_holds(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    """Where only some lines are refused, no more than one above the limit are on file, and none twice."""
    server = request.getfixturevalue(f"influx_{kind}")
    bucket = server.new_bucket()
    line = f'm,tag=a n="text" {MOMENT}'.encode()
    server.call(f"/api/v2/write?org={server.org}&bucket={bucket}&precision=ns", line)
    # Every second row lacks the field that is refused.
    rows = [("a", 1.0, row if row % 2 else None, None, MOMENT + 1 + row) for row in range(2_000)]
    write_tables(tmp_path, SCHEMA, {"part.parquet": table(*rows)})
    settings = LoadSettings(
        tmp_path,
        Target(server.url, bucket, server.org, server.token),
        max_rejected=40,
        write=WriteSettings(batch_lines=500),
    )
    for _ in range(2):
        with pytest.raises(LoadError, match="more than the 40 allowed"):
            load(settings)
    (path,) = (tmp_path / ".loader" / "rejected").iterdir()
    refused = [json.loads(line)["row"] for line in path.read_text().splitlines()]
    assert 40 < len(refused) <= 40 + WriteRules().connections
    assert len(set(refused)) == len(refused)
    assert all(row % 2 for row in refused)
