"""Metrics and logs of commands."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from typer import Exit
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.cli.live import LiveOptions, LogFormat, read_place
from loader.cli.outcome import Output
from loader.cli.running import run as run_work
from loader.errors import ConfigError
from loader.events import Observer, Started
from loader.waiting import pause
from tests.datasets import small_dataset

SECRET = "very-secret-token"
NOWHERE = ("--host", "http://127.0.0.1:1", "--token", SECRET)


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def stage(out: Path, *arguments: str | Path) -> Result:
    """Stage a few trades."""
    return run("stage", "--out", out, "--trades", "1000", "--end", "2024-01-04", "--workers", "1", *arguments)


def kept_run(dataset: Path) -> str:
    """Return the name of the only run whose metrics file is there."""
    (path,) = (dataset / ".loader" / "metrics").iterdir()
    name: str = json.loads(path.read_text())["run"]
    return name


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("9108", ("127.0.0.1", 9108)),
        ("0", ("127.0.0.1", 0)),
        ("0.0.0.0:9108", ("0.0.0.0", 9108)),
        ("[::1]:65535", ("::1", 65_535)),
        ("metrics.example:80", ("metrics.example", 80)),
    ],
)
def test_a_place_is_a_port_or_an_address_with_a_port(text: str, place: tuple[str, int]) -> None:
    """Without an address it is loopback."""
    assert read_place(text) == place


@pytest.mark.parametrize("text", ["x", "-1", "65536", ":1", "::1:9108", "http://here:9108", "me@here:9108", "9108:"])
def test_anything_else_is_no_place(text: str) -> None:
    """The error shows how to write it."""
    with pytest.raises(ConfigError, match="is not a port") as caught:
        read_place(text)
    assert "0.0.0.0:9108" in caught.value.hint


def test_nothing_is_begun_when_a_port_or_a_file_is_not_to_be_had(tmp_path: Path) -> None:
    """It is a usage error with a hint, before there is a dataset, or a log of a run that never was."""
    log = tmp_path / "run.log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = stage(tmp_path / "data", "--metrics-port", port, "--log-file", log)
    assert refused.exit_code == 2
    assert f"127.0.0.1:{port}: this port is taken" in refused.stderr
    assert "hint: name another port" in refused.stderr
    missing = stage(tmp_path / "data", "--metrics-port", "0", "--log-file", tmp_path / "no" / "run.log")
    assert missing.exit_code == 2
    assert "No such file" in missing.stderr
    assert "metrics are at" not in missing.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_was_picked_is_said(tmp_path: Path) -> None:
    """On stderr, unless nothing but errors is wanted there."""
    said = stage(tmp_path / "data", "--metrics-port", "0", "--json")
    assert "metrics are at http://127.0.0.1:" in said.stderr
    assert json.loads(said.stdout)["exit_code"] == 0
    assert stage(tmp_path / "data", "--metrics-port", "0", "--quiet").output == ""


def test_a_log_file_is_written_beside_the_usual_output(tmp_path: Path) -> None:
    """Its lines name the run as the metrics file does; a second run is appended."""
    log, out = tmp_path / "run.log", tmp_path / "data"
    first = stage(out, "--log-file", log, "--log-format", "json", "--metrics-port", "0")
    assert "metrics are at" in first.stderr
    assert "1,000 trades in 3 partitions" in first.stdout
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begun", "notice", "started", "ended"]
    assert {line["run"] for line in lines} == {kept_run(out)}
    assert {"activity": "stage", "exit_code": 0, "rows": 1_000}.items() <= lines[-1].items()
    assert "ended with exit code 0: staged 1,000 trades in 3 partitions; " in lines[-1]["message"]
    assert stage(out, "--log-file", log).exit_code == 0
    assert len(log.read_text().splitlines()) == 7


def test_a_log_takes_the_place_of_the_progress(tmp_path: Path) -> None:
    """All of stderr is the log, the error with its hint included, and stdout has the result as always."""
    small_dataset(tmp_path / "data", days=1)
    failed = run("load", tmp_path / "data", *NOWHERE, "--log-format", "json", "--json", "--debug")
    lines = [json.loads(line) for line in failed.stderr.splitlines()]
    assert failed.exit_code == 3 == json.loads(failed.stdout)["exit_code"]
    assert [line["level"] for line in lines] == ["INFO", "INFO", "INFO", "ERROR"]
    last = lines[-1]
    assert last["message"] == f"load ended with exit code 3: {last['error']}"
    assert "cannot connect" in last["error"]
    assert last["hint"]
    assert last["trace"].startswith("Traceback")
    assert SECRET not in failed.output


def test_quiet_leaves_errors_only_in_the_log(tmp_path: Path) -> None:
    """On stderr; a file has everything."""
    small_dataset(tmp_path / "data", days=1)
    quiet = run("load", tmp_path / "data", *NOWHERE, "--log-format", "text", "--quiet")
    (line,) = quiet.stderr.splitlines()
    assert " ERROR   " in line
    log = tmp_path / "run.log"
    assert run("load", tmp_path / "data", *NOWHERE, "--log-file", log, "--quiet").stderr.startswith("error: ")
    assert len(log.read_text().splitlines()) == 4


def test_a_log_that_cannot_be_written_ends_no_work(tmp_path: Path) -> None:
    """A full disk is a warning, once, and the work has its own exit code."""
    done = stage(tmp_path / "data", "--log-file", "/dev/full")
    assert done.exit_code == 0
    assert done.stderr.count("the log is not complete: No space left on device") == 1


def test_a_warning_stands_in_the_log(tmp_path: Path) -> None:
    """Metrics that cannot be kept are a warning there as well."""
    stage(tmp_path / "data")
    metrics = tmp_path / "data" / ".loader" / "metrics"
    for path in metrics.iterdir():
        path.unlink()
    metrics.rmdir()
    metrics.write_text("in the way")
    staged = stage(tmp_path / "data", "--log-format", "text")
    warnings = [line for line in staged.stderr.splitlines() if " WARNING " in line]
    assert len(warnings) == 1
    assert "no metrics file" in warnings[0]
    assert "warning: " not in staged.stderr


def test_a_stop_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C gives a line at once, and one for the end with exit code 130."""
    monkeypatch.setattr("loader.cli.interrupts.GRACE_SECONDS", 60.0)
    log, stop = tmp_path / "run.log", threading.Event()

    def work(observe: Observer) -> None:
        observe(Started("load", 10))
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        until = time.monotonic() + 10
        while "stopping: what is in flight" not in log.read_text() and time.monotonic() < until:
            pause(0.01)

    live = LiveOptions(log_file=log, log_format=LogFormat.JSON)
    with pytest.raises(Exit) as ended:
        run_work("load", None, tmp_path, Output(True, False, live=live), work, str, lambda _: 130, stop)
    *told, last = (json.loads(line) for line in log.read_text().splitlines())
    assert ended.value.exit_code == 130
    assert any(line["message"].startswith("stopping: what is in flight") for line in told)
    assert (last["event"], last["exit_code"], last["level"]) == ("ended", 130, "WARNING")
