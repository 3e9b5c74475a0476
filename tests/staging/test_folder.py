"""What staging does to a folder that is not empty, or on a disk that is too small."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

from loader.dataset.beneath import remove_file
from loader.dataset.manifest import read_manifest
from loader.errors import ConfigError
from loader.staging import StageSettings, folder, stage
from loader.staging.folder import check_space, keep_partitions

PLANNED = frozenset({"date=2024-01-02/trades.parquet"})


def put(root, path: str) -> None:
    """Make a file that a user might have."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(b"PAR1 mine PAR1")


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_parquet_is_refused_and_never_removed(tmp_path, overwrite):
    """Parquet under another name would become part of the dataset: staging is refused, overwrite or not."""
    put(tmp_path, "mine.parquet")
    put(tmp_path, "date=2024-01-01/other.parquet")
    with pytest.raises(ConfigError, match=r"did not stage, .*: 'date=2024-01-01/other.parquet' and 1 more"):
        keep_partitions(tmp_path, {}, PLANNED, overwrite=overwrite)
    assert (tmp_path / "mine.parquet").read_bytes() == b"PAR1 mine PAR1"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_partition_of_unknown_origin_is_never_replaced(tmp_path, overwrite):
    """A file with a partition's name that this loader did not make stays, whatever the user says."""
    put(tmp_path, "date=2024-01-02/trades.parquet")
    with pytest.raises(ConfigError, match=r"did not stage, .*date=2024-01-02/trades.parquet") as caught:
        keep_partitions(tmp_path, {}, PLANNED, overwrite=overwrite)
    assert "another folder" in caught.value.hint
    assert (tmp_path / "date=2024-01-02/trades.parquet").read_bytes() == b"PAR1 mine PAR1"


def test_parquet_added_to_a_staged_dataset_is_refused(tmp_path):
    """A rerun notices a file that slipped into the dataset."""
    settings = StageSettings(tmp_path, trades=10, calendar="24/7", symbols=("A",), end=date(2024, 1, 2), workers=1)
    stage(settings)
    put(tmp_path, "date=2024-01-05/trades.parquet")
    with pytest.raises(ConfigError, match="did not stage"):
        stage(settings)


def test_many_differences_in_symbols_are_shortened(tmp_path):
    """With many other symbols a few are named."""
    first = StageSettings(
        tmp_path, trades=10, calendar="24/7", symbols=tuple("ABCDEFGH"), end=date(2024, 1, 2), workers=1
    )
    stage(first)
    with pytest.raises(ConfigError, match=r"symbols: staged 8, asked 80, differing in A, AAL, .* and more"):
        stage(StageSettings(tmp_path, trades=10, calendar="24/7", end=date(2024, 1, 2), workers=1))


def test_files_that_are_gone_do_not_stop_overwrite(tmp_path):
    """Overwrite works on a dataset that has lost a partition, or a whole folder."""
    settings = StageSettings(tmp_path, trades=50, calendar="24/7", end=date(2024, 1, 3), workers=1, overwrite=True)
    stage(settings)
    (tmp_path / "date=2024-01-01/trades.parquet").unlink()
    (tmp_path / "date=2024-01-02/trades.parquet").unlink()
    (tmp_path / "date=2024-01-02").rmdir()
    assert stage(settings).rows == 50


def test_space_is_checked_first(tmp_path):
    """More trades than the disk can hold are refused, with what they need and what is free."""
    check_space(tmp_path, 1_000, 1)
    with pytest.raises(ConfigError, match=r"1,000,000,000,000,000 trades need about 9,000,000,000 MB, .* MB are free"):
        check_space(tmp_path, 10**15, 1)


def disk_with(monkeypatch, free: int) -> None:
    """Let disks have ``free`` bytes of room."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


def test_an_overwrite_that_does_not_fit_leaves_the_old_dataset(tmp_path, monkeypatch):
    """Nothing is removed before there is room for what replaces it."""
    settings = StageSettings(tmp_path, trades=2_000, calendar="24/7", end=date(2024, 1, 2), workers=1)
    stage(settings)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size}
    disk_with(monkeypatch, 6_000_000)
    with pytest.raises(
        ConfigError, match=r"need about 9,0\d\d kB, 6,\d\d\d kB are free, the old dataset's room included"
    ):
        stage(replace(settings, trades=1_000_000, overwrite=True))
    assert {path: path.read_bytes() for path in before} == before


def test_the_room_of_the_old_dataset_counts_as_free(tmp_path, monkeypatch):
    """What will go makes room for what replaces it; a file that stays under another name makes none."""
    settings = StageSettings(tmp_path / "x", trades=20_000, calendar="24/7", end=date(2024, 1, 1), workers=1)
    stage(settings)
    disk_with(monkeypatch, 20_000)
    assert stage(replace(settings, trades=1_000, overwrite=True)).rows == 1_000
    name = "date=2024-01-01/trades.parquet"
    os.link(settings.out / name, tmp_path / "kept")
    disk_with(monkeypatch, 0)
    with pytest.raises(ConfigError, match="need about 16 kB, 0 kB are free"):
        check_space(settings.out, 10, 1, [name, "gone.parquet"])


def test_an_overwrite_that_is_cut_short_claims_no_files(tmp_path, monkeypatch):
    """A kill amid the removal leaves a manifest that lists nothing, and the same command goes on."""
    settings = StageSettings(tmp_path, trades=100, calendar="24/7", end=date(2024, 1, 3), workers=1)
    stage(settings)

    def removes_one(root, name) -> None:
        remove_file(root, name)
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(folder, "remove_file", removes_one)
        with pytest.raises(KeyboardInterrupt):
            stage(replace(settings, seed=7, overwrite=True))
    manifest = read_manifest(tmp_path)
    assert (manifest.complete, manifest.partitions, manifest.settings["seed"]) == (False, (), 7)
    assert stage(replace(settings, seed=7, overwrite=True)).rows == 100
    assert read_manifest(tmp_path).complete
