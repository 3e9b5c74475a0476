"""What a diagnosis finds of a dataset, without a server."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import write_manifest
from loader.dataset.partition import Moves
from loader.dataset.state import writing
from loader.diagnosis import Diagnosis, DiagnosisSettings, Finding, Level, diagnose
from loader.diagnosis.dataset import temporary_bytes
from loader.loading.ledger import Ledger
from loader.loading.row_set import RowSet
from loader.servers.base import Target
from tests.datasets import small_dataset

TARGET = Target("http://127.0.0.1:1", "trades")


def look(dataset: Path | None, state: Path | None = None) -> Diagnosis:
    """Return the diagnosis of a dataset, where no server is."""
    return diagnose(DiagnosisSettings(TARGET, dataset, state))


def of(diagnosis: Diagnosis, subject: str) -> Finding:
    """Return the last finding of ``subject``."""
    return [finding for finding in diagnosis.findings if finding.subject == subject][-1]


def test_a_dataset_that_is_fit(tmp_path: Path) -> None:
    """All of it is ok, nothing is written, and a missing server does not keep it from being looked at."""
    manifest = small_dataset(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = look(tmp_path)
    assert of(found, "server").level is Level.PROBLEM
    assert found.problems == 1
    assert of(found, "dataset").text == f"{manifest.rows} rows in 3 partitions, staged"
    assert of(found, "last load").text == "none yet"
    assert sorted(tmp_path.rglob("*")) == before


def test_no_dataset_compares_the_disk_with_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a dataset, the room is that for the trades that are staged by default."""
    assert of(look(None), "disk").subject == "disk"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    finding = of(look(None), "disk")
    assert finding.level is Level.WARNING
    assert "300,000,000 trades" in finding.effect
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 40))
    assert of(look(None), "disk").level is Level.OK


@pytest.mark.parametrize(("free", "level"), [(1 << 20, Level.PROBLEM), (100 << 20, Level.WARNING), (1 << 34, Level.OK)])
def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    """There must be room for manifest, ledger and rejected rows."""
    small_dataset(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert of(look(tmp_path), "disk").level is level


def test_a_stage_that_did_not_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that goes on is named, and the disk must have room for the rest."""
    manifest = replace(small_dataset(tmp_path), complete=False, settings={"trades": 10_000_000})
    write_manifest(tmp_path, manifest)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 26))
    found = look(tmp_path)
    assert of(found, "dataset").level is Level.PROBLEM
    assert f"loader stage --out {tmp_path}" in of(found, "dataset").hint
    assert of(found, "disk").level is Level.PROBLEM
    assert "9,999,400 trades are still to be staged" in of(found, "disk").text
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 27))
    assert of(look(tmp_path), "disk").level is Level.OK
    write_manifest(tmp_path, replace(manifest, settings={"source": "files"}))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 26))
    assert of(look(tmp_path), "disk").level is Level.WARNING


def test_files_that_are_gone_or_other(tmp_path: Path) -> None:
    """They are counted, and the first is named."""
    first, second, _ = small_dataset(tmp_path).partitions
    (tmp_path / first.path).unlink()
    (tmp_path / second.path).write_bytes(b"short")
    finding = of(look(tmp_path), "dataset")
    assert finding.level is Level.PROBLEM
    assert finding.text.startswith("2 files missing, or of another size than before: date=2024-01-02")


def test_a_stage_that_runs(tmp_path: Path) -> None:
    """The dataset cannot be loaded now."""
    small_dataset(tmp_path)
    with writing(tmp_path):
        finding = of(look(tmp_path), "dataset")
    assert finding.level is Level.PROBLEM
    assert "is being staged" in finding.text


def test_a_folder_that_cannot_be_written() -> None:
    """Where no state can be kept, the option that names another folder is told."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        manifest = small_dataset(root)
        assert of(look(root), "state").level is Level.OK  # also imports what another user may not read
        user = os.geteuid()
        root.chmod(0o755)
        (root / ".loader").chmod(0o555)
        try:
            if user == 0:  # the superuser may write anywhere
                os.seteuid(65534)
            found = look(root)
        finally:
            os.seteuid(user)
            (root / ".loader").chmod(0o755)
    assert of(found, "state").level is Level.PROBLEM
    assert "--state" in of(found, "state").hint
    assert of(found, "dataset").text.startswith(f"{manifest.rows} rows")


def test_parquet_that_was_not_loaded_yet(tmp_path: Path) -> None:
    """It is ok, and the command that shows it is named; where nothing is, that is a problem."""
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    for path in (tmp_path, tmp_path / "a.parquet"):
        finding = of(look(path), "dataset")
        assert (finding.level, finding.hint) == (Level.OK, f"loader inspect {path}")
    (tmp_path / "a.parquet").unlink()
    assert of(look(tmp_path), "dataset").text == f"{tmp_path}: no Parquet is there"
    finding = of(look(tmp_path / "missing" / "deep"), "dataset")
    assert (finding.level, finding.text) == (Level.PROBLEM, f"{tmp_path / 'missing' / 'deep'}: no such file or folder")


def test_state_that_is_damaged(tmp_path: Path) -> None:
    """A manifest that cannot be read, and a ledger, are problems in words."""
    small_dataset(tmp_path)
    (tmp_path / ".loader" / "ledger.sqlite").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 16)
    assert "ledger" in of(look(tmp_path), "dataset").text
    (tmp_path / ".loader" / "manifest.json").write_text("{")
    found = look(tmp_path)
    assert "damaged manifest" in of(found, "dataset").text
    assert not [finding for finding in found.findings if finding.subject == "state"]


def test_the_last_load(tmp_path: Path) -> None:
    """It is unfinished, finished, or of an earlier dataset; where it went is told without secrets."""
    manifest = small_dataset(tmp_path)
    with Ledger.opened(tmp_path, TARGET, "id", manifest.fingerprint, restart=False) as ledger:
        ledger.acknowledge(RowSet(Chunk(manifest.partitions[0].path, 0, 100)), 0)
        unfinished = of(look(tmp_path), "last load")
        ledger.finish()
    assert unfinished.level is Level.WARNING
    assert unfinished.effect == f"{manifest.rows - 100} rows are not loaded"
    finished = of(look(tmp_path), "last load")
    assert (finished.level, finished.text) == (Level.OK, "100 rows into 'trades' at http://127.0.0.1:1")
    shutil.rmtree(tmp_path / "date=2024-01-02")
    write_manifest(tmp_path, replace(manifest, partitions=manifest.partitions[1:]))
    earlier = of(look(tmp_path), "last load")
    assert (earlier.level, earlier.text) == (Level.WARNING, f"{finished.text}, of an earlier dataset")


def test_bytes_for_the_search_of_identities(tmp_path: Path) -> None:
    """A bit for each row and field, forty bytes of a row where rows are moved; nothing for distinct rows."""
    manifest = replace(small_dataset(tmp_path), distinct=False)
    assert temporary_bytes(None) == 0
    assert temporary_bytes(replace(manifest, distinct=True)) == 0
    assert temporary_bytes(manifest) == manifest.rows * 3 // 8
    moved = replace(manifest, moves=Moves(1, 1, ""))
    assert temporary_bytes(moved) == manifest.rows * 3 // 8 + manifest.rows * 40
