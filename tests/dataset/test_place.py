"""Where a dataset lies, and where the loader's own files of it do."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.place import EVERY_FILE, Place, find_place
from loader.errors import ConfigError, StageError

names = st.text("ab*?[]!-{}é ", min_size=1, max_size=8)


@settings(deadline=None)
@given(names, names)
def test_a_file_is_itself_whatever_its_name(tmp_path_factory: pytest.TempPathFactory, name: str, other: str) -> None:
    """Its pattern matches it and no other file, also where its name has wildcards; its state has its name."""
    root = tmp_path_factory.mktemp("place")
    (root / other).touch()
    (root / name).touch()
    place = find_place(root / name)
    assert [path.name for path in place.root.glob(place.pattern)] == [name]
    assert place.state == root / ".loader" / name


def test_a_folder_and_what_is_not_there(tmp_path: Path) -> None:
    """Both are folders that hold their own state, unless it is wanted elsewhere; nothing is made."""
    for path in (tmp_path, tmp_path / "none"):
        assert find_place(path) == Place(path, path, path, EVERY_FILE)
        assert find_place(path, Path("state")) == Place(path, path, Path("state"), EVERY_FILE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "root", "pattern"),
    [
        ("in/2024-*.parquet", "in", "2024-*.parquet"),
        ("in/x?/**/[ab].parquet", "in", "x?/**/[ab].parquet"),
        ("*.parquet", ".", "*.parquet"),
        ("/*/x.parquet", "/", "*/x.parquet"),
    ],
)
def test_a_pattern(path: str, root: str, pattern: str) -> None:
    """Its root is the folder before its first wildcard, in whose ``.loader`` it has a state of its own."""
    state = Path(root) / ".loader" / quote(pattern, safe="")
    assert find_place(Path(path)) == Place(Path(path), Path(root), state, pattern)


def test_names_with_wildcards_that_are_there(tmp_path: Path) -> None:
    """A folder of such a name is no pattern."""
    (tmp_path / "a[b]").mkdir()
    assert find_place(tmp_path / "a[b]").root == tmp_path / "a[b]"


def test_what_cannot_be_looked_at() -> None:
    """It is an error that shows the name."""
    with pytest.raises(ConfigError, match="x: File name too long") as caught:
        find_place(Path("x" * 300))
    assert "can be read" in caught.value.hint


@pytest.mark.parametrize("name", [".loader", ".loader/1.parquet"])
def test_links_in_place_of_the_state(tmp_path: Path, name: str) -> None:
    """Who made the file may have made them; with another folder for the state they do no harm."""
    path = tmp_path / "1.parquet"
    path.touch()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(tmp_path)
    with pytest.raises(StageError, match="is a link; only a folder is taken here"):
        find_place(path)
    assert find_place(path, tmp_path / "state").state == tmp_path / "state"
