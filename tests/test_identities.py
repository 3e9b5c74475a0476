"""Two rows of one identity are found before a restore, in whatever order and partition they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset import reader
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, StageError
from loader.loading import identities
from loader.loading.identities import require_distinct

SCHEMA = PointSchema("m", ("tag",), (Field("v", FieldType.INTEGER),), "t")
Row = tuple[str | None, int]


def dataset(root: Path, *parts: Sequence[Row]) -> Manifest:
    """Write each of ``parts`` as a partition, its name its number; return their manifest."""
    partitions = []
    for number, rows in enumerate(parts):
        frame = pl.DataFrame(
            {"tag": [tag for tag, _ in rows], "v": [0] * len(rows), "t": [time for _, time in rows]},
            schema={"tag": pl.String, "v": pl.Int64, "t": pl.Int64},
        )
        path = root / f"{number}.parquet"
        frame.write_parquet(path, row_group_size=3)
        times = [time for _, time in rows] or [0]
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        partitions.append(Partition(path.name, len(rows), min(times), max(times), size, checksum))
    return Manifest(SCHEMA, {}, {}, tuple(partitions), complete=True)


@pytest.fixture(params=[(1_000_000, 8_000_000), (1, 8_000_000), (1, 2)])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at all rows at a time, at a row group, or sort in slices of about two rows."""
    joined, most = request.param
    monkeypatch.setattr(reader, "JOINED_ROWS", joined)
    monkeypatch.setattr(identities, "MOST_ROWS", most)


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize(
    "parts",
    [
        [],
        [[]],
        [[("a", 1)]],
        # in series order, over several row groups
        [[("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3), ("c", 1)], [("a", 4), ("b", 4)]],
        # in time order
        [[("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3), ("a", 4)]],
        # a series' times descend
        [[("a", 3), ("a", 2), ("a", 1)]],
        # partitions that overlap
        [[("a", 1), ("a", 5)], [("a", 2), ("b", 5)], [], [("a", 9)]],
        # many series at one moment, not in their order
        [[("a", 7), ("b", 7), ("c", 7)], [("d", 7), ("e", 7), ("", 7)]],
        # null and empty are one series
        [[(None, 1), ("", 2), (None, 3)]],
    ],
)
def test_distinct_rows(tmp_path: Path, parts: list[list[Row]]) -> None:
    """Rows with distinct identities pass, in every order."""
    require_distinct(tmp_path, dataset(tmp_path, *parts))


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize(
    ("parts", "one", "other", "series"),
    [
        ([[("a", 1), ("a", 1)]], "0.parquet, row 0", "0.parquet, row 1", "m,tag=a"),
        ([[("a", 1), ("b", 1), ("b", 2), ("c", 1), ("b", 1)]], "0.parquet, row 1", "0.parquet, row 4", "m,tag=b"),
        # a series that comes back two row groups later
        (
            [[("a", 1), ("b", 1), ("b", 2), ("b", 3), ("c", 1), ("c", 2), ("a", 1)]],
            "0.parquet, row 0",
            "0.parquet, row 6",
            "m,tag=a",
        ),
        ([[("a", 1), ("a", 2), ("a", 3), ("a", 4), ("a", 1)]], "0.parquet, row 0", "0.parquet, row 4", "m,tag=a"),
        ([[("a", 1), ("b", 3)], [("b", 3), ("c", 4)]], "0.parquet, row 1", "1.parquet, row 0", "m,tag=b"),
        ([[("a", 1), ("a", 9)], [("b", 2)], [("b", 2)]], "1.parquet, row 0", "2.parquet, row 0", "m,tag=b"),
        ([[("a", 1), (None, 3), ("", 3)]], "0.parquet, row 1", "0.parquet, row 2", "m"),
        ([[("a", 7), ("b", 7), ("c", 7), ("b", 7)]], "0.parquet, row 1", "0.parquet, row 3", "m,tag=b"),
    ],
)
def test_two_rows_of_one_identity(tmp_path: Path, parts: list[list[Row]], one: str, other: str, series: str) -> None:
    """Both rows, their series and their time are named."""
    with pytest.raises(ConfigError) as caught:
        require_distinct(tmp_path, dataset(tmp_path, *parts))
    assert caught.value.message.startswith(f"{one} and {other}: the same series {series} and time 1970-01-01T00:00:00")
    assert "--via write" in caught.value.hint


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(-9, 9)), max_size=8), max_size=4))
def test_any_rows(tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]]) -> None:
    """Rows are refused when two are the same, and only then."""
    root = tmp_path_factory.mktemp("rows")
    rows = [row for part in parts for row in part]
    manifest = dataset(root, *parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identities, "MOST_ROWS", 3)
        if len(rows) == len(set(rows)):
            require_distinct(root, manifest)
        else:
            with pytest.raises(ConfigError, match="the same series"):
                require_distinct(root, manifest)


def test_a_dataset_that_is_distinct_is_not_read(tmp_path: Path) -> None:
    """What staging has made sure of is not looked at again: not even files that are gone are missed."""
    manifest = dataset(tmp_path, [("a", 1), ("a", 1)])
    (tmp_path / "0.parquet").unlink()
    require_distinct(tmp_path, replace(manifest, distinct=True))
    with pytest.raises(StageError):
        require_distinct(tmp_path, manifest)
