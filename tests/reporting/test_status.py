"""The status of a dataset from anybody: right, or a message with the file; never a traceback, never an older answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.dataset.state import STATE
from loader.errors import StageError
from loader.loading.ledger import Ledger, ledger_path
from loader.reporting.metrics import write_metrics
from loader.reporting.status import read_status
from loader.servers.base import Target
from tests.datasets import small_dataset
from tests.plants import KINDS, plant, untouched

SOUND: dict[str, Any] = {
    "started": "2024-01-02T00:00:00+00:00",
    "settings": {"target": {"url": "http://h", "bucket": "b"}},
    "report": {"difference_count": 3},
}
NAME = "verify-20990101T000000.000000Z.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a dataset that was verified without differences."""
    small_dataset(tmp_path / "data")
    write_metrics(tmp_path / "data", "verify", {**SOUND, "report": {"difference_count": 0}})
    return tmp_path / "data"


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def damaged(root: Path, content: str) -> None:
    """Make ``content`` the newest metrics, and see that the status says so."""
    (root / STATE / "metrics" / NAME).write_text(content)
    result = run("status", root)
    assert result.exit_code == 3, result.output
    assert f"metrics/{NAME}: damaged metrics: " in result.stderr
    assert "hint: move this file away" in result.stderr
    assert "no differences" not in result.stdout


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", "[" * 99_999, '{"started": NaN}'])
def test_metrics_that_are_no_json_are_named(root: Path, content: str) -> None:
    """The verification before them is no answer: the newest may have found differences."""
    damaged(root, content)


CHANGES: tuple[Callable[[dict[str, Any]], Any], ...] = (
    lambda data: data.pop("settings"),
    lambda data: data.pop("report"),
    lambda data: data.pop("started"),
    lambda data: data.update(settings=[]),
    lambda data: data.update(settings={"target": None}),
    lambda data: data.update(settings={"target": {"url": 7, "bucket": "b"}}),
    lambda data: data.update(settings={"target": {"url": "http://h"}}),
    lambda data: data.update(started=7),
    lambda data: data.update(started="yesterday"),
    lambda data: data.update(report=[1]),
    lambda data: data.update(report="no differences"),
    lambda data: data.update(report={"rows": 1}),
    *(
        lambda data, value=value: data.update(report={"difference_count": value})  # type: ignore[misc]
        for value in (None, "0", 0.0, True, -1, 10**30)
    ),
    lambda data: data.update(report={"difference_count": 0, "unfit": "1"}),
)


@pytest.mark.parametrize("change", CHANGES)
def test_metrics_of_another_shape_are_named(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Nothing in them is taken for what it is not."""
    data = json.loads(json.dumps(SOUND))
    change(data)
    damaged(root, json.dumps(data))


def test_a_verification_that_did_not_finish_is_no_damage(root: Path) -> None:
    """Its report is null."""
    (root / STATE / "metrics" / NAME).write_text(json.dumps({**SOUND, "report": None}))
    found = read_status(root).verification
    assert found is not None
    assert found.differences is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [f"metrics/{NAME}", "metrics"])
def test_metrics_are_regular_files(root: Path, name: str, kind: Callable[[Path], None]) -> None:
    """Links and what never ends are not opened, to read or to write."""
    if name == "metrics":
        (root / STATE / name).rename(root / STATE / "before")
        if kind.__name__ == "folder":
            return
    plant(root / STATE / name, kind)
    result = run("status", root)
    assert result.exit_code == 3, result.output
    assert "only a" in result.stderr
    loaded = run("load", root, "--dry-run")
    assert loaded.exit_code == 0
    assert ("warning: no metrics file: " in loaded.stderr) == (name == "metrics")
    assert untouched(root / STATE / name)


def test_only_metrics_are_taken_for_metrics(root: Path) -> None:
    """Other files beside them are not looked at."""
    for name in ("verify-zzz.json", "verify-20990101T000000.000000Z.json.bak", ".verify-20990101T000000.000000Z.json"):
        (root / STATE / "metrics" / name).write_text("mine")
    found = read_status(root).verification
    assert found is not None
    assert found.differences == 0


def test_metrics_that_vanish_are_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After they were found."""
    monkeypatch.setattr("loader.reporting.metrics.list_folder", lambda *_: [NAME])
    with pytest.raises(StageError, match=r"damaged metrics: .*No such file"):
        read_status(root)


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_ledger_is_named(root: Path, content: bytes) -> None:
    """With what to do, which removes nothing."""
    ledger_path(root).write_bytes(content)
    for command in ("status", "verify"):
        result = run(command, root)
        assert result.exit_code == 3, result.output
        assert "ledger.sqlite: the ledger cannot be used" in result.stderr
        assert "remove" not in result.stderr


@pytest.mark.parametrize("name", ["b\x1b[2J", "b\n", "b" * 10_000])
def test_names_that_speak_to_the_terminal_are_damage(root: Path, name: str) -> None:
    """No bucket is called so: neither in metrics nor in a ledger."""
    damaged(root, json.dumps({**SOUND, "settings": {"target": {"url": "http://h", "bucket": name}}}))
    with Ledger.opened(root, Target("http://h", "b", "o"), "", "print", restart=False):
        pass
    with closing(sqlite3.connect(ledger_path(root))) as database, database:
        database.execute("UPDATE loads SET bucket = ?", (name,))
    result = run("status", root)
    assert result.exit_code == 3
    assert "ledger.sqlite: the ledger cannot be used: it is damaged: a bucket is 'b" in result.stderr
    assert all(line.isprintable() and len(line) < 500 for line in result.output.splitlines())
