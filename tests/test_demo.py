"""The demo cleans up after itself and after nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment that names no server, with temporary folders of its own; coverage is measured elsewhere."""
    others = ("INFLUX", "DOCKER", "COVERAGE")
    named = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {**named, "TMPDIR": str(tmp_path), "KEEP": "0"}


def stand_in(folder: Path, script: str, name: str = "docker") -> None:
    """Put a stand-in for the command ``name`` at ``folder``."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_termination_leaves_nothing_running(influx_v1: Any, environment: dict[str, str], tmp_path: Path) -> None:
    """The server that the demo started ends, and the folder goes, when the demo is told to stop amid its work."""
    stand_in(tmp_path, "exit 1")
    environment |= {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}", "TRADES": "50000000"}
    command = [sys.executable, "-u", "-m", "tools.demo"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if line.startswith("$ loader stage"):
                break
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(40) == 130
    pid = int(next(line for line in lines if "process" in line).split()[-1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not list(tmp_path.glob("loader-demo-*"))


def test_a_composed_server_is_a_project_of_its_own(environment: dict[str, str], tmp_path: Path) -> None:
    """What is taken down with its volumes is what was brought up, never the project of the checkout."""
    log = tmp_path / "docker.log"
    stand_in(tmp_path, f'echo "$*" >> {log}\ncase "$*" in *" up "*) exit 1 ;; esac')
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    demo = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert demo.returncode == 1
    assert "Docker could not start" in demo.stderr
    _, up, down = (line.split() for line in log.read_text().splitlines())
    assert up[:3] == down[:3]
    assert up[1:3] == ["--project-name", up[2]]
    assert up[2].startswith("loader-demo-")
    assert down[-2:] == ["down", "--volumes"]


def test_a_number_of_trades_that_is_none_is_named(environment: dict[str, str]) -> None:
    """Nothing is started for it."""
    environment["TRADES"] = "1e6"
    demo = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert demo.returncode == 1
    assert "TRADES=1e6" in demo.stderr


def test_each_way_to_a_server_is_tried_in_turn(environment: dict[str, str], tmp_path: Path) -> None:
    """Without Docker and influxd one is built by Go; then comes Debian's package; then nothing."""
    for name in ("docker", "go", "apt-get", "influxd"):
        stand_in(tmp_path, f"echo {name} has failed >&2; exit 1", name)
    environment |= {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}", "LOADER_CACHE": str(tmp_path / "cache")}
    demo = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert demo.returncode == 1
    tried = [line for line in demo.stdout.splitlines() if "because" in line]
    assert [line.split(",")[0] for line in tried] == ["server: InfluxDB 1.8.10", "server: InfluxDB 1.6.7"]
    assert "this takes about 105 s: 75 s for the server, then the demo" in demo.stdout
    logs = sorted(tmp_path.glob("build-influxd-*.log"))
    assert len(logs) == 2
    assert all(f"its output is in {log}" in demo.stdout and str(log) in demo.stderr for log in logs)
    assert demo.stderr.index("go has failed") < demo.stderr.index("apt-get has failed")
    assert demo.stderr.index("apt-get update helps") < demo.stderr.index("no server: set INFLUX_HOST")
    assert not list((tmp_path / "cache").iterdir())
    assert not list(tmp_path.glob("loader-demo-*"))


def test_it_shows_both_ways_and_leaves_a_report(influx_v2: Any, environment: dict[str, str], tmp_path: Path) -> None:
    """Every step is shown with its rate; only the report stays."""
    stand_in(tmp_path, "exit 1")
    environment |= {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}", "TRADES": "20000"}
    demo = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert demo.returncode == 0, demo.stderr
    for words in ("load, write path", "load, restore path", "verify every value", "all 40,000 values"):
        assert words in demo.stdout
    address = demo.stdout.splitlines()[-1].partition("the report of all this: ")[2]
    page = Path(address.removeprefix("file://")).read_text()
    assert "Loading (restore path)" in page
    assert "Verification (every value)" in page
    assert not list(tmp_path.glob("loader-demo-*"))
