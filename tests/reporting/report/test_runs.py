"""The metrics of runs, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loader.errors import StageError
from loader.loading import LoadSettings
from loader.reporting.metrics import write_metrics
from loader.reporting.recorder import Recorder
from loader.reporting.report import runs
from loader.reporting.report.runs import newest, read_runs
from loader.servers.base import Target
from tests.datasets import small_dataset
from tests.reporting.report.runs import run, verified

SETTINGS = LoadSettings(Path("data"), Target("http://localhost:1", "trades", "org", "secret"))


def content(**changes: Any) -> dict[str, Any]:
    """Return the metrics of a run that did nothing, with ``changes``."""
    with Recorder("load", SETTINGS) as recorder:
        return {**recorder.content(None), **changes}


def test_the_newest_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many, in the order in which they ended, and the newest of each activity."""
    monkeypatch.setattr(runs, "MOST_RUNS", 3)
    small_dataset(tmp_path)
    for number, activity in enumerate(("load", "verify", "stage", "load")):
        settings = {"target": {"url": "http://me:pass@host", "bucket": "\x1b[2J"}, "via": "write"}
        write_metrics(tmp_path, activity, content(activity=activity, rows=number, settings=settings))
    found = read_runs(tmp_path)
    assert [each.rows for each in found] == [1, 2, 3]
    assert found[0].way == "sums"
    assert found[2].way == "write"
    assert {len(column) for column in found[0].timeline.values()} == {2}
    assert "pass" not in str(found)
    assert "\x1b" not in str(found)


def test_metrics_of_an_earlier_version(tmp_path: Path) -> None:
    """Without requests and timeline they still tell the rest."""
    small_dataset(tmp_path)
    old = content()
    del old["timeline"], old["requests"], old["run"], old["phases"]
    write_metrics(tmp_path, "load", old)
    (found,) = read_runs(tmp_path)
    assert (found.timeline, found.requests, found.in_flight) == ({}, {}, 0.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": -1}, "the rows is -1"),
        ({"seconds": "1"}, "the seconds is '1'"),
        ({"seconds": True}, "the seconds is True"),
        ({"waits": {"retry": None}}, "the waits is None"),
        ({"started": "a\nb"}, "the start is"),
        ({"report": []}, None),
        ({"report": [1]}, "the report is"),
        ({"timeline": {"seconds": [1.0]}}, "the timeline has columns"),
        ({"timeline": {"seconds": 1}}, "not an array"),
        ({"settings": {"target": 5}}, "the target is 5"),
        ({"settings": {"connections": 10**400}}, "the setting connections is"),
        ({"settings": {"write": {"batch_lines": -1}}}, "the setting batch_lines is -1"),
        ({"seconds": 10**400}, "the seconds is"),
        ({"seconds": 1e308}, "the seconds is"),
        ({"requests": {"number": 5}}, "the requests have no sum, p50"),
        ({"machine": {str(each): "" for each in range(101)}}, "the machine has 101 names"),
        ({"timeline": {name: [2, 1] for name in runs._SAMPLED}}, "do not ascend"),
    ],
)
def test_metrics_that_are_damaged(tmp_path: Path, changes: dict[str, Any], words: str | None) -> None:
    """The file is named, and what is wrong with it."""
    small_dataset(tmp_path)
    path = write_metrics(tmp_path, "load", content(**changes))
    if words is None:
        assert len(read_runs(tmp_path)) == 1
        return
    with pytest.raises(StageError, match=words) as caught:
        read_runs(tmp_path)
    assert path.name in caught.value.message


def test_metrics_of_which_something_is_missing(tmp_path: Path) -> None:
    """What is missing is named."""
    small_dataset(tmp_path)
    damaged = content()
    del damaged["rows"]
    write_metrics(tmp_path, "load", damaged)
    with pytest.raises(StageError, match="'rows' is missing"):
        read_runs(tmp_path)


def test_the_newest_run_that_tells_something() -> None:
    """It came to its end, and did something."""
    told = run(exit_code=1)
    others = (run(rows=0), run(exit_code=3), run(interrupted=True), verified())
    assert newest([run(), told, *others], "load") is told
    assert newest(others, "load") is None


def test_shares() -> None:
    """Of a run that took no time they are zero."""
    assert (run().rate, run().cores, run().in_flight) == (10_000.0, 0.3, 1.0)
    at_once = run(seconds=0.0, work_seconds=0.0)
    assert (at_once.rate, at_once.cores, at_once.in_flight, at_once.server_share) == (0.0, 0.0, 0.0, 0.0)


def test_only_plain_texts_of_a_machine_are_kept(tmp_path: Path) -> None:
    """Nested values and control characters of metrics that anybody wrote are not shown."""
    small_dataset(tmp_path)
    machine = {"processor": "a\x1b[2Jb", "cores": 2, "odd": {"deep": []}, "half": "\ud800"}
    write_metrics(tmp_path, "load", content(machine=machine))
    (found,) = read_runs(tmp_path)
    assert found.machine.keys() == {"processor", "cores", "half"}
    assert found.machine["cores"] == "2"
    assert "\x1b" not in found.machine["processor"]
    found.machine["half"].encode()


def test_the_newest_of_each_activity_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when others are newer; what was staged is not forgotten."""
    monkeypatch.setattr(runs, "MOST_RUNS", 2)
    small_dataset(tmp_path)
    for number, activity in enumerate(("stage", "stage", "load", "verify", "verify")):
        write_metrics(tmp_path, activity, content(activity=activity, rows=number))
    assert [each.rows for each in read_runs(tmp_path)] == [1, 2, 3, 4]
    ways = {"candles": {"candles": {"every": 1}}, "values": {"values": True}, "sums": {}}
    assert [runs._way("verify", said, {}) for said in ways.values()] == [*ways]
    assert runs._way("load", {"dry_run": True, "via": "write"}, {}) == runs.DRY_RUN


@pytest.mark.parametrize(
    ("report", "differences"),
    [
        ({"difference_count": 5, "unfit": 3}, 2),
        ({"difference_count": 3, "unfit": 3}, 0),
        ({"difference_count": 5, "unfit": 3, "unfit_rows": []}, 5),
        ({"difference_count": 5}, 5),
        ({}, None),
    ],
)
def test_rows_that_cannot_be_points_are_apart(tmp_path: Path, report: dict[str, Any], differences: int | None) -> None:
    """They are no differences of a bucket, whether or not the metrics count them among these."""
    small_dataset(tmp_path)
    write_metrics(tmp_path, "verify", content(activity="verify", report=report))
    (found,) = read_runs(tmp_path)
    assert found.differences == differences
    assert found.unfit == report.get("unfit", 0)
