"""The record of a run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from loader.events import Advanced, Answered, Notice, Rejected, Started, Waited
from loader.loading import LoadSettings, load
from loader.reporting.recorder import Recorder
from loader.reporting.usage import Usage
from loader.servers.base import Target
from tests.datasets import small_dataset

TARGET = Target("http://localhost:1", "trades", "org", "secret")


def test_what_is_recorded() -> None:
    """Settings without secrets, what events say, and samples in columns of one length."""
    with Recorder("load", LoadSettings(Path("data"), TARGET)) as recorder:
        for event in (
            Started("load", 10, 2),
            Answered(0.5, 100),
            Advanced(8, 100),
            Waited("retry", 1.5),
            Rejected(1),
            Notice("."),
        ):
            recorder.observe(event)
    content = recorder.content(None, 1, "it failed")
    text = json.dumps(content, default=str)
    assert "secret" not in text
    assert (content["run"], content["activity"], content["exit_code"]) == (recorder.run, "load", 1)
    assert (content["rows"], content["rows_resumed"], content["bytes"], content["rejected"]) == (8, 2, 100, 1)
    assert (content["requests"]["number"], content["requests"]["max"], content["waits"]) == (1, 0.5, {"retry": 1.5})
    assert [phase["activity"] for phase in content["phases"]] == ["load"]
    timeline = content["timeline"]
    assert {len(column) for column in timeline.values()} == {len(timeline["seconds"])}
    last = {name: column[-1] for name, column in timeline.items()}
    assert (last["rows"], last["bytes"], last["requests"], last["request_seconds"]) == (8, 100, 1, 0.5)
    assert (last["retries"], last["rejected"]) == (1, 1)
    assert last["memory"] > 1 << 20


def test_each_answer_is_told(influx: Any, tmp_path: Path) -> None:
    """The bytes of all requests are those that the load sent, and none takes longer than the whole."""
    small_dataset(tmp_path)
    settings = LoadSettings(tmp_path, Target(influx.url, influx.new_bucket(), influx.org, influx.token))
    answers: list[Answered] = []
    report = load(settings, lambda event: answers.append(event) if isinstance(event, Answered) else None)
    assert sum(answer.size for answer in answers) == report.body_size
    assert all(0 < answer.seconds < report.seconds for answer in answers)


def test_children_count() -> None:
    """Memory and CPU of a child are counted while it runs, and its CPU afterwards."""
    usage = Usage()
    before = usage.read()
    work = "x = bytearray(200 << 20)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", work]) as child:
        deadline = time.monotonic() + 30
        while (now := usage.read())["memory"] < before["memory"] + (150 << 20) or now["cpu_seconds"] < 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.kill()
    assert usage.read()["memory"] < before["memory"] + (150 << 20)
    peak = usage.read_peak()
    assert peak["cpu_seconds"] >= now["cpu_seconds"]
    assert peak["peak_memory"] >= 150 << 20
