"""Which rows of a shard are written ahead of its files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.adopt import adopt
from loader.dataset.manifest import Manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import find_place
from loader.events import ignore
from loader.loading.identities import look_at_identities
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path import leading_rows as module
from loader.loading.restore_path.leading_rows import leading_rows
from loader.loading.restore_path.shards import plan_shards
from tests.datasets import DAY, JANUARY_2, small_dataset

WEEK = 7 * DAY


def adopted(path: Path, columns: dict[str, list[object]], times: list[int], *tags: str) -> Manifest:
    """Write a file and return its manifest."""
    table = pa.table({**columns, "time": pa.array([JANUARY_2 + time for time in times], pa.timestamp("ns", "UTC"))})
    pq.write_table(table, path / "a.parquet")
    manifest = adopt(find_place(path, None), ColumnMapping("m", "time", tags), ignore)
    assert manifest
    return manifest


def lines(path: Path, manifest: Manifest, known: KnownRows | None = None, *, oldest: bool = False) -> list[list[str]]:
    """Return the leading lines of each shard, without times."""
    return [
        [
            row.line.decode().rpartition(" ")[0]
            for row in leading_rows(path, manifest, shard, known or KnownRows(), oldest=oldest)
        ]
        for shard in plan_shards(path, manifest, WEEK)
    ]


def test_one_row_that_has_every_field(tmp_path: Path) -> None:
    """Of staged trades it is the first one of each shard."""
    manifest = small_dataset(tmp_path, days=8, rows=3)
    assert lines(tmp_path, manifest) == [["trades,symbol=AAPL,side=buy price=100.0,amount=100i"]] * 2


def test_rows_that_together_have_every_field(tmp_path: Path) -> None:
    """Each is the first that has a field that those before lack; a field that only another shard has is none."""
    columns: dict[str, list[object]] = {
        "a": [1.0, None, None, 4.0, None],
        "b": [None, 2, 3, None, None],
        "c": ["x", None, None, None, None],
        "d": [None, None, None, None, True],
    }
    manifest = adopted(tmp_path, columns, [0, 1, 2, 3, WEEK])
    assert lines(tmp_path, manifest) == [['m a=1.0,c="x"', "m b=2i"], ["m d=true"]]


def test_the_oldest_row(tmp_path: Path) -> None:
    """It is among them, once, wherever it lies."""
    manifest = adopted(tmp_path, {"a": [1.0, 2.0, 3.0]}, [5, 1, 3])
    assert lines(tmp_path, manifest, oldest=True) == [["m a=2.0", "m a=1.0"]]
    manifest = adopted(tmp_path, {"a": [1.0, 2.0]}, [1, 5])
    assert lines(tmp_path, manifest, oldest=True) == [["m a=1.0"]]


def test_rows_that_are_no_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are rejected, and values that a later row replaces, do not lead, however small batches are."""
    monkeypatch.setattr(module, "GROUP_ROWS", 1)
    columns: dict[str, list[object]] = {"a": [float("nan"), 2.0, 3.0, 4.0], "s": ["x", "x#!~#", "y", "y"]}
    manifest = adopted(tmp_path, columns, [0, 1, 2, 2], "s")
    known = look_at_identities(tmp_path, manifest, ignore, None)
    assert lines(tmp_path, manifest, known) == [["m,s=y a=4.0"]]
    manifest = adopted(tmp_path, {"a": [float("nan")]}, [0])
    assert lines(tmp_path, manifest) == [[]]


def test_several_measurements_and_partitions(tmp_path: Path) -> None:
    """Once all fields of a measurement were seen, its other partitions are not read, unless the oldest is wanted."""
    manifest = small_dataset(tmp_path, days=3, rows=3)
    for partition in manifest.partitions[1:]:
        (tmp_path / partition.path).unlink()
    assert len(lines(tmp_path, manifest)[0]) == 1
