"""The guess as a file: it says what was guessed, why, and is read back as it was."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.guess import Column
from loader.dataset.inspection import inspect
from loader.dataset.mapping import ColumnMapping, read_mapping
from loader.dataset.points_file import points_text, write_points_file
from loader.errors import ConfigError
from tests.dataset.test_mapping import mappings

texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=200, deadline=None)
@given(mappings, st.data())
def test_a_mapping_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, mapping: ColumnMapping, data: st.DataObject
) -> None:
    """Whatever characters names and reasons have, the file says the same."""
    names = texts | st.sampled_from([mapping.time, *mapping.tags, *(field.column for field in mapping.fields)])
    roles = st.sampled_from(["tag", "left out"])
    columns = data.draw(st.lists(st.builds(Column, names, texts, st.none(), st.none(), roles, texts)))
    path = tmp_path_factory.mktemp("points") / "points.toml"
    path.write_bytes(points_text(mapping, columns).encode())
    assert read_mapping(path) == mapping


def table() -> pa.Table:
    """Return rows with one column for each part."""
    stamps = pa.array([1_704_067_200 + row for row in range(20)], pa.timestamp("s"))
    return pa.table({"when": stamps, "host": ["a", "b"] * 10, "v": [0.5] * 20, "a\nb": [[1]] * 20})


def test_the_file_of_a_guess(tmp_path: Path) -> None:
    """Beside each name stands the reason; what is left out is a comment."""
    pq.write_table(table(), tmp_path / "trips.parquet")
    found = inspect(tmp_path / "trips.parquet")
    write_points_file(found, tmp_path / "points.toml")
    assert read_mapping(tmp_path / "points.toml") == found.mapping
    assert (tmp_path / "points.toml").read_text() == (
        'measurement = "trips"  # the name of the file or folder\n'
        'time = "when"  # it is the first column of timestamps; it has no zone: is it UTC?\n'
        'timezone = "UTC"  # an assumption, to be checked: there are timestamps without a zone\n'
        "tags = [\n"
        '  "host",  # it has few values (2 in 20 rows; few is a tenth or less)\n'
        "]\n"
        "fields = [\n"
        '  "v",  # it is what is measured\n'
        "]\n"
        "# left out: a\\nb: it is nested: take it apart first\n"
    )


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """Not a file, not a link to nowhere; what cannot be written is said, and leaves nothing."""
    pq.write_table(table(), tmp_path / "trips.parquet")
    found = inspect(tmp_path / "trips.parquet")
    (tmp_path / "points.toml").write_text("mine")
    (tmp_path / "link.toml").symlink_to("nowhere")
    for name in ("points.toml", "link.toml"):
        with pytest.raises(ConfigError, match="is there already"):
            write_points_file(found, tmp_path / name)
    for path in (Path("/proc/none/points.toml"), tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match="cannot be written"):
            write_points_file(found, path)
    assert (tmp_path / "points.toml").read_text() == "mine"
    assert {entry.name for entry in tmp_path.iterdir()} == {"trips.parquet", "points.toml", "link.toml"}


def test_without_a_guess_there_is_no_file(tmp_path: Path) -> None:
    """An error says so."""
    pq.write_table(pa.table({"v": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match="there is no guess"):
        write_points_file(inspect(tmp_path / "x.parquet"), tmp_path / "points.toml")
    assert not (tmp_path / "points.toml").exists()
