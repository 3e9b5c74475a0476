"""Files below a folder are reached without following a link, and are regular files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.dataset.beneath import list_folder, look, open_file, opened_folder, remove_empty_folder, remove_file
from loader.errors import StageError
from tests.plants import KINDS, PRECIOUS, hard_link, plant, untouched

READ, WRITE = os.O_RDONLY, os.O_RDWR | os.O_CREAT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty folder."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_opened(root: Path, kind: Callable[[Path], None]) -> None:
    """Whatever else is there is refused at once, to read and to write, and the message says what it is."""
    plant(root / "file", kind)
    for attempt in (
        lambda: open_file(root, "file", READ),
        lambda: open_file(root, "file", WRITE),
        lambda: look(root, "file"),
    ):
        with pytest.raises(StageError, match=r"data/file: is a .*; only a regular file is taken here"):
            attempt()
    assert untouched(root / "file")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__ != "folder"])
def test_only_folders_are_gone_through(root: Path, kind: Callable[[Path], None]) -> None:
    """A link on the way to a file is refused, also where missing folders are made."""
    plant(root / "folder", kind)
    for attempt in (
        lambda: open_file(root, "folder/deep/file", WRITE, make=True),
        lambda: look(root, "folder/file"),
        lambda: list_folder(root, "folder"),
    ):
        with pytest.raises(StageError, match=r"data/folder: is a .*; only a folder is taken here"):
            attempt()
    assert untouched(root / "folder")


def test_a_link_that_appears_just_now_is_not_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look before opening is no more than a courtesy: opening itself follows nothing."""
    plant(root / "file", KINDS[0])
    monkeypatch.setattr("loader.dataset.beneath._require_file", lambda *_, **__: None)
    with pytest.raises(OSError, match=r"symbolic links: .*data/file"):
        open_file(root, "file", WRITE)
    assert untouched(root / "file")


def test_what_else_appears_just_now_is_refused_once_it_is_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO that takes a file's place after the look does not keep anybody waiting."""
    (root / "file").touch()
    stat = os.stat

    def look_and_replace(*arguments: object, **options: object) -> os.stat_result:
        found = stat(*arguments, **options)  # type: ignore[call-overload]
        (root / "file").unlink()
        os.mkfifo(root / "file")
        return found

    monkeypatch.setattr(os, "stat", look_and_replace)
    with pytest.raises(StageError, match="is a FIFO"):
        open_file(root, "file", READ)


def test_a_file_with_another_name_is_read_and_not_written(root: Path) -> None:
    """What is written to one name of a file would be in the other."""
    plant(root / "file", hard_link)
    with os.fdopen(open_file(root, "file", READ), "rb") as file:
        assert file.read() == PRECIOUS
    with pytest.raises(StageError, match="2 names"):
        open_file(root, "file", WRITE)
    with pytest.raises(StageError, match="2 names"):
        look(root, "file", alone=True)


def test_folders_are_made_where_that_is_asked_for(root: Path) -> None:
    """A missing folder is an error otherwise, which names the whole path."""
    with pytest.raises(FileNotFoundError) as caught:
        open_file(root, "a/b/file", WRITE)
    assert caught.value.filename == str(root / "a")
    os.close(open_file(root, "a/b/file", WRITE, make=True))
    assert list_folder(root, "a/b") == ["file"]
    with opened_folder(root, "a/b", make=True) as folder:
        assert os.fstat(folder).st_ino == (root / "a/b").stat().st_ino


def test_nothing_is_emptied_by_opening_it(root: Path) -> None:
    """A file that is opened to be written keeps what it holds."""
    (root / "file").write_text("content")
    os.close(open_file(root, "file", WRITE))
    assert (root / "file").read_text() == "content"


def test_what_is_not_there(root: Path) -> None:
    """No file is None, no folder holds nothing."""
    assert look(root, "a/file") is None
    assert list_folder(root, "a") == []


def test_what_the_system_refuses_is_named(root: Path) -> None:
    """A name that no file can have is an error with the path."""
    for attempt in (lambda: look(root, "n" * 300), lambda: list_folder(root, "n" * 300)):
        with pytest.raises(StageError, match=r"nnn: cannot be read: File name too long"):
            attempt()


def test_files_and_empty_folders_are_removed(root: Path) -> None:
    """A folder with something in it stays, and so does the root."""
    for name in ("a/one", "a/two", "three"):
        os.close(open_file(root, name, WRITE, make=True))
    for name in ("a/one", "three"):
        remove_file(root, name)
        remove_empty_folder(root, name)
    assert list_folder(root, "a") == ["two"]
    remove_file(root, "a/two")
    remove_empty_folder(root, "a/two")
    remove_empty_folder(root, "a/two")
    assert list_folder(root, "") == []


def test_a_device_is_none(root: Path) -> None:
    """A device would never end."""
    with pytest.raises(StageError, match="zero: is a device"):
        look(Path("/dev"), "zero")
