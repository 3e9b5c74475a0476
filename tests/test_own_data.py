"""What docs/own-data.md says of types holds: its examples become what it says, or are refused."""

from __future__ import annotations

import re
import struct
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.adopt import adopt
from loader.dataset.chunk import Chunk
from loader.dataset.manifest import read_manifest
from loader.dataset.mapping import ColumnMapping, FieldMapping, read_mapping
from loader.dataset.place import find_place
from loader.dataset.reader import read_batches
from loader.dataset.schema import FieldType
from loader.errors import ConfigError, EncodeError
from loader.staging import FilesSettings, OnDuplicate, stage_files
from loader.staging.sources.paths import find_sources
from tests.documented import examples, quoted, table
from tests.lines import lines_of
from tests.reference import Point, decode

NAMES = {"pa": pa, "Decimal": Decimal, "date": date, "time": time}
MAPPING = ColumnMapping("m", "time", ("tag",), (FieldMapping("x", "x"),))


def column(example: str) -> pa.Array:
    """Return an example as a column of one row."""
    value = eval(quoted(example), NAMES)
    if pa.types.is_duration(value.type):
        return pa.array([value.cast(pa.int64()).as_py()]).cast(value.type)
    return pa.array([value.as_py()], value.type)


def stored(folder: Path, mapping: ColumnMapping, **columns: pa.Array) -> Point:
    """Return the point that a row becomes."""
    folder.mkdir(exist_ok=True)
    times = pa.array([1], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": times, **columns}), folder / "x.parquet")
    place = find_place(folder)
    manifest = adopt(place, mapping)
    assert manifest
    chunk = Chunk("x.parquet", 0, 1)
    (batch,) = read_batches(folder, manifest.schema, chunk, 1)
    (point,) = decode(lines_of(batch, manifest.schema, chunk))
    return point


TYPES = table("Arrow type")
LOSSES = table("Value")
CELLS = table("A cell")
ROWS = table("Rows of one series and time")


@pytest.mark.parametrize(("example", "wanted"), [(row[1], row[2]) for row in TYPES])
def test_types_as_fields(tmp_path: Path, example: str, wanted: str) -> None:
    """A value is a field of the type, and the value, that the table says."""
    columns = {"x": column(example), "tag": pa.array(["t"])}
    if wanted in {"refused", "nothing"}:
        with pytest.raises(ConfigError, match="form in a field" if wanted == "refused" else "say what it would be"):
            stored(tmp_path, MAPPING, **columns)
        return
    point = stored(tmp_path, MAPPING, **columns)
    kind, value = point.fields["x"]
    shown = str(struct.unpack("<d", value)[0] if kind == "float" else value)
    assert (kind, shown) == (wanted.split(maxsplit=1)[0], quoted(wanted))


@pytest.mark.parametrize(("example", "wanted"), [(row[1], row[3]) for row in TYPES])
def test_types_as_tags(tmp_path: Path, example: str, wanted: str) -> None:
    """A value is the text that the table says, or no tag."""
    columns = {"tag": column(example), "x": pa.array([1.0])}
    if wanted == "refused":
        with pytest.raises(ConfigError, match=r"column 'tag' is .*(cannot be a tag|nested types)"):
            stored(tmp_path, MAPPING, **columns)
        return
    tags = dict(stored(tmp_path, MAPPING, **columns).tags)
    assert tags == ({} if wanted == "no tag" else {"tag": quoted(wanted)})


@pytest.mark.parametrize(("example", "kind"), [(row[0], row[1]) for row in LOSSES])
def test_what_would_lose_something_is_refused(tmp_path: Path, example: str, kind: str) -> None:
    """It is an error with file, row and column."""
    mapping = ColumnMapping("m", "time", ("tag",), (FieldMapping("x", "x", FieldType(kind)),))
    with pytest.raises(EncodeError, match=r"x\.parquet, row 0, column 'x': "):
        stored(tmp_path, mapping, x=column(example), tag=pa.array(["t"]))


def test_the_keys_of_a_mapping_file(tmp_path: Path) -> None:
    """What the table says of points.toml is read; of several lines for one key, the last."""
    lines: dict[str, str] = {}
    for row in table("Flag"):
        line = quoted(row[1])
        lines[line.split(" = ")[0]] = line
    column = lines.pop("measurement_column")
    (tmp_path / "points.toml").write_text("\n".join(lines.values()))
    mapping = read_mapping(tmp_path / "points.toml")
    assert (mapping.measurement, mapping.time, mapping.tags) == ("trips", "pickup", ("vendor", "zone"))
    assert mapping.fields == (FieldMapping("fare", "price", FieldType.STRING),)
    assert (mapping.time_unit, mapping.unsigned) == ("ms", "integer")
    assert (mapping.policy.timezone, mapping.policy.ambiguous, mapping.policy.non_finite) == ("UTC", "earliest", "skip")
    (tmp_path / "points.toml").write_text("\n".join([column, lines["time"]]))
    assert read_mapping(tmp_path / "points.toml").measurement_column == "kind"


def test_the_suffixes_of_sources(tmp_path: Path) -> None:
    """Files with each suffix that the table names are found in a folder, also compressed where it says so."""
    (tmp_path / "lines").mkdir()
    (tmp_path / "tables").mkdir()
    wanted = []
    for row in table("Suffix"):
        names = row[0].split(", also with")
        folder = tmp_path / ("lines" if "line protocol" in row[1] else "tables")
        suffixes = re.findall(r"`([.a-z]+)`", names[0])
        packed = [suffix + more for suffix in suffixes for more in re.findall(r"`([.a-z]+)`", "".join(names[1:]))]
        wanted += [folder / f"x{suffix}" for suffix in (*suffixes, *packed)]
    for path in (*wanted, tmp_path / "tables" / "x.json", tmp_path / "tables" / "x.parquet.gz"):
        path.write_text("")
    found = [path for name in ("lines", "tables") for path in find_sources([tmp_path / name])[0]]
    assert sorted(found) == sorted(wanted)


def staged(settings: FilesSettings) -> list[Point]:
    """Return the points that a stage makes."""
    stage_files(settings)
    manifest = read_manifest(settings.out)
    points = []
    for partition in manifest.partitions:
        chunk = Chunk(partition.path, 0, partition.rows)
        schema = manifest.schema_of(partition.path)
        for batch in read_batches(settings.out, schema, chunk, partition.rows):
            points += decode(lines_of(batch, schema, chunk))
    return points


@pytest.mark.parametrize(("cell", "tag", "field"), CELLS)
def test_cells_of_csv(tmp_path: Path, cell: str, tag: str, field: str) -> None:
    """A cell is the tag and the field that the table says."""
    text = "" if cell == "nothing" else quoted(cell)
    (tmp_path / "x.csv").write_text(f"tag,x,y,time\n{text},{text},1,5\n")
    mapping = ColumnMapping("m", "time", ("tag",), time_unit="ns")
    if field == "nothing":  # a column without any value has no type
        mapping = ColumnMapping("m", "time", ("tag",), (FieldMapping("y", "y"),), time_unit="ns")
    (point,) = staged(FilesSettings(tmp_path / "out", (tmp_path / "x.csv",), mapping))
    assert dict(point.tags) == ({} if tag == "no tag" else {"tag": quoted(tag)})
    if field == "nothing":
        assert "x" not in point.fields
        return
    kind, value = point.fields["x"]
    shown = str(struct.unpack("<d", value)[0] if kind == "float" else value)
    assert (kind, shown) == (field.split(maxsplit=1)[0].strip(","), quoted(field) if "`" in field else "")


@pytest.mark.parametrize(("words", "lines", "wanted"), ROWS)
def test_rows_of_one_point(tmp_path: Path, words: str, lines: str, wanted: str) -> None:
    """Rows of one series and time become the points that the table says, or are refused."""
    (tmp_path / "x.lp").write_text("\n".join(examples(lines)) + "\n")
    rule = next((each for each in OnDuplicate if f"`--on-duplicate {each}`" in words), OnDuplicate.FAIL)
    settings = FilesSettings(tmp_path / "out", (tmp_path / "x.lp",), on_duplicate=rule)
    if wanted.startswith("refused"):
        with pytest.raises(ConfigError, match="1 value belongs to a row with the same series and time"):
            stage_files(settings)
        return
    assert staged(settings) == [point for line in examples(wanted) for point in decode(line + "\n")]
