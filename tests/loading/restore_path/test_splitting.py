"""Parts of a large shard: which rows each of them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest
from loader.dataset.reader import group_starts
from loader.loading.restore_path import storage_files
from loader.loading.restore_path.shards import Shard, plan_shards
from loader.loading.restore_path.splitting import split_shard
from tests.datasets import DAY, small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Return a dataset of two partitions of 120 rows, in row groups of 40."""
    root = tmp_path_factory.mktemp("data")
    return root, small_dataset(root, days=2, rows=30)


def shard_of(dataset: tuple[Path, Manifest], chunks: Mapping[str, tuple[Chunk, ...]]) -> Shard:
    """Return the only shard, with these chunks."""
    (shard,) = plan_shards(*dataset, 7 * DAY)
    return replace(shard, chunks=chunks)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(most=st.integers(1, 9), cuts=st.sets(st.integers(0, 120), min_size=2, max_size=4))
def test_each_row_is_in_one_part(
    dataset: tuple[Path, Manifest], monkeypatch: pytest.MonkeyPatch, most: int, cuts: set[int]
) -> None:
    """Parts have the rows of the shard in their order, each once, and begin where a chunk or a row group does."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", 300)
    root, manifest = dataset
    path = manifest.partitions[0].path
    bounds = sorted(cuts)
    # Every second span between the cuts is a chunk of the first partition; of the second, all rows are in the shard.
    spans = tuple(Chunk(path, start, stop) for start, stop in zip(bounds[::2], bounds[1::2], strict=False))
    shard = shard_of(dataset, {path: spans})
    parts = split_shard(root, manifest, shard, most)
    wanted = [(part.path, row) for part in shard.partitions for row in _rows(shard, part.path)]
    assert [(part.path, row) for each in parts for part in each.partitions for row in _rows(each, part.path)] == wanted
    assert len(parts) <= most
    assert all((part.start, part.stop) == (shard.start, shard.stop) for part in parts)
    begins = {(chunk.partition, chunk.start) for chunk in spans}
    begins |= {(part.path, start) for part in manifest.partitions for start in group_starts(root, part)}
    assert {(chunk.partition, chunk.start) for part in parts for chunk in _chunks(part)} <= begins


def _rows(shard: Shard, path: str) -> list[int]:
    return [row for chunk in _chunks(shard) if chunk.partition == path for row in range(chunk.start, chunk.stop)]


def _chunks(shard: Shard) -> list[Chunk]:
    return [chunk for partition in shard.partitions for chunk in shard.chunks_of(partition)]


def test_rows_are_divided_evenly(dataset: tuple[Path, Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    """Six row groups are three parts of two each."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", 300)
    root, manifest = dataset
    parts = split_shard(root, manifest, shard_of(dataset, {}), 3)
    assert [sum(chunk.rows for chunk in _chunks(part)) for part in parts] == [80, 80, 80]


def test_a_small_shard_is_not_divided(dataset: tuple[Path, Manifest]) -> None:
    """One file is enough for it, and two would be more work for the server."""
    root, manifest = dataset
    shard = shard_of(dataset, {})
    assert split_shard(root, manifest, shard, 3) == (shard,)
