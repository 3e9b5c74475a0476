"""The loader as a process of its own, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROMPT_SECONDS = 3.0
"""How long an end may take on a busy machine; seen is about one second at the most."""
LOADER = (sys.executable, "-m", "loader")

Process = subprocess.Popen[str]


def deaf(module: str, name: str, descriptor: int = 2) -> tuple[str, ...]:
    """Return a loader whose ``name`` in ``module`` says "deaf" and then computes, for a minute, and hears no signal."""
    program = f"""
import hashlib, os, sys
import {module} as module
from loader.__main__ import main
def compute(*arguments, **named):
    os.write({descriptor}, b"deaf\\n")
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)
module.{name} = compute
main()
"""
    return sys.executable, "-c", program


@contextmanager
def running(
    *arguments: str | Path, program: Sequence[str] = LOADER, environment: Mapping[str, str] = {}
) -> Iterator[Process]:
    """Yield a running loader in a session of its own, which does not outlive the block.

    Only of programs of tests the coverage is measured, which see to it that no signal is heard at any moment: coverage
    takes a lock at every call of a function, and a KeyboardInterrupt that is raised just then leaves the lock locked,
    and all threads waiting for it, for good.
    """
    command = [*program, *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    left_out = "INFLUX" if program[1] == "-c" and program[0] == sys.executable else ("INFLUX", "COVERAGE")
    named = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    with subprocess.Popen(command, text=True, env={**named, **environment}, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(happened: Callable[[], object], process: Process, seconds: float = 60.0) -> None:
    """Wait until something has happened while ``process`` runs."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_words(words: str, process: Process) -> str:
    """Wait until ``process`` has said ``words`` to its standard error; return what it said until then."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def wait_until_deaf(process: Process) -> None:
    """Wait until a loader of ``deaf`` computes."""
    wait_for_words("deaf", process)
    time.sleep(0.3)  # from its words to the library


def interrupted(process: Process, *numbers: signal.Signals, everybody: bool = False) -> tuple[str, str]:
    """Send signals to ``process``, which must end soon and in good order; return what it said.

    ``everybody`` sends them to its children, too, as a terminal does.
    """
    send = os.killpg if everybody else os.kill
    for number in numbers or (signal.SIGINT,):
        send(process.pid, number)
        time.sleep(0.05)
    began = time.monotonic()
    output, errors = process.communicate(timeout=30)
    seconds = time.monotonic() - began
    assert process.returncode == 130, (process.returncode, output, errors)
    assert seconds < PROMPT_SECONDS, (seconds, errors)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    return output, errors
