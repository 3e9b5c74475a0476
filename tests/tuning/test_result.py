"""What a load takes of a tuning, and when it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loader.dataset.adopt import adopt
from loader.dataset.mapping import ColumnMapping
from loader.dataset.state import make_state
from loader.errors import ConfigError, StageError
from loader.events import Event
from loader.loading import LoadSettings, WriteSettings
from loader.servers.base import Target
from loader.tuning import TunedSettings, TuneReport, flags_of, tuned
from loader.tuning.result import read_result, write_result
from tests.datasets import small_dataset

URL = "http://localhost:8086"
FOUND = TunedSettings(40_000, 8_000_000, 6, "gzip:1")


def report(fingerprint: str, url: str = URL) -> TuneReport:
    """Return the report of a tuning."""
    return TuneReport(
        *(url, "InfluxDB 2.9.1", fingerprint, "2026-11-30T12:00:00+00:00", 60.0, 600, 600, 1_000),
        *(TunedSettings(), FOUND, FOUND.flags, 1.5, (), (), False),
    )


@pytest.fixture
def settings(tmp_path: Path) -> LoadSettings:
    """Return the settings of a load of a dataset that was tuned."""
    manifest = small_dataset(tmp_path)
    kept = write_result(tmp_path, report(manifest.fingerprint), print)
    assert kept.path == str(tmp_path / ".loader" / "tuning.json")
    return LoadSettings(tmp_path, Target(URL + "/", "trades"))


def test_a_load_takes_what_was_found(settings: LoadSettings) -> None:
    """All that was measured is taken, the rest stays, and what is named explicitly wins."""
    assert tuned(settings).write == WriteSettings(40_000, 8_000_000, "gzip:1")
    assert tuned(settings).connections == 6
    chosen = replace(settings, connections=3, write=WriteSettings(20_000))
    explicit = tuned(chosen, {"connections", "batch_lines", "host"})
    assert explicit.connections == 3
    assert flags_of(tuned(settings)) == FOUND.flags
    assert explicit.write == WriteSettings(20_000, 8_000_000, "gzip:1")


def test_the_flags_say_the_settings() -> None:
    """They can be pasted after loader load."""
    assert FOUND.flags == "--batch-lines 40000 --batch-bytes 8000000 --connections 6 --compress gzip:1"


def test_parquet_of_others(tmp_path: Path) -> None:
    """The mapping belongs to the identity of what was measured."""
    path = tmp_path / "trips.parquet"
    pl.DataFrame(
        {"when": pl.Series([1, 2]).cast(pl.Datetime("ns", "UTC")), "v": [1.0, 2.0], "w": [1, 2]}
    ).write_parquet(path)
    mapping = ColumnMapping("trips", "when")
    settings = LoadSettings(path, Target(URL, "trips"), mapping=mapping)
    manifest = adopt(settings.place, mapping)
    assert manifest is not None
    make_state(settings.place.state)
    write_result(settings.place.state, report(manifest.fingerprint), print)
    assert tuned(settings).connections == 6
    with pytest.raises(ConfigError, match="has changed since its tuning of 2026"):
        tuned(LoadSettings(path, Target(URL, "trips"), mapping=ColumnMapping("others", "when")))


def test_without_a_tuning(tmp_path: Path) -> None:
    """The error says how to make one."""
    small_dataset(tmp_path)
    with pytest.raises(ConfigError, match="no server was measured") as caught:
        tuned(LoadSettings(tmp_path, Target(URL, "trades")))
    assert f"loader tune {tmp_path} --host {URL}" in caught.value.hint


def test_another_server(settings: LoadSettings) -> None:
    """What was found for one server is not used for another."""
    with pytest.raises(ConfigError, match=r"is of http://localhost:8086, and the load goes to http://elsewhere"):
        tuned(LoadSettings(settings.dataset, Target("http://elsewhere", "trades")))


def test_the_restore_path(settings: LoadSettings) -> None:
    """It has none of these settings."""
    with pytest.raises(ConfigError, match="is for the write path"):
        tuned(LoadSettings(settings.dataset, settings.target, via="restore"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "its version is not 1"),
        ({"url": None}, "the address is None"),
        ({"fingerprint": "a\nb"}, "the fingerprint is"),
        ({"found": []}, "the settings is"),
        ({"found": {"batch_lines": 1}}, "'compress' is missing"),
        ({"connections": 1_001}, "the number of connections is 1,001, more than 1,000"),
        ({"connections": 0}, "the number of connections is 0"),
        ({"batch_lines": True}, "the lines of a batch is True"),
        ({"batch_bytes": 1 << 31}, "the bytes of a batch is"),
        ({"compress": "zip"}, "unknown compression 'zip'"),
    ],
)
def test_a_damaged_tuning(settings: LoadSettings, changes: dict[str, Any], words: str) -> None:
    """It may come from anybody: what it says is checked, and a fault is named with its file."""
    path = settings.dataset / ".loader" / "tuning.json"
    said = json.loads(path.read_text())
    for name, value in changes.items():
        (said["found"] if name in said["found"] else said)[name] = value
    path.write_text(json.dumps(said))
    with pytest.raises(StageError, match=r"tuning\.json: damaged") as caught:
        read_result(settings.dataset)
    assert words in caught.value.message


def test_a_state_that_cannot_be_written(tmp_path: Path) -> None:
    """The report is returned all the same, without a path, and it is said."""
    (tmp_path / ".loader").write_text("in the way")
    said: list[Event] = []
    assert write_result(tmp_path, report("0"), said.append).path == ""
    assert "tuning.json: cannot be written" in str(said)
