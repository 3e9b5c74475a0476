"""Verification of datasets of other people, with real servers: what they hold is right, and it is compared right."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader import LoadSettings, load
from loader.dataset.manifest import Manifest, Partition, write_manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, StageError
from loader.events import Event, Notice, Waited
from loader.servers.base import Target
from loader.verification import VerifyReport, VerifySettings, verify
from tests.cases import Case, name_of
from tests.points import DAY, FIRST_DAY, MINUTE

MINUTES = (FIRST_DAY, FIRST_DAY + MINUTE, FIRST_DAY + 2 * MINUTE)
both_ways = pytest.mark.parametrize("values", [False, True], ids=["V", "VV"])


def dataset(root: Path, schema: PointSchema, tables: Sequence[pa.Table], **writing: Any) -> Path:
    """Write each table as a partition, in this order; its times are nanoseconds, for all that is no integer."""
    partitions = []
    for number, table in enumerate(tables):
        path = root / f"part={number}" / "points.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path, **writing)
        times = [time for time in table[schema.time].cast(pa.int64()).to_pylist() if time is not None]
        unit = {"us": 1_000, "ms": 1_000_000}.get(schema.time_unit or getattr(table[schema.time].type, "unit", ""), 1)
        good = [time * unit for time in times if abs(time * unit) < 2**63] or [FIRST_DAY]
        content = path.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        relative = str(path.relative_to(root))
        partitions.append(Partition(relative, table.num_rows, min(good), max(good), len(content), checksum))
    write_manifest(root, Manifest((schema,), {}, {}, tuple(partitions), complete=True))
    return root


def case_of(server: Any, root: Path, *lines: str) -> Case:
    """Return a new bucket that holds ``lines``."""
    target = Target(server.url, server.new_bucket(), server.org, server.token)
    case = Case(server, root, target, pl.DataFrame())
    for line in lines:
        case.write(line)
    return case


def names(report: VerifyReport) -> list[tuple[str, str, str, str]]:
    """Return all of the differences but their details."""
    assert report.difference_count == len(report.differences)
    return [name_of(difference) for difference in report.differences]


SPARSE = PointSchema(
    "m", ("t",), (Field("a", FieldType.FLOAT), Field("b", FieldType.INTEGER), Field("c", FieldType.STRING)), "time"
)


def sparse_table(rows: Sequence[tuple[str | None, float | None, int | None, str | None, int]]) -> pa.Table:
    """Return rows of SPARSE."""
    columns = list(zip(*rows, strict=True))
    kinds = (pa.string(), pa.float64(), pa.int64(), pa.string(), pa.timestamp("ns", "UTC"))
    return pa.table(
        {name: pa.array(list(column), kind) for name, column, kind in zip("tabc", columns, kinds, strict=False)}
        | {"time": pa.array(list(columns[4]), kinds[4])}
    )


@both_ways
def test_sparse_rows_of_one_identity(influx: Any, tmp_path: Path, values: bool) -> None:
    """Rows that each set one field of a point are one point, whatever their files; a field that is absent is found."""
    first = [("x", 1.0, None, None, MINUTES[0]), ("x", None, 2, None, MINUTES[0])]
    second = [
        ("x", None, None, "three", MINUTES[0]),
        ("x", 5.0, None, None, MINUTES[0]),
        (None, 1.0, 1, "", MINUTES[1]),
    ]
    root = dataset(tmp_path, SPARSE, [sparse_table(first), sparse_table(second)])
    good = case_of(influx, root, f'm,t=x a=5,b=2i,c="three" {MINUTES[0]}', f'm a=1,b=1i,c="" {MINUTES[1]}')
    report = good.verify(values=values)
    assert (names(report), report.superseded) == ([], 1)
    bad = case_of(influx, root, f"m,t=x a=5 {MINUTES[0]}", f'm a=1,b=1i,c="" {MINUTES[1]}')
    assert sorted(names(bad.verify(values=values))) == [("missing", "2024-01-02", "t=x", field) for field in "bc"]


@both_ways
def test_duplicates_across_files(influx: Any, tmp_path: Path, values: bool) -> None:
    """Of files that hold the same series and times the last is expected; the first one's values are different."""
    rows = [("x", float(number), number, "s", FIRST_DAY + number * MINUTE) for number in range(50)]
    later = [(tag, number + 0.5, 7, "s", time) for tag, number, _, _, time in rows]
    root = dataset(tmp_path, SPARSE, [sparse_table(rows), sparse_table(later)])
    lines = [f'm,t=x a={number + 0.5},b=7i,c="s" {FIRST_DAY + number * MINUTE}' for number in range(50)]
    report = case_of(influx, root, "\n".join(lines)).verify(values=values)
    assert (names(report), report.superseded) == ([], 150)
    old = [f'm,t=x a={number},b={number}i,c="s" {FIRST_DAY + number * MINUTE}' for number in range(50)]
    found = case_of(influx, root, "\n".join(old)).verify(values=values)
    assert {(difference.kind, difference.field) for difference in found.differences} == {
        ("different", "a"),
        ("different", "b"),
    }


@both_ways
def test_duplicates_across_files_of_which_the_last_begins_first(influx: Any, tmp_path: Path, values: bool) -> None:
    """The last file counts, also where its first row is earlier than those of the others; a load does the same."""
    rows = [("x", float(number), number, "s", FIRST_DAY + number * MINUTE) for number in range(1, 50)]
    later = [("x", number + 0.5, 7, "s", FIRST_DAY + number * MINUTE) for number in range(50)]
    root = dataset(tmp_path, SPARSE, [sparse_table(rows), sparse_table(later)])
    case = case_of(influx, root, "\n".join(f'm,t=x a={row[1]},b=7i,c="s" {row[4]}' for row in later))
    report = case.verify(values=values, drills=0)
    assert (names(report), report.superseded) == ([], 147)
    target = replace(case.target, bucket=influx.new_bucket())
    load(LoadSettings(root, target))
    assert verify(VerifySettings(root, target, values=values, drills=0)).differences == ()
    old = case_of(influx, root, "\n".join(f'm,t=x a={row[1]},b={row[2]}i,c="s" {row[4]}' for row in [later[0], *rows]))
    assert {difference.kind for difference in old.verify(values=values).differences} == {"different"}


@both_ways
def test_a_dataset_without_tags(influx: Any, tmp_path: Path, values: bool) -> None:
    """Points of a measurement alone are compared like others."""
    schema = PointSchema("m", (), (Field("a", FieldType.FLOAT),), "time")
    rows = 3_000
    table = pa.table({"a": [float(row) for row in range(rows)], "time": [FIRST_DAY + row for row in range(rows)]})
    root = dataset(tmp_path, PointSchema("m", (), schema.fields, "time", "ns"), [table])
    lines = [f"m a={row} {FIRST_DAY + row}" for row in range(rows)]
    assert names(case_of(influx, root, "\n".join(lines)).verify(values=values, samples=50)) == []
    found = case_of(influx, root, "\n".join(lines[1:]), f"m a=-5 {FIRST_DAY + 5}").verify(values=values, samples=0)
    assert names(found) == [("missing", "2024-01-02", "", ""), ("different", "2024-01-02", "", "a")]


CONTROLS = [chr(code) for code in range(1, 33) if chr(code) != "\n"] + ["\x7f", "\x85", "\u2028", "\ufeff", '"', "'"]
TEXTS = [f"a{mark}b" for mark in [*CONTROLS, "\0", "\n", "\r\n", "\\", ",", "\\r", "\n\r", '"\r"']]
TEXTS += ["\ra", "a\r", "\r", "\r\n", "", " ", "\n", '""', "null", "ü" * 40]
TAG_VALUES = [f"a{mark}b" for mark in [*CONTROLS, ",", "=", '"\r', "\\", "\\r"]] + [
    "a\r",
    "\rb",
    " lead",
    "ab",
    '"',
    "${x}",
]


def escaped(text: str) -> str:
    """Return a tag value in line protocol."""
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


@both_ways
def test_every_control_character(influx: Any, tmp_path: Path, values: bool) -> None:
    """Text fields and tags with any character that a server stores are compared as they are; one lost CR is found."""
    schema = PointSchema("m", ("t",), (Field("s", FieldType.STRING), Field("n", FieldType.INTEGER)), "time", "ns")
    rows = [(tag, "x", number) for number, tag in enumerate(TAG_VALUES)]
    rows += [("texts", text, len(rows) + number) for number, text in enumerate(TEXTS)]
    table = pa.table(
        {
            "t": [row[0] for row in rows],
            "s": [row[1] for row in rows],
            "n": [row[2] for row in rows],
            "time": [FIRST_DAY + row[2] for row in rows],
        }
    )
    root = dataset(tmp_path, schema, [table])
    body = "\n".join(
        'm,t={} s="{}",n={}i {}'.format(
            escaped(tag), text.replace("\\", "\\\\").replace('"', '\\"'), number, FIRST_DAY + number
        )
        for tag, text, number in rows
    )
    case = case_of(influx, root, body)
    report = case.verify(values=values)
    assert names(report) == []
    number = next(number for tag, text, number in rows if text == "a\rb")
    case.write(f'm,t=texts s="ab" {FIRST_DAY + number}')
    (difference,) = case.verify(values=values).differences
    assert name_of(difference) == ("different", "2024-01-02", "t=texts", "s")
    assert "expected 'a\\rb', found 'ab'" in difference.detail


@both_ways
def test_a_tag_that_lost_its_carriage_return(influx: Any, tmp_path: Path, values: bool) -> None:
    """A series whose tag differs by a carriage return only is another series."""
    schema = PointSchema("m", ("t",), (Field("n", FieldType.INTEGER),), "time", "ns")
    root = dataset(tmp_path, schema, [pa.table({"t": ["ab"], "n": [1], "time": [FIRST_DAY]})])
    found = case_of(influx, root, f"m,t=a\rb n=1i {FIRST_DAY}").verify(values=values, samples=0)
    assert {name_of(difference)[0] for difference in found.differences} == {"missing", "surplus"}
    assert "\r" not in "".join(difference.series for difference in found.differences)


ODD_NAMES = ["day", "value", "count of f", "in dataset", "on server", "field", "table", "result", "error", "name"]
ODD_NAMES += [
    "t0",
    "f0",
    "count0",
    "row",
    "literal",
    "*",
    "^a.*$",
    "host",
    "x::tag",
    "_fields",
    'q"uo',
    "b\\s",
    "c,d =e",
]


@both_ways
def test_names_that_could_collide(influx: Any, tmp_path: Path, values: bool) -> None:
    """Tags, fields and a time of any names are compared, also where a field is named like a tag."""
    tags = tuple(ODD_NAMES)
    fields = tuple(Field(f"f {name}", FieldType.FLOAT) for name in ODD_NAMES)
    fields += (Field("_value", FieldType.INTEGER), Field("_time", FieldType.STRING), Field("_field", FieldType.FLOAT))
    schema = PointSchema("_measurement", tags, fields, "_start", "ns")
    columns: dict[str, Any] = {tag: [f"v{number}", "w"] for number, tag in enumerate(tags)}
    columns |= {field.column: [float(number), 2.5] for number, field in enumerate(fields[:-3])}
    columns |= {"_value": [1, 2], "_time": ["x", "y"], "_field": [0.5, 1.5], "_start": [FIRST_DAY, FIRST_DAY + 1]}
    root = dataset(tmp_path, schema, [pa.table(columns)])

    def line(row: int) -> str:
        pairs = ",".join(f"{escaped(tag)}={columns[tag][row]}" for tag in tags)
        texts = {"_value": f"{columns['_value'][row]}i", "_time": f'"{columns["_time"][row]}"'}
        points = [f"{escaped(f.column)}={texts.get(f.column, columns[f.column][row])}" for f in fields]
        return f"_measurement,{pairs} {','.join(points)} {columns['_start'][row]}"

    case = case_of(influx, root, line(0), line(1))
    assert names(case.verify(values=values)) == []
    case.write(line(1).replace("_value=2i", "_value=3i"))
    (difference,) = case.verify(values=values).differences
    assert (difference.kind, difference.field) == ("different", "_value")


def test_tags_that_flux_has_no_room_for(influx_v2: Any, tmp_path: Path) -> None:
    """Where a tag's name keeps the server from answering, it is said that nothing can be compared, and why."""
    schema = PointSchema("m", ("_value",), (Field("a", FieldType.FLOAT),), "time", "ns")
    root = dataset(tmp_path, schema, [pa.table({"_value": ["x"], "a": [1.0], "time": [FIRST_DAY]})])
    case = case_of(influx_v2, root, f"m,_value=x a=1 {FIRST_DAY}")
    with pytest.raises(ConfigError, match="cannot be compared"):
        case.verify()
    report = case.verify(values=True)
    assert (names(report), report.values) == ([], 1)
    case.write(f"m,_value=x a=2,b=3 {FIRST_DAY}")
    assert names(case.verify(values=True)) == [
        ("different", "2024-01-02", "_value=x", "a"),
        ("surplus", "2024-01-02", "", "b"),
    ]


@pytest.mark.parametrize("tag", ["_start", "_stop", "_time", "_value"])
def test_other_points_with_tags_that_flux_has_no_room_for(influx_v2: Any, tmp_path: Path, tag: str) -> None:
    """Where a point of others keeps the server from answering, it is said at once; files tell which point it is."""
    schema = PointSchema("m", ("t",), (Field("a", FieldType.FLOAT),), "time", "ns")
    root = dataset(tmp_path, schema, [pa.table({"t": ["x"], "a": [1.0], "time": [FIRST_DAY]})])
    case = case_of(influx_v2, root, f"m,t=x a=1 {FIRST_DAY}", f"m,t=x,{tag}=y a=1,b=2 {FIRST_DAY + 1}")
    events: list[Event] = []
    with pytest.raises(ConfigError, match=f"cannot be compared: .*{tag}"):
        case.verify(events.append, retry_seconds=2)
    assert not [event for event in events if isinstance(event, Waited)]
    report = case.verify(events.append, values=True)
    assert sorted((difference.kind, difference.field) for difference in report.differences) == [
        ("surplus", ""),
        ("surplus", "b"),
    ]
    assert any(isinstance(event, Notice) and "queries are not" in event.message for event in events)


@both_ways
@pytest.mark.parametrize("big", [[1.7e308] * 4, [1.7e308] * 3 + [-1.7e308]])
def test_sums_beyond_all_floats(influx: Any, tmp_path: Path, big: list[float], values: bool) -> None:
    """A sum that overflows is no difference; its field's counts and extremes, and other fields, are compared."""
    fields = tuple(Field(name, FieldType.FLOAT) for name in "abc")
    schema = PointSchema("m", ("t",), fields, "time", "ns")
    times = [FIRST_DAY + row for row in range(4)]
    columns = {"a": [1.0, 2.0, 3.0, 4.0], "b": big, "c": [5.0, 6.0, 7.0, 8.0]}
    later = [time + 40 * DAY for time in times]
    tables = [pa.table({"t": ["x"] * 4, **columns, "time": part}) for part in (times, later)]
    root = dataset(tmp_path, schema, tables)
    rows = [row for part in (times, later) for row in zip(*columns.values(), part, strict=True)]
    case = case_of(influx, root, *(f"m,t=x a={a},b={b!r},c={c} {time}" for a, b, c, time in rows))
    events: list[Event] = []
    assert names(case.verify(events.append, values=values, drills=0, samples=0)) == []
    notes = [event.message for event in events if isinstance(event, Notice) and "sums of field 'b'" in event.message]
    assert len(notes) == (not values)
    case.write(f"m,t=x c=6.5 {times[2]}", f"m,t=x b=-1.75e308 {times[3]}")
    found = names(case.verify(values=values, drills=0, samples=0))
    assert [(kind, field) for kind, _, _, field in found] == [("different", "b"), ("different", "c")]
    case.write(
        f"m,t=x c=7 {times[2]}",
        *(f"m,t=x b={value} {time}" for value, time in zip((1.7e308, 1.0, 2.0, -1.7e308), times, strict=True)),
    )
    assert ("different", "b") in [(kind, field) for kind, _, _, field in names(case.verify(values=values, samples=0))]


def test_names_that_influxql_cannot_spell(influx_v1: Any, tmp_path: Path) -> None:
    """Where a name keeps queries from being asked, it is said that nothing can be compared; without points, too."""
    schema = PointSchema("a\rb", (), (Field("a", FieldType.FLOAT),), "time", "ns")
    for number, value in enumerate((1.0, float("nan"))):
        root = dataset(tmp_path / str(number), schema, [pa.table({"a": [value], "time": [FIRST_DAY]})])
        case = case_of(influx_v1, root)
        for values in (False, True):
            with pytest.raises(ConfigError, match="cannot be compared"):
                case.verify(values=values)


@both_ways
def test_long_texts(influx: Any, tmp_path: Path, values: bool) -> None:
    """Texts beyond what CSV readers take are compared whole, to their last character."""
    schema = PointSchema("m", ("t",), (Field("s", FieldType.STRING),), "time", "ns")
    texts = ["x" * 200_000, 'ü"\r\n' * 200_000]
    table = pa.table({"t": ["a", "a"], "s": texts, "time": [FIRST_DAY, FIRST_DAY + 1]})
    root = dataset(tmp_path, schema, [table])

    def lines(texts: Sequence[str]) -> list[str]:
        quoted = [text.replace('"', '\\"') for text in texts]
        return [f'm,t=a s="{text}" {FIRST_DAY + number}' for number, text in enumerate(quoted)]

    case = case_of(influx, root, *lines(texts))
    assert names(case.verify(values=values)) == []
    case.write(lines([texts[0][:-1] + "y"])[0])
    (difference,) = case.verify(values=values).differences
    assert name_of(difference) == ("different", "2024-01-02", "t=a", "s")
    assert len(difference.detail) < 1_000


@both_ways
def test_many_fields(influx: Any, tmp_path: Path, values: bool) -> None:
    """Thousands of fields are asked for together, and one value of them that differs is found."""
    number = 3_000 if influx.kind == "v2" and not values else 500
    fields = tuple(Field(f"field{position:04}", FieldType.FLOAT) for position in range(number))
    schema = PointSchema("m", ("t",), fields, "time", "ns")
    columns = {field.column: [position + 0.5, position + 1.5] for position, field in enumerate(fields)}
    table = pa.table({"t": ["a", "b"], **columns, "time": [FIRST_DAY, FIRST_DAY + 1]})
    root = dataset(tmp_path, schema, [table])
    lines = [
        f"m,t={tag} {','.join(f'{name}={pair[row]}' for name, pair in columns.items())} {FIRST_DAY + row}"
        for row, tag in enumerate("ab")
    ]
    case = case_of(influx, root, *lines)
    case.write(f"m,t=b {fields[-1].column}=7 {FIRST_DAY + 1}")
    assert names(case.verify(values=values)) == [("different", "2024-01-02", "t=b", fields[-1].column)]


@both_ways
def test_many_tags(influx: Any, tmp_path: Path, values: bool) -> None:
    """Hundreds of tags are no trouble."""
    tags = tuple(f"tag{number:03}" for number in range(300))
    schema = PointSchema("m", tags, (Field("a", FieldType.FLOAT),), "time", "ns")
    table = pa.table({**{tag: ["x", None] for tag in tags}, "a": [1.0, 2.0], "time": [FIRST_DAY, FIRST_DAY]})
    root = dataset(tmp_path, schema, [table])
    pairs = ",".join(f"{tag}=x" for tag in tags)
    case = case_of(influx, root, f"m,{pairs} a=1 {FIRST_DAY}", f"m a=2 {FIRST_DAY}")
    assert names(case.verify(values=values)) == []


@both_ways
def test_rows_that_no_point_can_be(influx: Any, tmp_path: Path, values: bool) -> None:
    """They are told by reason, with file and row, and are no differences; the other rows are compared as ever."""
    rows: list[tuple[str | None, float | None, int | None, str | None, int | None]] = [
        ("x", 1.0, 1, "one", MINUTES[0]),
        ("x", float("nan"), 1, "two", MINUTES[1]),
        ("x", 3.0, 1, "three", None),
        ("x", float("-inf"), 1, None, MINUTES[1]),
        ("x", None, None, None, MINUTES[2]),
        ("x", 1.0, 1, "least", -(2**63) + 1),
        ("y", 6.0, 6, "six", MINUTES[2]),
    ]
    root = dataset(tmp_path, SPARSE, [sparse_table(rows)])  # type: ignore[arg-type]
    manifest = Manifest((SPARSE,), {}, {}, tuple(_bounded(root)), complete=True)
    write_manifest(root, manifest)
    case = case_of(influx, root, f'm,t=x a=1,b=1i,c="one" {MINUTES[0]}', f'm,t=y a=6,b=6i,c="six" {MINUTES[2]}')
    report = case.verify(values=values)
    assert (report.unfit, names(report)) == (5, [])
    file = "part=0/points.parquet, row"
    assert sorted((group.column, group.number, group.examples) for group in report.unfit_rows) == [
        ("a", 2, (f"{file} 1: NaN", f"{file} 3: -inf")),
        ("a, b, c", 1, (f"{file} 4",)),
        ("time", 2, (f"{file} 2", f"{file} 5: -9223372036854775807")),
    ]
    case.write(f'm,t=x c="two" {MINUTES[1]}')
    assert ("surplus", "2024-01-02", "t=x", "") in [name_of(found) for found in case.verify(values=values).differences]


def _bounded(root: Path) -> list[Partition]:
    path = root / "part=0/points.parquet"
    size = path.stat().st_size
    return [
        Partition(
            "part=0/points.parquet", 7, MINUTES[0], MINUTES[2], size, hashlib.sha256(path.read_bytes()).hexdigest()
        )
    ]


@both_ways
def test_times_beyond_the_bounds(influx: Any, tmp_path: Path, values: bool) -> None:
    """Years that nanoseconds do not reach are no points, whatever the unit; INT96 (Spark) does not wrap."""
    schema = PointSchema("m", ("t",), (Field("a", FieldType.FLOAT),), "time")
    stamps = [FIRST_DAY // 1_000, 253_402_214_400_000_000, -30_610_224_000_000_000]
    table = pa.table({"t": ["x"] * 3, "a": [1.0, 2.0, 3.0], "time": pa.array(stamps, pa.timestamp("us"))})
    for number, writing in enumerate(({}, {"use_deprecated_int96_timestamps": True, "store_schema": False})):
        root = dataset(tmp_path / str(number), schema, [table], **writing)
        report = case_of(influx, root, f"m,t=x a=1 {FIRST_DAY}").verify(values=values)
        assert (report.unfit, report.differences) == (2, ())


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_integer_times_have_a_unit(influx_v2: Any, tmp_path: Path, unit: str) -> None:
    """Times of integers are read in the unit that the schema names."""
    factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    schema = PointSchema("m", (), (Field("a", FieldType.FLOAT),), "time", unit)
    table = pa.table({"a": [1.0], "time": pa.array([FIRST_DAY // factor], pa.int64())})
    root = dataset(tmp_path, schema, [table])
    write_manifest(root, Manifest((schema,), {}, {}, (_one(root, FIRST_DAY),), complete=True))
    assert names(case_of(influx_v2, root, f"m a=1 {FIRST_DAY}").verify()) == []
    assert names(case_of(influx_v2, root, f"m a=1 {FIRST_DAY + 1}").verify()) != []


def _one(root: Path, time: int) -> Partition:
    path = root / "part=0/points.parquet"
    return Partition(
        "part=0/points.parquet", 1, time, time, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    )


@both_ways
@pytest.mark.parametrize("dictionary", [False, True])
def test_text_that_is_not_utf8(influx: Any, tmp_path: Path, values: bool, dictionary: bool) -> None:
    """A row with such text, in a field or a tag, cannot be a point; the others are compared."""

    def odd(*texts: bytes) -> pa.Array:
        plain = pa.Array.from_buffers(pa.string(), len(texts), pa.array(texts, pa.binary()).buffers())
        return plain.dictionary_encode() if dictionary else plain

    schema = PointSchema("m", ("t",), (Field("s", FieldType.STRING),), "time", "ns")
    table = pa.table(
        {
            "t": odd(b"x", b"x", b"\xfft"),
            "s": odd(b"good", b"\xff\xfe", b"good"),
            "time": [FIRST_DAY + n for n in range(3)],
        }
    )
    root = dataset(tmp_path, schema, [table])
    report = case_of(influx, root, f'm,t=x s="good" {FIRST_DAY}').verify(values=values)
    assert (report.unfit, report.differences) == (2, ())
    assert sorted((group.column, group.reason) for group in report.unfit_rows) == [
        ("s", "it is not UTF-8"),
        ("t", "it is not UTF-8"),
    ]


def test_a_file_that_is_not_the_manifests(influx_v2: Any, tmp_path: Path) -> None:
    """Times that the manifest does not know are an error: they would not have been looked for."""
    schema = PointSchema("m", (), (Field("a", FieldType.FLOAT),), "time", "ns")
    root = dataset(tmp_path, schema, [pa.table({"a": [1.0], "time": [FIRST_DAY]})])
    write_manifest(root, Manifest((schema,), {}, {}, (_one(root, FIRST_DAY + DAY),), complete=True))
    with pytest.raises(StageError, match="the manifest says"):
        verify(VerifySettings(root, case_of(influx_v2, root).target))
