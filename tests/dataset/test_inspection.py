"""What is said of somebody's Parquet: of footers, and of a bounded sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset import inspection
from loader.dataset.inspection import Inspection, inspect
from loader.errors import ConfigError, StageError
from tests.datasets import small_dataset

ROWS = 40
NOW = 1_704_067_200
UTC = pa.timestamp("s", "UTC")


def put(path: Path, table: dict[str, Any] | pa.Table, **options: Any) -> Path:
    """Write a file of Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def times(kind: pa.DataType = UTC, rows: int = ROWS) -> pa.Array:
    """Return a time for each row."""
    return pa.array([NOW + row for row in range(rows)], kind)


SIMPLE = {"t": times(), "x": [1] * ROWS}
COLUMNS: dict[str, Any] = {
    "VendorID": [1, 2] * 20,
    "pickup": times(pa.timestamp("s")).cast(pa.timestamp("ms")),
    "host": pa.array(["a", None] * 20).dictionary_encode(),
    "fare": [0.5] * ROWS,
    "nothing": pa.nulls(ROWS),
    "parts": [[1]] * ROWS,
}


def roles(found: Inspection) -> dict[str, str]:
    """Return the role of each column."""
    return {column.name: column.role for column in found.columns}


def test_the_columns_of_a_file(tmp_path: Path) -> None:
    """Each has its type, nulls, number of values, and a part; nothing is written."""
    path = put(tmp_path / "yellow-trips.2024.parquet", COLUMNS, row_group_size=16, compression="zstd")
    found = inspect(path)
    assert (found.files, found.rows, found.row_groups, found.largest_group) == (1, ROWS, 3, 16)
    assert (found.size, found.sample_rows, found.order) == (path.stat().st_size, ROWS, "time")
    assert (found.compressions, found.sample_file, found.problem) == (("zstd",), path.name, "")
    assert (found.first, found.last) == (NOW * 10**9, (NOW + ROWS - 1) * 10**9)
    assert [(column.name, column.type, column.nulls, column.distinct, column.role) for column in found.columns] == [
        ("VendorID", "int64", 0, 2, "tag"),
        ("pickup", "timestamp[ms]", 0, ROWS, "time"),
        ("host", "string (dictionary)", 20, 2, "tag"),
        ("fare", "double", 0, 1, "field float"),
        ("nothing", "null", ROWS, None, "left out"),
        ("parts", "list<element: int64>", None, None, "left out"),
    ]
    assert found.mapping is not None
    assert (found.mapping.measurement, found.mapping.tags) == ("yellow_trips", ("VendorID", "host"))
    assert found.mapping.policy.timezone == "UTC"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_files_that_differ(tmp_path: Path) -> None:
    """Columns are those of all files; the nulls of a column that a file lacks are all its rows."""
    put(tmp_path / "in" / "1.parquet", SIMPLE, compression="none")
    put(tmp_path / "in" / "2.parquet", {"t": times(), "x": [1.5] * ROWS, "host": ["a", None] * 20})
    put(tmp_path / "in" / "3.parquet", {"t": times(), "x": pa.nulls(ROWS)})
    found = inspect(tmp_path / "in")
    assert [(column.name, column.type, column.nulls, column.distinct) for column in found.columns] == [
        ("t", "timestamp[ms, tz=UTC]", 0, ROWS),
        ("x", "double", ROWS, 1),
        ("host", "string", ROWS + 20 + ROWS, None),
    ]
    assert roles(found)["host"] == "field string"
    assert (found.files, found.rows, found.compressions) == (3, 3 * ROWS, ("snappy", "uncompressed"))
    assert found.problem == ""


def test_names_that_are_there_twice(tmp_path: Path) -> None:
    """Neither their nulls nor their values are told, in one file or in one of several."""
    twice = pa.Table.from_arrays([times(), pa.array([1] * ROWS), pa.array([2] * ROWS)], ["t", "x", "x"])
    one = inspect(put(tmp_path / "one.parquet", twice))
    assert [(column.name, column.nulls, column.role) for column in one.columns] == [
        ("t", 0, "time"),
        *[("x", None, "left out")] * 2,
    ]
    assert one.problem == "no column can be a field"
    put(tmp_path / "in" / "1.parquet", SIMPLE)
    put(tmp_path / "in" / "2.parquet", twice)
    assert roles(inspect(tmp_path / "in")) == {"t": "time", "x": "left out"}


def test_columns_with_dots_are_not_parts_of_others(tmp_path: Path) -> None:
    """A footer calls both by one name, and then it is not known whose nulls it tells."""
    found = inspect(put(tmp_path / "x.parquet", {**SIMPLE, "a.b": [1, None] * 20, "c.d": [1, None] * 20}))
    assert [column.nulls for column in found.columns] == [0, 0, 20, 20]
    both = {**SIMPLE, "a.b": [1, None] * 20, "a": [{"b": 1}] * ROWS}
    assert [column.nulls for column in inspect(put(tmp_path / "x.parquet", both)).columns] == [0, 0, None, None]


def test_keys_of_paths(tmp_path: Path) -> None:
    """They are columns, too; one that is also a column is what a load refuses, and is said."""
    for zone, day in (("a", 1), ("__HIVE_DEFAULT_PARTITION__", 2)):
        put(tmp_path / "in" / f"zone={zone}" / f"day={day}" / "1.parquet", SIMPLE)
    found = inspect(tmp_path / "in")
    assert roles(found) == {"zone": "tag", "day": "left out", "t": "time", "x": "field integer"}
    assert (found.columns[0].nulls, found.columns[0].type, found.problem) == (ROWS, "path", "")
    put(tmp_path / "clash" / "x=3" / "1.parquet", SIMPLE)
    assert "is a column of the files and a key of their paths" in inspect(tmp_path / "clash").problem


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"x": [1.5] * ROWS}, "no column can be the time of points"),
        ({"t": times()}, "no column can be a field"),
        ({"t": pa.array([NOW * 1_000] * ROWS), "x": [1.5] * ROWS}, "no column can be the time of points"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, columns: dict[str, Any], problem: str) -> None:
    """Without a time or a field there is no guess, and no order or range."""
    found = inspect(put(tmp_path / "x.parquet", columns))
    assert (found.mapping, found.problem, found.order, found.first, found.last) == (None, problem, "none", None, None)


def test_files_of_which_one_cannot_be_loaded(tmp_path: Path) -> None:
    """The guess is that of the sample; what speaks against it is said as a load says it."""
    put(tmp_path / "1.parquet", SIMPLE)
    put(tmp_path / "2.parquet", {"t": times(), "x": ["a"] * ROWS})
    (tmp_path / "3.csv").write_text("t,x\n")
    found = inspect(tmp_path)
    assert found.left_out == ("3.csv",)
    assert found.mapping is not None
    assert "2.parquet: column 'x' is string; it cannot be a field of type integer" in found.problem


def test_a_staged_dataset(tmp_path: Path) -> None:
    """It can be looked at, but it knows its columns."""
    small_dataset(tmp_path / "data")
    before = sorted(tmp_path.rglob("*"))
    found = inspect(tmp_path / "data")
    assert found.problem.startswith("a staged dataset knows its columns")
    assert found.first is not None
    assert sorted(tmp_path.rglob("*")) == before


def test_times_that_a_file_lacks(tmp_path: Path) -> None:
    """They are no times of 1970; without statistics they are read, whatever their unit."""
    put(tmp_path / "1.parquet", SIMPLE, write_statistics=False)
    put(tmp_path / "2.parquet", {"t": pa.nulls(ROWS, UTC), "x": [1] * ROWS})
    found = inspect(tmp_path)
    assert (found.first, found.last) == (NOW * 10**9, (NOW + ROWS - 1) * 10**9)
    assert [column.nulls for column in found.columns] == [None, None]


@pytest.mark.parametrize(
    ("hosts", "moments", "order"),
    [
        ("aabb", [1, 2, 1, 2], "series"),
        ("aabb", [1, 2, None, 1], "series"),
        ("--bb", [1, 2, 1, 2], "series"),
        ("aabb", [2, 1, 1, 2], "none"),
        ("abab", [3, 1, 3, 1], "none"),
        ("abab", [1, 1, 2, 2], "time"),
        ("aabb", [1, None, 2, 3], "time"),
        ("aaaa", [2, 1, 1, 2], "none"),
    ],
)
@pytest.mark.parametrize("dictionary", [False, True])
def test_the_order_of_rows(
    tmp_path: Path, hosts: str, moments: list[int | None], order: str, *, dictionary: bool
) -> None:
    """Series by series with ascending times, in time order, or neither; rows without a time do not count."""
    texts = pa.array([None if host == "-" else host for host in hosts for _ in range(10)])
    stamps = [moment and NOW + 100 * moment for moment in moments for _ in range(10)]
    table = {"host": texts.dictionary_encode() if dictionary else texts, "t": pa.array(stamps, UTC), "x": [1] * ROWS}
    found = inspect(put(tmp_path / "x.parquet", table, row_group_size=15))
    assert found.mapping is not None
    assert (found.mapping.tags, found.order) == (("host",), order)


def test_the_order_of_days_and_of_keys(tmp_path: Path) -> None:
    """Dates have an order, too; the key of a path is the same for all rows."""
    days = pa.array([2, 1], pa.date32())
    assert inspect(put(tmp_path / "zone=a" / "x.parquet", {"day": days, "x": [1.5, 2]})).order == "none"
    assert inspect(tmp_path / "zone=*" / "*.parquet").order == "none"
    assert inspect(put(tmp_path / "y.parquet", {"day": days.cast(pa.date64()), "x": [1.5, 2]})).order == "none"


def test_a_sample_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rows and by bytes, in batches of few bytes, of the first file that has rows."""
    put(tmp_path / "1.parquet", {"t": times(rows=0), "x": pa.array([], pa.int64())})
    put(tmp_path / "2.parquet", SIMPLE)
    put(tmp_path / "3.parquet", SIMPLE)
    monkeypatch.setattr(inspection, "_BATCH_ROWS", 9)
    monkeypatch.setattr(inspection, "SAMPLE_ROWS", 16)
    found = inspect(tmp_path)
    assert (found.sample_file, found.sample_rows, found.rows) == ("2.parquet", 16, 2 * ROWS)
    monkeypatch.setattr(inspection, "SAMPLE_BYTES", 1)
    assert inspect(tmp_path).sample_rows == 9
    monkeypatch.setattr(inspection, "_BATCH_BYTES", 1)
    assert inspect(tmp_path).sample_rows == 1


@pytest.mark.parametrize(
    ("path", "measurement"),
    [("in/1.parquet", "1"), ("in", "in"), ("in/*.parquet", "in"), ("in/../in/", "in"), (".", "in")],
)
def test_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, measurement: str) -> None:
    """It is called like the file, or like the folder that is named, or before a wildcard."""
    put(tmp_path / "in" / "1.parquet", SIMPLE)
    monkeypatch.chdir(tmp_path / "in" if path == "." else tmp_path)
    found = inspect(Path(path))
    assert found.mapping is not None
    assert found.mapping.measurement == measurement


def test_places_without_parquet(tmp_path: Path) -> None:
    """Nothing there, nothing in it, nothing that matches, no rows: each is said."""
    put(tmp_path / "none.parquet", {"t": times(rows=0), "x": pa.array([], pa.int64())})
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "missing", "no such file or folder"),
        (tmp_path / "empty", "no Parquet here"),
        (tmp_path / "*.csv", "no file matches this pattern"),
        (tmp_path / "none.parquet", "its files have no rows"),
    ):
        with pytest.raises(ConfigError, match=words):
            inspect(path)


def test_files_that_are_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short, written over, not Parquet, linked, or gone: each is named, with what to do."""
    path = put(tmp_path / "x.parquet", {"t": times(), "x": list(range(ROWS))}, compression="none")
    content = path.read_bytes()
    for damaged in (b"", b"PAR1", b"a,b\n1,2\n" * 9, content[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"x\.parquet: cannot be read as Parquet"):
            inspect(path)
    path.write_bytes(content[:4] + b"\xff" * 200 + content[204:])
    with pytest.raises(StageError, match=r"x\.parquet: cannot be read as Parquet"):
        inspect(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(StageError, match="is a link"):
        inspect(tmp_path)
    monkeypatch.setattr(inspection, "find_files", lambda *_: ["gone.parquet"])
    with pytest.raises(StageError, match=r"gone\.parquet: is gone"):
        inspect(tmp_path)
