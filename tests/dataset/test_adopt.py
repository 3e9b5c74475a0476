"""Parquet of others becomes a dataset where it lies, or is refused with what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.adopt import adopt, keep_manifest, prepare_state
from loader.dataset.instant import NANOSECONDS, TIME_MAX, TIME_MIN
from loader.dataset.manifest import Manifest, has_manifest, read_manifest, write_manifest
from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.place import find_place
from loader.dataset.policy import Policy
from loader.dataset.schema import Field, FieldType, trades_schema
from loader.errors import ConfigError, LoaderError, StageError
from loader.events import Event, Notice
from tests.plants import KINDS, plant

MAPPING = ColumnMapping("m", "t", ("host",))
TIMES = pa.array([1_000, 2_000], pa.timestamp("ms", "UTC"))
TABLE = pa.table({"host": ["a", "b"], "x": [1.5, 2.5], "t": TIMES})


def put(path: Path, table: pa.Table = TABLE, **options: Any) -> Path:
    """Write ``table`` to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def adopted(path: Path, mapping: ColumnMapping | None = MAPPING, state: Path | None = None, **options: Any) -> Manifest:
    """Adopt what is at ``path``, and return the manifest."""
    place = find_place(path, state)
    manifest = adopt(place, mapping, **options)
    assert manifest
    prepare_state(place)
    keep_manifest(place, manifest)
    assert read_manifest(place.state, place.root) == manifest
    return manifest


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Return all files below ``root`` but the loader's own, with sizes and times of change."""
    files = (path for path in root.rglob("*") if path.is_file() and ".loader" not in path.parts)
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_a_file(tmp_path: Path) -> None:
    """It is one partition; nothing but the loader's own folder is made beside it."""
    path = put(tmp_path / "x[1].parquet")
    before = listing(tmp_path)
    manifest = adopted(path)
    (partition,) = manifest.partitions
    assert (partition.path, partition.rows) == ("x[1].parquet", 2)
    assert (partition.time_min, partition.time_max) == (10**9, 2 * 10**9)
    assert manifest.schema.fields == (Field("x", FieldType.FLOAT),)
    assert listing(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir() if entry != path] == [".loader"]


def test_a_folder_and_a_pattern(tmp_path: Path) -> None:
    """All files below a folder are partitions, but for hidden ones; of a pattern, those that match."""
    for name in ("b/1.parquet", "a.parquet", ".hidden.parquet", "_temporary/1.parquet", "c/.x/1.parquet"):
        put(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no Parquet")
    (tmp_path / "odd.parquet").mkdir()
    assert [each.path for each in adopted(tmp_path).partitions] == ["a.parquet", "b/1.parquet"]
    assert [each.path for each in adopted(tmp_path / "*" / "1.parquet").partitions] == ["b/1.parquet"]


def test_keys_of_the_path_are_tags(tmp_path: Path) -> None:
    """Hive's folders name tags, which no column has."""
    put(tmp_path / "zone=a%2Fb" / "day=1" / "1.parquet")
    put(tmp_path / "plain" / "zone=c" / "2.parquet")
    manifest = adopted(tmp_path, ColumnMapping("m", "t", ("zone", "host")))
    assert manifest.schema.tags == ("zone", "host")
    assert manifest.schema.sparse == ()


def test_the_mapping_is_kept(tmp_path: Path) -> None:
    """The second time needs none; another one makes another dataset of the same files."""
    policy = Policy("Europe/Berlin", "latest", "skip")
    put(tmp_path / "1.parquet")
    first = ColumnMapping("m", "t", (), (FieldMapping("x", "y", FieldType.STRING),) * 0, "", "integer", policy)
    manifest = adopted(tmp_path, first)
    assert adopted(tmp_path, None) == manifest
    assert adopted(tmp_path).fingerprint != manifest.fingerprint
    assert adopted(tmp_path, None).schema.tags == ("host",)


def test_a_file_that_changed(tmp_path: Path) -> None:
    """Another content, or only another time of change, is said, unless all is to be taken as it is now."""
    path = put(tmp_path / "1.parquet")
    adopted(tmp_path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(StageError, match=r"1\.parquet: has changed since it was loaded first"):
        adopted(tmp_path, None)
    manifest = adopted(tmp_path, None, afresh=True)
    assert manifest.partitions[0].modified == 1
    put(path, TABLE.slice(1))
    with pytest.raises(StageError, match="has changed"):
        adopted(tmp_path)
    path.unlink()
    put(tmp_path / "2.parquet")
    assert [each.path for each in adopted(tmp_path, None).partitions] == ["2.parquet"]


def test_a_new_file_joins(tmp_path: Path) -> None:
    """What came since belongs to the dataset."""
    put(tmp_path / "1.parquet")
    adopted(tmp_path)
    put(tmp_path / "2.parquet")
    assert adopted(tmp_path, None).rows == 4


def test_a_staged_dataset_is_left_alone(tmp_path: Path) -> None:
    """It knows its columns; a mapping for it is an error."""
    staged = Manifest((trades_schema(),), {"seed": 1}, {}, (), complete=True)
    write_manifest(tmp_path, staged)
    assert adopt(find_place(tmp_path)) is None
    assert read_manifest(tmp_path) == staged
    with pytest.raises(ConfigError, match="is a staged dataset, which knows its columns"):
        adopt(find_place(tmp_path), MAPPING)


LOCAL = pa.array([1_704_067_200, 1_704_067_260], pa.timestamp("s"))


@pytest.mark.parametrize(
    ("times", "options", "mapping", "expected"),
    [
        (TIMES, {}, {}, (10**9, 2 * 10**9)),
        (TIMES, {"write_statistics": False}, {}, (10**9, 2 * 10**9)),
        (pa.array([None, -1], pa.timestamp("us", "Asia/Tokyo")), {}, {}, (-1_000, -1_000)),
        (
            pa.array([5, 7], pa.timestamp("ns", "UTC")),
            {"use_deprecated_int96_timestamps": True},
            {"policy": Policy("UTC")},
            (5, 7),
        ),
        (pa.array([date(1970, 1, 2), date(1969, 12, 31)]), {}, {}, (-86_400 * 10**9, 86_400 * 10**9)),
        (pa.array([3, -4]), {}, {"time_unit": "ms"}, (-4_000_000, 3_000_000)),
        (LOCAL, {}, {"policy": Policy("UTC")}, (1_704_067_200 * 10**9, 1_704_067_260 * 10**9)),
        (LOCAL, {}, {"policy": Policy("Asia/Tokyo")}, (1_704_034_800 * 10**9, 1_704_034_860 * 10**9)),
        # what InfluxDB does not have is not counted
        (pa.array([2**61, 8], pa.timestamp("us", "UTC")), {}, {}, (8_000, 8_000)),
        (pa.array([None, 2**61], pa.timestamp("us", "UTC")), {}, {}, (0, 0)),
    ],
)
def test_the_range_of_times(
    tmp_path: Path, times: pa.Array, options: dict[str, Any], mapping: dict[str, Any], expected: tuple[int, int]
) -> None:
    """It is that of the points, from statistics where they tell, and otherwise from the times."""
    put(tmp_path / "1.parquet", pa.table({"t": times, "x": [1, 2]}), **options)
    (partition,) = adopted(tmp_path, ColumnMapping("m", "t", **mapping)).partitions
    assert (partition.time_min, partition.time_max) == expected


def test_the_index_of_pandas(tmp_path: Path) -> None:
    """It is left out, which is said, unless it is named."""
    put(tmp_path / "1.parquet", TABLE.append_column("__index_level_0__", pa.array([0, 1])))
    events: list[Event] = []
    assert adopted(tmp_path, observe=events.append).schema.columns == ("host", "x", "t")
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "the index of pandas (__index_level_0__) is left out; name it with --field to load it"
    ]
    named = ColumnMapping("m", "t", (), (FieldMapping("__index_level_0__", "row"),))
    assert adopted(tmp_path, named).schema.fields == (Field("row", FieldType.INTEGER),)


def test_the_columns_of_all_files(tmp_path: Path) -> None:
    """They are united in their order: floats hold integers, any type holds no value, and some files lack some."""
    put(tmp_path / "1.parquet", pa.table({"t": TIMES, "x": pa.array([1, 2]), "n": pa.nulls(2)}))
    put(tmp_path / "2.parquet", pa.table({"x": [0.5, 1.5], "y": [True, None], "n": ["a", "b"], "t": TIMES}))
    schema = adopted(tmp_path, ColumnMapping("m", "t")).schema
    assert schema.fields == (
        Field("x", FieldType.FLOAT),
        Field("n", FieldType.STRING),
        Field("y", FieldType.BOOLEAN),
    )
    assert schema.sparse == ("y",)


def tables(*parts: pa.Table) -> Callable[[Path], Path]:
    """Return what puts ``parts`` as files into a folder, and returns it."""

    def fill(root: Path) -> Path:
        for number, part in enumerate(parts):
            put(root / "in" / f"{number}.parquet", part)
        return root / "in"

    return fill


def cut(root: Path) -> Path:
    """Put half of a file there."""
    path = put(root / "in" / "1.parquet")
    path.write_bytes(path.read_bytes()[:200])
    return path


def garbled(root: Path) -> Path:
    """Put a file with a footer of nonsense there."""
    path = put(root / "in" / "1.parquet")
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[-8:-4], "little")
    content[-8 - size : -8] = bytes(size)
    path.write_bytes(content)
    return path


def text(root: Path) -> Path:
    """Put text there."""
    (root / "in").mkdir()
    (root / "in" / "1.parquet").write_text("time,value\n1,2\n" * 10)
    return root / "in"


def empty(root: Path) -> Path:
    """Put an empty folder there."""
    (root / "in").mkdir()
    return root / "in"


def hive(root: Path) -> Path:
    """Put a file there whose path has a key that is a column too."""
    put(root / "in" / "host=a" / "1.parquet")
    return root / "in"


def renamed(old: str, new: str) -> pa.Table:
    """Return the usual table with another name of a column."""
    return TABLE.rename_columns([new if name == old else name for name in TABLE.column_names])


def replaced(name: str, values: Any) -> pa.Table:
    """Return the usual table with other values of a column."""
    return TABLE.set_column(TABLE.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("fill", "mapping", "message"),
    [
        (lambda root: root / "in", MAPPING, "in: no such file or folder"),
        (lambda root: root / "in", None, "in: no such file or folder"),
        (empty, MAPPING, "in: no Parquet here"),
        (lambda root: empty(root) / "2024-*.parquet", MAPPING, r"no file matches this pattern"),
        (text, MAPPING, "1.parquet: cannot be read as Parquet"),
        (cut, MAPPING, "1.parquet: cannot be read as Parquet"),
        (garbled, MAPPING, "1.parquet: cannot be read as Parquet"),
        (tables(TABLE.slice(0, 0)), MAPPING, "in: its files have no rows"),
        (tables(TABLE), None, "in: which of its columns are tags, fields and time is not known"),
        (tables(renamed("t", "u")), MAPPING, "there is no column 't', named as time"),
        (
            tables(renamed("host", "x")),
            ColumnMapping("m", "t"),
            "two columns are called 'x'|column 'x' plays two parts",
        ),
        (tables(renamed("host", "x")), ColumnMapping("m", "t", ("x",)), "there are 2 columns called 'x', named as tag"),
        (
            tables(replaced("t", ["2024-01-01", "x"])),
            MAPPING,
            "column 't' is string; a time is a timestamp, in CSV such as",
        ),
        (tables(replaced("t", [0.5, 1.5])), MAPPING, "column 't' is double; it should be a timestamp"),
        (tables(replaced("t", [1, 2])), MAPPING, "the first, 1, is 1970-01-01T00:00:01Z in s, .* in ms, .* in us"),
        (
            tables(replaced("t", pa.array([1, 2], pa.timestamp("us")))),
            MAPPING,
            "'t' is timestamp.us., without a ti",
        ),
        (
            tables(replaced("x", pa.array([1, 2], pa.timestamp("us")))),
            MAPPING,
            "'x' is timestamp.us., without a ti",
        ),
        (tables(TABLE), ColumnMapping("m", "t", ("host", "host")), "column 'host' plays two parts"),
        (tables(TABLE), ColumnMapping("m", "t", ("x",), (FieldMapping("x", "y"),)), "column 'x' plays two parts"),
        (
            tables(TABLE),
            ColumnMapping("m", "t", ("host",), (FieldMapping("x", "host"),)),
            "two columns are called 'host'",
        ),
        (
            tables(TABLE),
            ColumnMapping("m", "t", (), (FieldMapping("x", "t"),)),
            "field 't' has the name of the ti",
        ),
        (tables(TABLE.select(["host", "t"])), MAPPING, "no column is left to be a field"),
        (tables(TABLE), ColumnMapping("m", "t", ("x",)), "column 'x' is double; it cannot be a tag, which is text"),
        (tables(replaced("x", [[1], [2]])), MAPPING, "column 'x' is list.*, which has no form in a field"),
        (
            tables(replaced("host", [[1], [2]])),
            MAPPING,
            "column 'host' is list.*; nested types have no form",
        ),
        (tables(replaced("x", [b"a", b"b"])), MAPPING, "column 'x' is binary, which has no form in a field"),
        (
            tables(replaced("x", pa.nulls(2))),
            ColumnMapping("m", "t", (), (FieldMapping("x", "x"),)),
            "column 'x' is null, which has no form in a field",
        ),
        (
            tables(TABLE),
            ColumnMapping("m", "t", (), (FieldMapping("x", "x", FieldType.BOOLEAN),)),
            "0.parquet: column 'x' is double; it cannot be a field of type boolean; it can be float",
        ),
        (
            tables(replaced("x", [b"a", b"b"])),
            ColumnMapping("m", "t", (), (FieldMapping("x", "x", FieldType.STRING),)),
            "column 'x' is binary; it cannot be a field of type string; it can be nothing",
        ),
        (tables(TABLE, replaced("x", ["a", "b"])), MAPPING, "1.parquet: column 'x' is string; it cannot be a field of"),
        (tables(TABLE, renamed("t", "u")), MAPPING, "1.parquet: column 't' is missing; columns are host, x, u"),
        (hive, MAPPING, "'host' is a column of the files and a key of their paths"),
        (
            lambda root: put(root / "in" / "zone=1" / "1.parquet").parents[1],
            ColumnMapping("m", "t", (), (FieldMapping("zone", "zone"),)),
            "field 'zone' is a key of the paths",
        ),
        (
            tables(replaced("t", TIMES)),
            ColumnMapping("m", "t", time_unit="s"),
            "'t' is timestamp.*; it has a unit of its own",
        ),
    ],
)
def test_what_is_refused(
    tmp_path: Path, fill: Callable[[Path], Path], mapping: ColumnMapping | None, message: str
) -> None:
    """It is an error that says what, where, and what to do; nothing is written."""
    path = fill(tmp_path)
    with pytest.raises(LoaderError, match=message) as caught:
        adopted(path, mapping)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.hint
    assert not list(tmp_path.rglob(".loader"))


def metered(root: Path) -> Path:
    """Put files of three measurements there, which have not all columns in common."""
    put(root / "in" / "m=cpu" / "1.parquet")
    put(root / "in" / "m=cpu" / "2.parquet", TABLE.select(["x", "t"]))
    put(root / "in" / "m=a%2Fb" / "1.parquet", replaced("x", ["up", "down"]).append_column("y", pa.array([1, 2])))
    put(root / "in" / "m=none" / "1.parquet", renamed("host", "rack"))
    return root / "in"


def test_measurements_by_a_key_of_the_paths(tmp_path: Path) -> None:
    """Each measurement has its own columns and types; a tag is one where it is a column."""
    manifest = adopted(metered(tmp_path), ColumnMapping("", "t", ("host",), measurement_column="m"))
    assert [(part.schema.measurement, part.schema.tags, part.rows) for part in manifest.measurements] == [
        ("a/b", ("host",), 2),
        ("cpu", ("host",), 4),
        ("none", (), 2),
    ]
    first, second, third = (part.schema for part in manifest.measurements)
    assert first.fields == (Field("x", FieldType.STRING), Field("y", FieldType.INTEGER))
    assert (second.fields, second.sparse) == ((Field("x", FieldType.FLOAT),), ("host",))
    assert third.fields == (Field("rack", FieldType.STRING), Field("x", FieldType.FLOAT))
    assert manifest.schema_of("m=cpu/2.parquet") == second
    assert adopted(tmp_path / "in", None) == manifest


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (ColumnMapping("", "t", measurement_column="host"), r"1\.parquet: its path does not say its measurement"),
        (ColumnMapping("", "t", ("hots",), measurement_column="m"), "no measurement has the column 'hots'"),
        (
            ColumnMapping("", "t", (), (FieldMapping("y", "y"),), measurement_column="m"),
            "m=cpu/1.parquet: has none of the fields that are named",
        ),
    ],
)
def test_measurements_that_are_refused(tmp_path: Path, mapping: ColumnMapping, message: str) -> None:
    """A file whose path names no measurement, and columns that no measurement has, are errors."""
    with pytest.raises(ConfigError, match=message):
        adopted(metered(tmp_path), mapping)


def test_one_measurement_by_a_key_of_the_paths(tmp_path: Path) -> None:
    """Where there is only one, it is named by the key as well."""
    put(tmp_path / "m=cpu" / "1.parquet")
    assert adopted(tmp_path, ColumnMapping("", "t", ("host",), measurement_column="m")).schema.measurement == "cpu"


def test_a_link_in_place_of_the_state(tmp_path: Path) -> None:
    """What stands beside a file may come from anybody, and leads nowhere else."""
    path = put(tmp_path / "in" / "1.parquet")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / ".loader").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StageError, match="only a folder is taken here"):
        adopted(path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The state is wanted elsewhere then."""
    path = put(tmp_path / "1.parquet")
    with pytest.raises(ConfigError, match="nothing can be written here") as caught:
        adopted(path, state=Path("/proc/none"))
    assert "--state" in caught.value.hint
    assert adopted(path, state=tmp_path / "new").rows == 2
    assert not (tmp_path / ".loader").exists()
    assert has_manifest(tmp_path / "new")


def test_a_damaged_mapping(tmp_path: Path) -> None:
    """A manifest of others whose mapping cannot be one is an error."""
    put(tmp_path / "1.parquet")
    manifest = adopted(tmp_path)
    for mapping in ({"who": "knows"}, {"measurement": 1}, {"measurement": "m"}):
        settings = {"source": "adopted", "mapping": mapping}
        write_manifest(tmp_path, Manifest(manifest.schemas, settings, {}, manifest.partitions, complete=True))
        with pytest.raises(ConfigError):
            adopted(tmp_path, None)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__ != "folder"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: Callable[[Path], None]) -> None:
    """A FIFO among the files keeps nobody waiting, and a link leads nowhere."""
    root = tmp_path / "data"
    put(root / "1.parquet")
    plant(root / "2.parquet", kind)
    with pytest.raises(StageError, match=r"2\.parquet: is a .*only a regular file"):
        adopted(root)
    assert not (root / ".loader").exists()


@pytest.mark.parametrize("name", [b"a\nb.parquet", b"\xff.parquet"])
def test_names_that_no_manifest_has(tmp_path: Path, name: bytes) -> None:
    """A name that is no plain text is refused before a manifest is made that nobody could read."""
    path = put(tmp_path / "1.parquet")
    path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    with pytest.raises(ConfigError, match="partition") as caught:
        adopted(tmp_path)
    assert "plain name" in caught.value.hint
    assert not (tmp_path / ".loader").exists()


def test_each_file_says_the_zone_of_its_times(tmp_path: Path) -> None:
    """Times without a zone are refused in any file, not in the first one only."""
    root = tables(TABLE, replaced("t", pa.array([1, 2], pa.timestamp("ms"))))(tmp_path)
    with pytest.raises(ConfigError, match=r"1\.parquet: column 't' is timestamp\[ms\], without a time zone"):
        adopted(root)
    assert adopted(root, ColumnMapping("m", "t", ("host",), policy=Policy("UTC"))).rows == 4


def test_files_without_rows_beside_others(tmp_path: Path) -> None:
    """They are partitions without rows; integers as times are refused by their type where no row can show a unit."""
    assert adopted(tables(TABLE, TABLE.slice(0, 0))(tmp_path / "good")).rows == 2
    with pytest.raises(ConfigError, match=r"1\.parquet: column 't' is int64; it should be a timestamp"):
        adopted(tables(TABLE, replaced("t", [1, 2]).slice(0, 0))(tmp_path / "bad"))


def test_a_column_without_a_name(tmp_path: Path) -> None:
    """It is refused as tag and as field, and left out where other fields are named."""
    path = put(tmp_path / "1.parquet", renamed("host", ""))
    for mapping in (ColumnMapping("m", "t"), ColumnMapping("m", "t", ("",))):
        with pytest.raises(ConfigError, match="a column has no name"):
            adopted(path, mapping)
    assert adopted(path, ColumnMapping("m", "t", (), (FieldMapping("x", "x"),))).schema.columns == ("x", "t")


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["ms", "us", "ns"]), st.lists(st.none() | st.integers(-(2**62), 2**62), min_size=1, max_size=9))
def test_the_range_is_the_same_with_and_without_statistics(
    tmp_path_factory: pytest.TempPathFactory, unit: str, times: list[int | None]
) -> None:
    """What writers say of times is what reading them finds, in timestamps and in integers."""
    whole = pa.array(times, pa.int64())
    ranges = set()
    for column, mapping in (
        (whole.cast(pa.timestamp(unit, "UTC")), ColumnMapping("m", "t")),
        (whole, ColumnMapping("m", "t", time_unit=unit)),
    ):
        for statistics in (True, False):
            path = tmp_path_factory.mktemp("range") / "1.parquet"
            table = pa.table({"t": column, "x": [1] * len(times)})
            (partition,) = adopted(put(path, table, write_statistics=statistics, row_group_size=3), mapping).partitions
            ranges.add((partition.time_min, partition.time_max))
    factor = NANOSECONDS[unit]
    held = [time * factor for time in times if time is not None and TIME_MIN <= time * factor <= TIME_MAX]
    assert ranges == {(min(held, default=0), max(held, default=0))}


def test_columns_of_other_kinds(tmp_path: Path) -> None:
    """A tag or field that is of another kind in some file is refused: its values would be mixed."""
    for first, second in (
        ([1, 2], pa.array([1, 2], pa.timestamp("ns", "UTC"))),
        (["a", "b"], pa.array([1, 2])),
        (pa.array([date(2024, 1, 1)] * 2), ["a", "b"]),
        (pa.array([1, 2], pa.decimal128(3, 1)), pa.array([1, 2], pa.decimal128(3, 2))),
    ):
        root = tables(replaced("x", first), replaced("x", second))(tmp_path)
        for mapping in (MAPPING, ColumnMapping("m", "t", (), (FieldMapping("x", "x", FieldType.STRING),))):
            with pytest.raises(ConfigError, match=r"column 'x' is .*(in other files|cannot be a field)"):
                adopted(root, mapping)


def test_odd_zones_names_and_patterns(tmp_path: Path) -> None:
    """Zones that cannot be verified, keys that are no text, and odd patterns are refused; a named file is taken."""
    odd = pa.array([1, 2], pa.timestamp("ns", "+05:30"))
    with pytest.raises(ConfigError, match=r"column 'y' has the time zone '\+05:30'"):
        adopted(put(tmp_path / "zone" / "1.parquet", TABLE.append_column("y", odd)))
    put(tmp_path / "keys" / "zone=%FF" / "1.parquet")
    with pytest.raises(ConfigError, match="can't decode byte"):
        adopted(tmp_path / "keys")
    with pytest.raises(ConfigError, match="Invalid pattern"):
        adopted(tmp_path / "a**b.parquet")
    assert adopted(put(tmp_path / "_x.parquet")).rows == 2


def test_a_file_without_times_beside_others(tmp_path: Path) -> None:
    """Its range is a time of the others, and not 1970; a time of change at the epoch is one."""
    put(tmp_path / "1.parquet", TABLE.slice(0, 0))
    put(tmp_path / "2.parquet")
    os.utime(tmp_path / "2.parquet", ns=(0, 0))
    first, second = adopted(tmp_path).partitions
    assert (first.time_min, first.time_max) == (10**9, 10**9)
    assert (second.time_min, second.modified) == (10**9, 1)


def test_names_of_files(tmp_path: Path) -> None:
    """Capitals and .pq are Parquet too; what is left out of a folder is named, and nothing of a hidden one."""
    for name in ("a.parquet", "B.PARQUET", "c.pq", "_d/x.csv"):
        put(tmp_path / "in" / name)
    (tmp_path / "in" / "e.csv").write_text("")
    os.mkfifo(tmp_path / "in" / "pipe")  # which holds nothing that could be left out
    events: list[Event] = []
    manifest = adopted(tmp_path / "in", observe=events.append)
    assert [partition.path for partition in manifest.partitions] == ["B.PARQUET", "a.parquet", "c.pq"]
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert notices == [f"{tmp_path}/in: left out, by their names: e.csv"]


@pytest.mark.parametrize("name", ["x.csv", "x.lp.gz", "x.arrow"])
def test_files_of_other_kinds(tmp_path: Path, name: str) -> None:
    """What is to be staged first is told so, alone and in its folder."""
    (tmp_path / name).write_text("t,x")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ConfigError) as caught:
            adopted(path)
        assert caught.value.hint.startswith(f"stage it first: loader stage --from {path} --out data/")
