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
    """Return an environment that names no server, with temporary folders of its own."""
    named = {name: value for name, value in os.environ.items() if not name.startswith(("INFLUX", "DOCKER"))}
    return {**named, "TMPDIR": str(tmp_path), "KEEP": "0"}


def docker(folder: Path, script: str) -> None:
    """Put a stand-in for Docker's command at ``folder``."""
    path = folder / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_termination_leaves_nothing_running(influx_v1: Any, environment: dict[str, str], tmp_path: Path) -> None:
    """The server that the demo started ends, and the folder goes, when the demo is told to stop amid its work."""
    docker(tmp_path, "exit 1")
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
    docker(tmp_path, f'echo "$*" >> {log}\ncase "$*" in *" up "*) exit 1 ;; esac')
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
