"""A file is there whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.dataset.atomic import TEMPORARY_SUFFIX, whole_file, write_whole


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
