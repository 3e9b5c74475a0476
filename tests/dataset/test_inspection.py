"""What is said of somebody's Parquet, and the guess which column is what."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from loader.dataset import inspection
from loader.dataset.inspection import Inspection, inspect, points_text, write_points_file
from loader.dataset.mapping import ColumnMapping, read_mapping
from loader.errors import ConfigError
from loader.reporting.inspection_text import inspection_text
from tests.dataset.test_mapping import mappings

ROWS = 40
NOW = 1_704_067_200
UTC = pa.timestamp("s", "UTC")


def put(path: Path, table: dict[str, Any], **options: Any) -> Path:
    """Write a file of Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path, **options)
    return path


def times(kind: pa.DataType = UTC, step: int = 1) -> pa.Array:
    """Return a time for each row."""
    return pa.array([NOW + step * row for row in range(ROWS)], kind)


COLUMNS: dict[str, Any] = {
    "VendorID": [1, 2] * 20,
    "pickup": times(pa.timestamp("s")).cast(pa.timestamp("ms")),
    "host": pa.array(["a", None] * 20).dictionary_encode(),
    "comment": [f"text {row}" for row in range(ROWS)],
    "trip_id": list(range(ROWS)),
    "fare": [0.5] * ROWS,
    "nothing": pa.nulls(ROWS),
    "parts": [[1]] * ROWS,
    "a=b": [1] * ROWS,
    "__index_level_0__": list(range(ROWS)),
}


def roles(found: Inspection) -> dict[str, str]:
    """Return the role of each column."""
    return {column.name: column.role for column in found.columns}


def test_the_columns_of_a_file(tmp_path: Path) -> None:
    """Each has its type, nulls, number of values, and a part with a reason; nothing is written."""
    path = put(tmp_path / "yellow-trips.2024.parquet", COLUMNS, row_group_size=16)
    found = inspect(path)
    assert (found.files, found.rows, found.row_groups, found.largest_group) == (1, ROWS, 3, 16)
    assert (found.size, found.sample_rows, found.order) == (path.stat().st_size, ROWS, "time")
    assert (found.first, found.last) == (NOW * 10**9, (NOW + ROWS - 1) * 10**9)
    assert roles(found) == {
        "VendorID": "tag",
        "pickup": "time",
        "host": "tag",
        "comment": "field string",
        "trip_id": "field integer",
        "fare": "field float",
        "nothing": "left out",
        "parts": "left out",
        "a=b": "left out",
        "__index_level_0__": "left out",
    }
    assert [(column.type, column.nulls, column.distinct) for column in found.columns[:3]] == [
        ("int64", 0, 2),
        ("timestamp[ms]", 0, ROWS),
        ("string (dictionary)", 20, 2),
    ]
    assert found.mapping is not None
    assert (found.mapping.measurement, found.mapping.tags) == ("yellow_trips", ("VendorID", "host"))
    assert found.mapping.policy.timezone == "UTC"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_keys_of_paths(tmp_path: Path) -> None:
    """Those that all paths have are tags, but for a calendar's."""
    for zone, day in (("a", 1), ("__HIVE_DEFAULT_PARTITION__", 2)):
        table = {"t": times(), "x": [1] * ROWS}
        put(tmp_path / "in" / f"zone={zone}" / f"day={day}" / "x=3" / f"part={day}" / "1.parquet", table)
    put(tmp_path / "in" / "zone=c" / "day=3" / "x=3" / "2.parquet", {"t": times(), "x": [1] * ROWS})
    found = inspect(tmp_path / "in")
    assert roles(found) == {"zone": "tag", "day": "left out", "t": "time", "x": "field integer"}
    assert (found.columns[0].nulls, found.columns[0].distinct) == (1, 3)


@pytest.mark.parametrize(
    ("columns", "time", "unit"),
    [
        ({"time": times(pa.int64()), "x": [1] * ROWS}, "time", "s"),
        ({"x_ts": pa.array([None, *(NOW * 10**6,) * (ROWS - 1)]), "x": [1] * ROWS}, "x_ts", "us"),
        ({"time": [7] * ROWS, "day": [date(2024, 1, 1)] * ROWS, "x": [1.5] * ROWS}, "day", ""),
        ({"time": [7] * ROWS, "count": times(pa.int64()), "x": [1.5] * ROWS}, None, ""),
    ],
)
def test_the_guess_of_the_time(tmp_path: Path, columns: dict[str, Any], time: str | None, unit: str) -> None:
    """Timestamps come first, then integers that are called like times and are of this century, then dates."""
    found = inspect(put(tmp_path / "x.parquet", columns))
    assert (found.mapping and found.mapping.time) == time
    assert (found.mapping.time_unit if found.mapping else "") == unit
    assert (found.first is None) == (time is None)


@pytest.mark.parametrize(
    ("hosts", "moments", "order"),
    [
        ("aabb", [1, 2, 1, 2], "series"),
        ("aabb", [2, 1, 1, 2], "none"),
        ("abab", [2, 2, 1, 1], "none"),
        ("abab", [1, 1, 2, 2], "time"),
    ],
)
def test_the_order_of_rows(tmp_path: Path, hosts: str, moments: list[int], order: str) -> None:
    """Series by series with ascending times, in time order, or neither."""
    table = {"host": [host for host in hosts for _ in range(10)], "t": pa.array([0] * 40, UTC), "x": [1] * 40}
    table["t"] = pa.array([NOW + 100 * moments[row // 10] + row % 10 for row in range(40)], UTC)
    if hosts == "abab":
        table["t"] = pa.array([NOW + moments[row // 10] for row in range(40)], UTC)
    assert inspect(put(tmp_path / "x.parquet", table)).order == order


def test_the_order_without_tags(tmp_path: Path) -> None:
    """Rows of one series are in time order or in none."""
    table = {"t": pa.array([NOW + 1, NOW], UTC), "x": [1, 2]}
    assert inspect(put(tmp_path / "x.parquet", table)).order == "none"


def test_a_sample_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rows and by bytes; what statistics do not tell is unknown."""
    path = put(tmp_path / "x.parquet", {"t": times(), "x": [1] * ROWS}, write_statistics=False)
    monkeypatch.setattr(inspection, "_BATCH_ROWS", 8)
    monkeypatch.setattr(inspection, "SAMPLE_ROWS", 16)
    found = inspect(path)
    assert (found.sample_rows, found.rows, found.columns[1].nulls) == (16, ROWS, None)
    assert "unknown" in inspection_text(found)
    monkeypatch.setattr(inspection, "SAMPLE_BYTES", 1)
    assert inspect(path).sample_rows == 8


def test_files_without_rows(tmp_path: Path) -> None:
    """The sample is of the first file that has some; where none has, that is an error."""
    none = pa.table({"t": pa.array([], UTC), "x": pa.array([], pa.int64())})
    pq.write_table(none, tmp_path / "1.parquet")
    with pytest.raises(ConfigError, match="its files have no rows"):
        inspect(tmp_path)
    put(tmp_path / "2.parquet", {"t": times(), "x": [1] * ROWS})
    put(tmp_path / "3.parquet", {"x": [1] * ROWS})
    assert (inspect(tmp_path).rows, inspect(tmp_path).sample_rows) == (2 * ROWS, ROWS)
    with pytest.raises(ConfigError, match="no Parquet here"):
        inspect(tmp_path / "none")


@settings(max_examples=200, deadline=None)
@given(mappings)
def test_a_mapping_survives_its_file(tmp_path_factory: pytest.TempPathFactory, mapping: ColumnMapping) -> None:
    """Whatever characters names have, the file says the same."""
    path = tmp_path_factory.mktemp("points") / "points.toml"
    path.write_text(points_text(mapping), newline="")
    assert read_mapping(path) == mapping


def test_the_file_of_the_guess(tmp_path: Path) -> None:
    """It has the reasons, is read back, and takes no file's place."""
    found = inspect(put(tmp_path / "trips.parquet", COLUMNS))
    path = tmp_path / "points.toml"
    write_points_file(found, path)
    assert read_mapping(path) == found.mapping
    assert '# "host": tag, since it has few values (2 in 40 rows)' in path.read_text()
    with pytest.raises(ConfigError, match="is there already"):
        write_points_file(found, path)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_points_file(found, Path("/proc/none/points.toml"))
    nothing = inspect(put(tmp_path / "x.parquet", {"x": [1]}))
    with pytest.raises(ConfigError, match="there is no guess"):
        write_points_file(nothing, tmp_path / "other.toml")


def test_what_is_said(tmp_path: Path) -> None:
    """The text ends with the command that loads it, or says why there is none."""
    text = inspection_text(inspect(put(tmp_path / "trips.parquet", COLUMNS)))
    assert "40 rows in 1 file" in text
    command = (
        f"  loader load {tmp_path}/trips.parquet --measurement trips --time pickup --tag VendorID,host --timezone UTC"
    )
    assert text.endswith(command)
    plain = inspection_text(inspect(put(tmp_path / "a b.parquet", {"time": times(pa.int64()), "x": [1.5] * ROWS})))
    assert plain.endswith(f"loader load '{tmp_path}/a b.parquet' --measurement a_b --time time --time-unit s")
    assert "nothing can be loaded as it is" in inspection_text(inspect(put(tmp_path / "x.parquet", {"x": [1]})))
