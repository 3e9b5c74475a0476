"""Staged datasets are recognised, and nothing else is taken for one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loader.dataset.manifest import read_manifest, write_manifest
from loader.dataset.staged import inspect_staged
from loader.errors import StageError
from tests.datasets import small_dataset


def test_a_dataset_and_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its manifest says is told, also from within; a file that it does not list is none of it."""
    manifest = small_dataset(tmp_path / "data")
    found = inspect_staged(tmp_path / "data")
    assert found is not None
    assert (found.rows, found.partitions, found.complete, found.source) == (
        manifest.rows,
        len(manifest.partitions),
        True,
        "trades",
    )
    (trades,) = found.measurements
    assert (trades.name, trades.tags, trades.time) == ("trades", ("symbol", "side"), "timestamp")
    assert (trades.first, trades.last) == (
        min(partition.time_min for partition in manifest.partitions),
        max(partition.time_max for partition in manifest.partitions),
    )
    part = manifest.partitions[0].path
    assert inspect_staged(tmp_path / "data" / part) == replace(
        found, path=str(tmp_path / "data" / part), dataset=str(tmp_path / "data")
    )
    monkeypatch.chdir((tmp_path / "data" / part).parent)
    inside = inspect_staged(Path(part).relative_to(Path(part).parent))
    assert inside is not None
    assert inside.dataset == ".."
    (tmp_path / "data" / "other.parquet").write_bytes(b"")
    assert inspect_staged(tmp_path / "data" / "other.parquet") is None
    assert inspect_staged(tmp_path / "none") is None


def test_what_is_adopted_or_damaged(tmp_path: Path) -> None:
    """Parquet of others is not staged; a damaged manifest is an error where it is named, and no matter elsewhere."""
    manifest = small_dataset(tmp_path / "data")
    part = tmp_path / "data" / manifest.partitions[0].path
    write_manifest(tmp_path / "data", replace(manifest, settings={"source": "adopted", "mapping": {}}))
    assert inspect_staged(tmp_path / "data") is None
    assert inspect_staged(part) is None
    assert read_manifest(tmp_path / "data").rows == manifest.rows
    (tmp_path / "data" / ".loader" / "manifest.json").write_text("{")
    with pytest.raises(StageError, match="damaged manifest"):
        inspect_staged(tmp_path / "data")
    assert inspect_staged(part) is None
