"""Only files that this loader made, and that nobody has changed since, are ever removed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset import Manifest, Partition, read_manifest, trades_schema, write_manifest
from loader.dataset.manifest import NAME
from loader.errors import ConfigError, LoaderError, StageError
from loader.staging import StageSettings, stage
from loader.staging.mark import KEY, is_marked, write_marked
from tests.datasets import small_dataset
from tests.plants import KINDS, PRECIOUS, plant, precious, untouched

TRADES = "date=2024-01-02/trades.parquet"
SAMPLE = Path(__file__).parents[1] / "sample"


def settings(out: Path, **changes: object) -> StageSettings:
    """Return settings for two days."""
    small = StageSettings(out, trades=50, calendar="24/7", symbols=("A",), end=date(2024, 1, 2), workers=1)
    return StageSettings(**{**asdict(small), **changes})  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a staged dataset."""
    stage(settings(tmp_path / "data"))
    return tmp_path / "data"


def content(root: Path) -> dict[str, bytes]:
    """Return every file below ``root`` but for the loader's own."""
    paths = [path for path in root.rglob("*") if path.is_file() and ".loader" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_staged_files_are_marked(root: Path) -> None:
    """The mark is the SHA-256 of what stands before the footer."""
    assert is_marked(root, TRADES)
    whole = (root / TRADES).read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    assert pq.read_metadata(root / TRADES).metadata[KEY].decode() == hashlib.sha256(whole[: -8 - footer]).hexdigest()


def test_a_marked_file_is_the_same_each_time() -> None:
    """Same trades, same bytes; the checksum is that of the file, and the rows are as they were."""
    table = pa.table({"number": list(range(5_000)), "text": ["a", "b"] * 2_500})
    first, second = (write_marked(table, 1_000, compression="zstd") for _ in range(2))
    assert bytes(first[0]) == bytes(second[0])
    assert first[1] == hashlib.sha256(first[0]).hexdigest()
    assert pq.read_table(pa.BufferReader(bytes(first[0]))).equals(table)


def with_metadata(path: Path) -> None:
    """Write other trades with the mark of the file."""
    mark = pq.read_metadata(path).metadata[KEY]
    table = pq.read_table(path, partitioning=None).slice(1)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: mark})


def flipped(path: Path) -> None:
    """Change one bit of a page."""
    whole = bytearray(path.read_bytes())
    whole[20] ^= 1
    path.write_bytes(whole)


CHANGES: tuple[Callable[[Path], object], ...] = (
    with_metadata,
    flipped,
    lambda path: pl.read_parquet(path, hive_partitioning=False).write_parquet(path),
    lambda path: path.write_bytes(path.read_bytes()[:-9]),
    lambda path: path.write_bytes(b"PAR1"),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"PAR1" + b"\xff" * 8 + b"PAR1"),
    lambda path: path.write_text("not Parquet at all"),
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_somebody_changed_is_theirs(root: Path, change: Callable[[Path], object]) -> None:
    """A stage refuses to replace it, and touches nothing."""
    change(root / TRADES)
    before = content(root)
    assert not is_marked(root, TRADES)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"changed since: 'date=2024-01-02/trades\.parquet'") as caught:
            stage(settings(root, overwrite=overwrite))
        assert "overwrite" not in caught.value.hint
    assert content(root) == before


@pytest.mark.parametrize("name", ["date=2024-01-02/other.parquet", "copy/trades.parquet", "trades.parquet"])
def test_a_copy_elsewhere_is_theirs(root: Path, name: str) -> None:
    """A mark alone does not make a file a partition."""
    (root / name).parent.mkdir(exist_ok=True)
    shutil.copy(root / TRADES, root / name)
    before = content(root)
    with pytest.raises(ConfigError, match="did not stage"):
        stage(settings(root, overwrite=True))
    assert content(root) == before


@pytest.mark.parametrize("name", ["mine.parquet", TRADES, "my/trades.pq", "precious.txt"])
def test_a_manifest_about_files_of_others_removes_none(tmp_path: Path, name: str) -> None:
    """Whatever they are called; the manifest stays, too."""
    root = tmp_path / "data"
    manifest = small_dataset(root, days=1)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / manifest.partitions[0].path).rename(root / name)
    partition = Partition(**{**asdict(manifest.partitions[0]), "path": name})
    write_manifest(root, Manifest((trades_schema(),), {}, {}, (partition,), complete=True))
    before, said = content(root), (root / NAME).read_bytes()
    with pytest.raises(ConfigError, match="did not stage"):
        stage(settings(root, overwrite=True))
    assert (content(root), (root / NAME).read_bytes()) == (before, said)


def test_what_an_earlier_version_staged_is_not_removed(tmp_path: Path) -> None:
    """It bears no mark: it can be read, and the hint names another folder."""
    root = tmp_path / "data"
    shutil.copytree(SAMPLE, root)
    before = content(root)
    with pytest.raises(ConfigError, match="did not stage") as caught:
        stage(settings(root, overwrite=True))
    assert "earlier versions" in caught.value.hint
    assert content(root) == before
    assert read_manifest(root).complete


@pytest.mark.parametrize("path", ["../victim/precious.txt", "/victim/precious.txt", "link/precious.txt"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_manifest_that_leads_out_removes_nothing(root: Path, path: str, overwrite: bool) -> None:
    """A file elsewhere and its folder stay; with overwrite, only our own files and the manifest are replaced."""
    victim = root.parent / "victim"
    victim.mkdir()
    (victim / "precious.txt").write_bytes(PRECIOUS)
    (root / "link").symlink_to(victim)
    path = path.replace("/victim", f"{victim}") if path.startswith("/") else path
    text = (root / NAME).read_text().replace('"date=2024-01-01/trades.parquet"', f'"{path}"')
    (root / NAME).write_text(text)
    try:
        report = stage(settings(root, overwrite=overwrite))
    except StageError:
        assert not overwrite
    else:
        assert overwrite
        assert report.rows == 50
    assert (victim / "precious.txt").read_bytes() == PRECIOUS


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [TRADES, ".loader/manifest.json", f"{TRADES[:16]}.trades.parquet.loader-{7:016x}.tmp"])
def test_a_stage_replaces_no_links(root: Path, name: str, kind: Callable[[Path], None], overwrite: bool) -> None:
    """Nor other things in place of its files: it says what they are, and has removed nothing."""
    plant(root / name, kind)
    with pytest.raises(LoaderError, match="only a regular file") as caught:
        stage(settings(root, overwrite=overwrite))
    assert "overwrite" not in caught.value.hint
    assert untouched(root / name)
    assert (root / "date=2024-01-01/trades.parquet").exists()


@pytest.mark.parametrize("name", ["date=2024-01-02", ".loader"])
def test_a_stage_goes_through_no_links(tmp_path: Path, name: str) -> None:
    """A planted folder that is a link gets none of its files."""
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (root, elsewhere):
        folder.mkdir()
    (root / name).symlink_to(elsewhere)
    with pytest.raises(StageError, match=f"data/{name}: is a link"):
        stage(settings(root))
    assert list(elsewhere.iterdir()) == []


def test_a_disk_that_cannot_be_read_is_no_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a file is ours is not guessed."""

    def fail(*_: object, **__: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("loader.staging.mark.open_file", fail)
    with pytest.raises(StageError, match=r"trades\.parquet: cannot be read: Input/output error"):
        is_marked(root, TRADES)


def test_a_file_that_is_not_there_is_not_ours(root: Path) -> None:
    """Nor is one outside of the dataset looked at."""
    precious(root / "x").write_bytes(PRECIOUS)
    assert not is_marked(root, "date=2024-01-09/trades.parquet")
    assert not is_marked(root, "../precious")
