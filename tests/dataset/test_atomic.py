"""A file is there whole, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from loader.dataset.atomic import TEMPORARY_SUFFIX, temporary_of, whole_file, write_whole
from loader.errors import StageError
from tests.plants import dangling, fifo, link, plant, untouched


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """A file appears with its content in folders that were not there."""
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, b"content")
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """An error while writing leaves the old file and no temporary one."""
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail() -> None:
        with whole_file(path) as temporary:
            temporary.write_bytes(b"ne")
            assert temporary.name.endswith(TEMPORARY_SUFFIX)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_the_status_is_that_of_the_file(tmp_path: Path) -> None:
    """What is returned tells the file from any other."""
    path = tmp_path / "file"
    written = write_whole(path, b"content")
    assert (written.st_ino, written.st_size) == (path.stat().st_ino, 7)
    assert written.st_ctime_ns == path.stat().st_ctime_ns


@pytest.mark.parametrize("name", ["open", "write", "fsync", "rename"])
def test_an_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever the system refuses, it is of the file that was to be written, and no temporary name without a folder."""
    works = getattr(os, name)

    def fails(*arguments: Any, **named: Any) -> Any:
        if name == "open" and not str(arguments[0]).endswith(TEMPORARY_SUFFIX):
            return works(*arguments, **named)
        raise OSError(errno.EROFS, "Read-only file system", arguments[0] if name == "open" else None)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fails)
        with pytest.raises(OSError, match="Read-only") as caught:
            write_whole(tmp_path / "file", b"content")
    assert caught.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_temporary_files_are_known_by_their_names(tmp_path: Path) -> None:
    """Only a name that this loader makes is one of its own."""
    with whole_file(tmp_path / "file") as temporary:
        assert temporary_of(temporary.name) == "file"
    assert [temporary_of(name) for name in (".file.tmp", ".file.1.tmp", "file", ".file.loader-1.tmp")] == [""] * 4


def test_no_link_is_followed_below_the_root(tmp_path: Path) -> None:
    """A folder that is a link keeps a file from being written, and a file that is one is replaced, not followed."""
    root = tmp_path / "data"
    root.mkdir()
    plant(root / "folder", link)
    with pytest.raises(StageError, match="is a link"):
        write_whole(root / "folder" / "file", b"content", root)
    plant(root / "file", link)
    write_whole(root / "file", b"content", root)
    assert (root / "file").read_bytes() == b"content"
    assert not (root / "file").is_symlink()
    assert untouched(root / "file")


def test_a_write_that_comes_back_early_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take a part of what it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    write_whole(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_nobody_foresees_a_temporary_name(tmp_path: Path) -> None:
    """So nothing is planted there; what is there all the same is not opened."""
    path = tmp_path / "file"
    with whole_file(path) as first, whole_file(path) as second:
        assert first != second
    assert path.exists()


def test_a_temporary_file_that_is_there_already_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even through a link to nowhere."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    root = tmp_path / "data"
    for kind in (link, dangling, fifo):
        plant(root / ".file.loader-0000000000000000.tmp", kind)
        with pytest.raises(FileExistsError):
            write_whole(root / "file", b"content", root)
        assert untouched(root / "file")
