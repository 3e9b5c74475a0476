"""Keys of paths are tags, for loading and for verification."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.adopt import adopt
from loader.dataset.chunk import Chunk
from loader.dataset.hive import NULL, path_keys
from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import find_place
from loader.dataset.reader import read_batches
from loader.verification.reading import read_rows

TABLE = pa.table({"t": pa.array([1, 2], pa.timestamp("s", "UTC")), "x": [1, 2]})
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)


def tags_of(root: Path, mapping: ColumnMapping) -> tuple[list[list[str]], list[list[str]]]:
    """Return the tags of all rows below ``root`` as loading and as verification have them."""
    place = find_place(root)
    manifest = adopt(place, mapping)
    assert manifest
    loaded: list[list[str]] = []
    verified: list[list[str]] = []
    for partition in manifest.partitions:
        for batch in read_batches(root, manifest.schema, Chunk(partition.path, 0, partition.rows), 9):
            loaded += [[row[tag] or "" for tag in mapping.tags] for row in batch.to_pylist()]
        for rows in read_rows(root, manifest.schema, partition):
            verified += [list(row[1 : 1 + len(mapping.tags)]) for row in rows.points.rows()]
    return loaded, verified


@settings(deadline=None, max_examples=50)
@given(st.lists(texts, min_size=1, max_size=3, unique=True), st.data())
def test_what_is_quoted_is_read(tmp_path_factory: pytest.TempPathFactory, keys: list[str], data: st.DataObject) -> None:
    """Keys and values that Hive's way to quote them wrote into a path are the tags of its rows, and null is none."""
    values = [data.draw(st.none() | texts.filter(lambda text: text != NULL)) for _ in keys]
    folders = [
        f"k{quote(key, safe='')}={NULL if value is None else quote(value, safe='')}"
        for key, value in zip(keys, values, strict=True)
    ]
    path = "/".join([*folders, "1.parquet"])
    tags = tuple(f"k{key}" for key in keys)
    assert path_keys(path) == dict(zip(tags, values, strict=True))
    root = tmp_path_factory.mktemp("hive")
    (root / path).parent.mkdir(parents=True)
    pq.write_table(TABLE, root / path)
    expected = [[value or "" for value in values]] * 2
    assert tags_of(root, ColumnMapping("m", "t", tags)) == (expected, expected)


def test_what_is_no_key() -> None:
    """Names of files, folders without a key, and plain folders are none; the last of one key counts."""
    assert path_keys("plain/=2/a=1/a=/b=c=d/e+f=g+h/x=y.parquet") == {"a": "", "b": "c=d", "e+f": "g+h"}


def test_a_key_in_some_paths_and_a_column_of_other_files(tmp_path: Path) -> None:
    """Rows have the tag from wherever it is, and none where it is nowhere."""
    (tmp_path / "zone=a").mkdir()
    pq.write_table(TABLE, tmp_path / "zone=a" / "1.parquet")
    pq.write_table(TABLE.append_column("zone", pa.array(["b", None])), tmp_path / "2.parquet")
    pq.write_table(TABLE, tmp_path / "3.parquet")
    expected = [["b"], [""], [""], [""], ["a"], ["a"]]
    assert tags_of(tmp_path, ColumnMapping("m", "t", ("zone",))) == (expected, expected)
