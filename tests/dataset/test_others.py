"""Every command on datasets that an attacker made: an error with a path, soon, and nothing outside is touched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.dataset.manifest import NAME
from loader.dataset.rejected_file import RejectedFile
from loader.dataset.state import STATE
from loader.errors import LoadError
from tests.datasets import small_dataset
from tests.plants import KINDS, PRECIOUS, hard_link, link, plant, precious, untouched

PARTITION = "date=2024-01-03/trades.parquet"
SMALL = ("--trades", "20", "--end", "2024-01-03", "--workers", "1", "--symbols", "A")
DEAD = ("--host", "http://127.0.0.1:1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a sound dataset beside a file that nobody may touch."""
    small_dataset(tmp_path / "data")
    precious(tmp_path / "data" / "x").write_bytes(PRECIOUS)
    return tmp_path / "data"


def results(root: Path) -> Iterator[tuple[str, Result]]:
    """Yield what each command says of the dataset."""
    out = root.parent / "out"
    for arguments in (
        ("status", root),
        ("load", root, "--dry-run"),
        ("load", root, *DEAD),
        ("load", root, *DEAD, "--via", "restore", "--restart"),
        ("verify", root, *DEAD),
        ("verify", root, *DEAD, "--values"),
        ("export-tsm", root, "--out", out),
        ("stage", "--out", root, *SMALL),
        ("stage", "--out", root, *SMALL, "--overwrite"),
    ):
        words = [str(argument) for argument in arguments]
        began = time.monotonic()
        result = CliRunner().invoke(build_app(), words)
        assert time.monotonic() - began < 30, words
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
        yield words[0], result


def assert_refused(root: Path, words: str, *, but_for: tuple[str, ...] = ()) -> None:
    """See that every command ends with 2 or 3 and ``words``, and that nothing was touched."""
    before = {path: path.read_bytes() for path in root.rglob("*.parquet") if path.is_file() and not path.is_symlink()}
    for command, result in results(root):
        assert result.exit_code in (2, 3), (command, result.output)
        if command not in but_for:
            assert words in result.stderr, (command, result.output)
        assert "--overwrite" not in result.stderr
        assert "remove" not in result.stderr.replace("removed", "")
        assert untouched(root / "x")
    assert all(path.read_bytes() == content for path, content in before.items())


def rewrite(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Let ``change`` work on the manifest's JSON."""
    data = json.loads((root / NAME).read_text())
    change(data)
    (root / NAME).write_text(json.dumps(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_partition_that_is_no_file(root: Path, kind: Callable[[Path], None]) -> None:
    """A FIFO, a device, a link: every command says so at once."""
    plant(root / PARTITION, kind)
    assert_refused(root, f"{PARTITION}: is a")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__ != "folder"])
@pytest.mark.parametrize("name", [STATE, "date=2024-01-03"])
def test_a_folder_that_is_none(root: Path, name: str, kind: Callable[[Path], None]) -> None:
    """Of the loader's own files, and of partitions."""
    (root / name).rename(root.parent / "elsewhere")
    plant(root / name, kind)
    assert_refused(root, f"{name}: is a")


@pytest.mark.parametrize("path", ["../precious", "/etc/passwd", "a\0b"])
def test_a_manifest_that_leads_out(root: Path, path: str) -> None:
    """Nothing there is read, named in a hint, or removed; a stage sees Parquet that is not its own."""
    rewrite(root, lambda data: data["partitions"][1].update(path=path))
    assert_refused(root, "damaged manifest", but_for=("stage",))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(partitions=[]),
        lambda data: [partition.update(rows=0) for partition in data["partitions"]],
    ],
)
def test_a_manifest_without_rows(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """There is nothing to do; the status says so, too."""
    rewrite(root, change)
    for command, result in results(root):
        assert result.exit_code == (0 if command == "status" else result.exit_code)
        assert result.exit_code in ((0,) if command == "status" else (2, 3))
        if command not in ("status", "stage"):
            assert "the manifest lists no rows" in result.stderr


@pytest.mark.parametrize("value", [1e30, -1e30, 2**70, "now", None])
def test_a_manifest_with_odd_times(root: Path, value: object) -> None:
    """A time is an integer of 64 bits."""
    rewrite(root, lambda data: data["partitions"][1].update(time_min=value))
    assert_refused(root, "damaged manifest", but_for=("stage",))


@pytest.mark.parametrize("name", ["checksums.json", "load.lock", "lock", "rejected", "metrics"])
@pytest.mark.parametrize("kind", [link, hard_link])
def test_what_is_not_needed_does_no_harm(root: Path, name: str, kind: Callable[[Path], None]) -> None:
    """Whatever is planted beside the manifest leads nowhere."""
    plant(root / STATE / name, kind)
    for command, result in results(root):
        assert result.exit_code in (0, 2, 3), (command, result.output)
        assert untouched(root / "x")


def test_rejected_lines_go_to_no_link(root: Path) -> None:
    """They are appended to a regular file, or not at all."""
    rejected = RejectedFile(root, "print")
    line = {"line": "m v=1 1"}
    rejected.append([line, line])
    assert len(rejected.path.read_text().splitlines()) == 2
    for kind in (link, hard_link):
        plant(rejected.path, kind)
        with pytest.raises(LoadError, match=r"cannot be written: .*(is a link|2 names)"):
            rejected.append([line])
        assert untouched(rejected.path)
    rejected.path.unlink()
    rejected.path.parent.rmdir()
    rejected = RejectedFile(root, "n" * 300)
    with pytest.raises(LoadError, match="rejected rows cannot be written: File name too long"):
        rejected.append([line])
