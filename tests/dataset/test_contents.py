"""What was read is what the manifest says: files are compared with its checksums, once, and again when they change."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.dataset import contents, open_dataset, read_manifest, write_manifest
from loader.dataset.contents import differing, identities
from loader.dataset.opened import FilesChanged, opened_dataset
from loader.dataset.state import STATE, writing
from loader.errors import ConfigError, StageError
from loader.events import Event, Notice, ignore
from loader.loading import ExportSettings, LoadSettings, export, load
from loader.servers.base import Target
from tests.datasets import small_dataset
from tests.plants import KINDS, plant

NAME = "date=2024-01-03/trades.parquet"
INDEX = f"{STATE}/checksums.json"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a sound dataset of three partitions whose changes would show in the times of files."""
    small_dataset(tmp_path / "data")
    monkeypatch.setattr(contents, "_SETTLED", 20_000_000)
    time.sleep(0.05)
    return tmp_path / "data"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the path of each file is added that is read for its checksum."""
    paths: list[str] = []
    checksum = contents._checksum

    def note(root: Path, path: str, halt: threading.Event) -> tuple[contents.Identity, str]:
        paths.append(path)
        return checksum(root, path, halt)

    monkeypatch.setattr(contents, "_checksum", note)
    return paths


def replace(path: Path) -> None:
    """Put another file of equal size there, which differs in one byte."""
    content = path.read_bytes()
    new = path.with_name("new")
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    new.write_bytes(changed)
    new.replace(path)


def change_in_place(path: Path) -> None:
    """Change one byte of the file, and make its time what it was."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [replace, change_in_place])
@pytest.mark.parametrize("known", [False, True])
def test_another_file_of_equal_size_is_refused(root: Path, change: Callable[[Path], None], known: bool) -> None:
    """Whether the one that was there before is known or not."""
    if known:
        open_dataset(root)
    change(root / NAME)
    with pytest.raises(StageError) as caught:
        open_dataset(root)
    assert caught.value.message == f"{root / NAME}: its content is not what the manifest says (SHA-256)"


def test_files_are_read_once(root: Path, read: list[str]) -> None:
    """A second look costs nothing; a copy of the dataset is read once again; a file that was touched is, too."""
    for _ in range(2):
        assert open_dataset(root).rows == 600
    assert len(read) == 3
    copy = root.parent / "copy"
    shutil.copytree(root, copy)
    time.sleep(0.05)
    for _ in range(2):
        open_dataset(copy)
    assert len(read) == 6
    (root / NAME).touch()
    time.sleep(0.05)
    for _ in range(2):
        open_dataset(root)
    assert read[6:] == [NAME]


def test_a_file_that_changed_only_just_is_not_taken_for_known(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change again within the same tick of the clock."""
    monkeypatch.setattr(contents, "_SETTLED", 60_000_000_000)
    for _ in range(2):
        open_dataset(root)
    assert len(read) == 6


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"x": 3}', '{"date=2024-01-03/trades.parquet": [1, 2]}', "[" * 99_999, "null"]
)
def test_a_damaged_memory_is_none(root: Path, read: list[str], content: str) -> None:
    """Files are read then, and remembered anew."""
    (root / INDEX).write_text(content)
    for _ in range(2):
        open_dataset(root)
    assert len(read) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_can_be_remembered_files_are_read_each_time(
    root: Path, read: list[str], kind: Callable[[Path], None]
) -> None:
    """Whatever is in the way of the memory, it is no loss."""
    plant(root / INDEX, kind)
    if kind.__name__ != "folder":  # which a file cannot replace
        (root / INDEX).unlink()
        (root / INDEX).mkdir()
    for _ in range(2):
        open_dataset(root)
    assert len(read) == 6


def test_where_nothing_can_be_written_a_dataset_is_read(tmp_path: Path) -> None:
    """Read-only media have their lock, too, and get nothing written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_dataset(folder / "data")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = sorted(folder.rglob("*"))
        user = os.geteuid()
        try:
            if user == 0:  # the superuser may write anywhere
                os.seteuid(65534)
            with opened_dataset(folder / "data") as manifest:
                os.seteuid(user)
                with pytest.raises(ConfigError, match="is being loaded"), writing(folder / "data"):
                    pass
        finally:
            os.seteuid(user)
            for path in folder.rglob("*"):
                path.chmod(0o755)
        assert manifest.rows == 600
        assert sorted(folder.rglob("*")) == before


def test_a_memory_that_lies_about_content_is_not_believed(root: Path) -> None:
    """It is asked for the checksum of the manifest, and of no other."""
    open_dataset(root)
    manifest = read_manifest(root)
    partitions = tuple(dataclasses.replace(part, checksum="0" * 64) for part in manifest.partitions)
    write_manifest(root, dataclasses.replace(manifest, partitions=partitions))
    with pytest.raises(StageError, match=r"2024-01-02/.*\(SHA-256\), and that of 2 more files"):
        open_dataset(root)


def test_only_partitions_are_remembered(root: Path) -> None:
    """What is no longer of the dataset is forgotten."""
    (root / INDEX).write_text(json.dumps({"gone": [1, 2, 3, 4, "0" * 64]}))
    open_dataset(root)
    assert json.loads((root / INDEX).read_text()).keys() == {part.path for part in read_manifest(root).partitions}


def test_much_to_read_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits should know for what."""
    monkeypatch.setattr(contents, "_MENTIONED", 1)
    events: list[Event] = []
    open_dataset(root, events.append)
    assert [event for event in events if isinstance(event, Notice)]


def test_reading_ends_when_it_is_to_stop(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, in the middle of a file."""
    stop = threading.Event()
    stop.set()
    fdopen = os.fdopen

    def endless(descriptor: int, mode: str, **options: int) -> object:
        return Endless(descriptor, mode) if options else fdopen(descriptor, mode)

    monkeypatch.setattr(os, "fdopen", endless)
    began = time.monotonic()
    assert open_dataset(root, stop=stop).complete
    report = load(LoadSettings(root, Target("http://127.0.0.1:1", "b"), dry_run=True), stop=stop)
    assert (report.interrupted, report.rows_done) == (True, 0)
    assert time.monotonic() - began < 10


def test_reading_takes_its_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nobody wants it to stop."""
    monkeypatch.setattr(contents, "_POLL_SECONDS", 0.01)
    checksum = contents._checksum

    def dawdle(root: Path, path: str, halt: threading.Event) -> tuple[contents.Identity, str]:
        time.sleep(0.1)
        return checksum(root, path, halt)

    monkeypatch.setattr(contents, "_checksum", dawdle)
    assert open_dataset(root, stop=threading.Event()).rows == 600


class Endless(io.FileIO):
    """A file without end."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``."""
        return len(buffer)


def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    """Also when it vanishes after the look."""
    partition = read_manifest(root).partitions[1]
    (root / NAME).unlink()
    with pytest.raises(StageError, match=r"date=2024-01-03/trades\.parquet: cannot be read: No such file"):
        differing(root, [partition], ignore)
    assert identities(root, [partition]) == {NAME: None}


@pytest.mark.parametrize("change", [replace, change_in_place, Path.touch, Path.unlink])
@pytest.mark.parametrize("fails", [False, True])
def test_a_file_that_changes_meanwhile_is_named(root: Path, change: Callable[[Path], None], fails: bool) -> None:
    """At the end, also of work that failed, perhaps for that."""
    with pytest.raises(FilesChanged, match=r"date=2024-01-03/trades\.parquet: changed while") as caught:  # noqa: PT012, SIM117
        with opened_dataset(root) as manifest:
            change(root / NAME)
            if fails:
                raise ValueError
    assert caught.value.paths == (NAME,)
    assert caught.value.fingerprint == manifest.fingerprint


def test_a_folder_that_becomes_a_link_meanwhile_is_named(root: Path) -> None:
    """What is behind it is not looked at."""
    with pytest.raises(FilesChanged, match="and 2 more: changed while"), opened_dataset(root):  # noqa: PT012
        (root / NAME).parent.rename(root / "elsewhere")
        (root / NAME).parent.symlink_to("elsewhere")


def copy_over(path: Path) -> None:
    """Put a copy with the same time there."""
    shutil.copy2(path, path.with_name("new"))
    path.with_name("new").replace(path)


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o600), copy_over])
def test_a_change_that_is_none_of_the_content_is_no_error(root: Path, change: Callable[[Path], None]) -> None:
    """A backup, or a file system that numbers files anew, costs another look at the content, and no load."""
    with opened_dataset(root):
        change(root / NAME)


def test_a_dataset_that_stays_is_read_without_a_word(root: Path) -> None:
    """Errors of the work get through."""
    with pytest.raises(ValueError, match="mine"), opened_dataset(root):
        raise ValueError("mine")
    with opened_dataset(root) as manifest:
        assert manifest.rows == 600


@pytest.mark.parametrize("name", ["load", "export", "verify"])
def test_what_is_being_staged_is_not_read(root: Path, name: str) -> None:
    """Each command is refused while a stage is at work, before it speaks to a server."""
    from loader.verification import VerifySettings, verify

    target = Target("http://127.0.0.1:1", "b")
    work: dict[str, Callable[[], object]] = {
        "load": lambda: load(LoadSettings(root, target)),
        "export": lambda: export(ExportSettings(root, root.parent / "out")),
        "verify": lambda: verify(VerifySettings(root, target)),
    }
    with writing(root), pytest.raises(ConfigError, match="data: is being staged"):
        work[name]()
    assert not (root.parent / "out").exists()


def test_an_export_of_files_that_change_is_no_success(root: Path) -> None:
    """Files are exported, and the error says that they may hold something else."""

    def observe(event: Event) -> None:
        if (root / NAME).exists():
            (root / NAME).touch()

    with pytest.raises(FilesChanged):
        export(ExportSettings(root, root.parent / "out"), observe)


def test_a_dry_run_of_files_that_change_is_no_success(root: Path) -> None:
    """And makes no ledger."""
    with pytest.raises(FilesChanged):
        load(LoadSettings(root, Target("http://127.0.0.1:1", "b"), dry_run=True), lambda _: (root / NAME).touch())
    assert not (root / STATE / "ledger.sqlite").exists()
