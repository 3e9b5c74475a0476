"""The loader's own files: bounded, and locked so that stages and readers keep apart."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.dataset import state
from loader.dataset.state import (
    STATE,
    append_text,
    clear_text,
    has_state,
    list_leftovers,
    read_json,
    reading,
    sole,
    state_path,
    write_json,
    writing,
)
from loader.errors import ConfigError, StageError
from tests.plants import KINDS, hard_link, plant, untouched


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with a place for the loader's files."""
    (tmp_path / "data" / STATE).mkdir(parents=True)
    return tmp_path / "data"


def test_json_survives(root: Path) -> None:
    """What was written is read."""
    assert not has_state(root, "metrics/file.json")
    write_json(root, "metrics/file.json", {"a": [1, None]})
    assert has_state(root, "metrics/file.json")
    assert read_json(root, "metrics/file.json") == {"a": [1, None]}
    with pytest.raises(FileNotFoundError):
        read_json(root, "other.json")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": NaN}', "[-Infinity]", "1" * 5_000])
def test_what_is_no_json_is_a_value_error(root: Path, text: str) -> None:
    """Also what Python's reader would take, or fall over."""
    state_path(root, "file.json").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        read_json(root, "file.json")


def test_a_file_is_read_up_to_a_bound(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A larger one is refused, and never written: not even a file without end is held."""
    monkeypatch.setattr(state, "MOST_BYTES", 1 << 20)
    write_json(root, "file.json", "x" * ((1 << 20) - 3))
    assert len(read_json(root, "file.json")) == (1 << 20) - 3
    os.truncate(state_path(root, "file.json"), 1 << 40)
    with pytest.raises(StageError, match=r"file\.json: is larger than 1 MiB"):
        read_json(root, "file.json")
    with pytest.raises(StageError, match="would be larger"):
        write_json(root, "file.json", "x" * (1 << 20))


def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    """The system's own words are in the message."""
    with pytest.raises(StageError, match="cannot be read: File name too long"):
        read_json(root, "n" * 300)


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_opened_with_care(root: Path, kind: Callable[[Path], None]) -> None:
    """Whatever is in place of a file of ours is refused, and nothing outside of the dataset is made or changed."""
    plant(state_path(root, "file"), kind)
    with pytest.raises(StageError, match="regular file"):
        read_json(root, "file")
    with pytest.raises(StageError, match="regular file"):
        append_text(root, "file", "text")
    with pytest.raises(StageError, match="regular file"), sole(root, "file"):
        pass
    assert untouched(state_path(root, "file"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__ != "folder"])
def test_the_folder_itself_is_no_link(root: Path, kind: Callable[[Path], None]) -> None:
    """Nor anything else but a folder."""
    (root / STATE).rmdir()
    plant(root / STATE, kind)
    for attempt in (
        lambda: has_state(root, "file"),
        lambda: read_json(root, "file"),
        lambda: write_json(root, "file", {}),
        lambda: append_text(root, "file", "text"),
        lambda: writing(root).__enter__(),
        lambda: reading(root).__enter__(),
        lambda: sole(root, "file").__enter__(),
        lambda: list_leftovers(root),
    ):
        with pytest.raises(StageError, match=r"\.loader: is a .*; only a folder"):
            attempt()
    assert untouched(root / STATE)


def test_lines_are_appended(root: Path) -> None:
    """To a file of its own, made with its folder."""
    append_text(root, "rejected/file", "one\n")
    append_text(root, "rejected/file", "two ü\n")
    assert state_path(root, "rejected/file").read_text(encoding="utf-8") == "one\ntwo ü\n"
    plant(state_path(root, "rejected/other"), hard_link)
    with pytest.raises(StageError, match="2 names"):
        append_text(root, "rejected/other", "three\n")
    assert untouched(state_path(root, "rejected/other"))
    clear_text(root, "rejected/file")
    assert state_path(root, "rejected/file").read_text() == ""
    clear_text(root, "rejected/none")
    assert not state_path(root, "rejected/none").exists()


def test_readers_share_and_stages_do_not(root: Path) -> None:
    """Any number may read; a stage is alone; each is told what the other does."""
    with reading(root), reading(root):
        with pytest.raises(ConfigError, match="data: is being loaded, exported or verified") as caught, writing(root):
            pass
        assert caught.value.hint == "wait for it, or stage into another folder"
    with writing(root):
        with pytest.raises(ConfigError, match="data: is being staged"), reading(root):
            pass
        with pytest.raises(ConfigError, match="another stage is writing here"), writing(root):
            pass
    with writing(root):
        pass


def test_the_process_that_holds_a_lock_is_named(root: Path) -> None:
    """Where the system says which it is."""
    script = (
        "import sys, pathlib, loader.dataset.state as state\n"
        "with state.reading(pathlib.Path(sys.argv[1])):\n"
        "    print(flush=True)\n"
        "    input()"
    )
    command = [sys.executable, "-c", script, str(root)]
    status = (root / STATE).stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino} "
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(ConfigError, match="is being loaded") as caught, writing(root):
            pass
        seen = place in Path("/proc/locks").read_text()
        process.communicate("\n")
    assert (f"(process {process.pid})" in caught.value.message) == seen
    with writing(root):
        pass


def test_where_the_system_does_not_say_who_holds_a_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message does without."""
    monkeypatch.setattr(Path, "read_text", lambda *_: (_ for _ in ()).throw(OSError()))
    with reading(root), pytest.raises(ConfigError) as caught, writing(root):
        pass
    assert caught.value.message.endswith("loaded, exported or verified")


def test_a_file_system_without_locks_is_read_all_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could stage there at the same time, for a stage wants its lock."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with reading(root):
        pass
    with pytest.raises(OSError, match="not supported"), writing(root):
        pass


def test_reading_needs_no_folder_of_ours(tmp_path: Path) -> None:
    """What is missing is said by those who read it."""
    with reading(tmp_path), reading(tmp_path / "nothing"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_reader_is_the_reader_s(root: Path) -> None:
    """The lock hides none."""
    with pytest.raises(FileNotFoundError, match="mine"), reading(root):
        raise FileNotFoundError("mine")


def test_a_lock_file_is_held_by_one(root: Path) -> None:
    """The second is told, and what was in the file stays."""
    state_path(root, "lock").write_text("content")
    with sole(root, "lock") as first, sole(root, "lock") as second:
        assert (first, second) == (True, False)
    assert state_path(root, "lock").read_text() == "content"


def test_only_our_own_leftovers_are_found(root: Path) -> None:
    """Temporary files of a killed run, in the folder and among the metrics."""
    write_json(root, "metrics/file.json", {})
    names = (".manifest.json.loader-0123456789abcdef.tmp", "metrics/.a.json.loader-0123456789abcdef.tmp")
    for name in (*names, ".mine.tmp", "metrics/mine.tmp"):
        state_path(root, name).touch()
    assert sorted(list_leftovers(root)) == sorted(f"{STATE}/{name}" for name in names)
    assert json.loads(state_path(root, "metrics/file.json").read_text()) == {}
