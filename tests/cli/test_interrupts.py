"""Ctrl-C, SIGTERM and SIGHUP end every command within a second, without any server's help."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer import Exit

from loader.cli.interrupts import Interrupts, within
from loader.cli.outcome import Output
from loader.cli.running import run
from loader.events import Observer, Started
from tests.datasets import small_dataset
from tests.processes import LOADER, PROMPT_SECONDS, deaf, interrupted, running, wait_until, wait_until_deaf


@pytest.fixture
def silent_server() -> Iterator[tuple[str, socket.socket]]:
    """Return the address of a server that never answers, and its socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_while_it_imports(tmp_path: Path, number: signal.Signals) -> None:
    """The libraries take a second, in which a person may change their mind."""
    with running("stage", "--out", tmp_path / "data", "--workers", "1", "--json") as process:
        wait_until(lambda: "pyarrow" in Path(f"/proc/{process.pid}/maps").read_text(), process)
        output, errors = interrupted(process, number)
    assert errors == "error: interrupted\n"
    assert json.loads(output) == {"exit_code": 130, "error": "interrupted"}
    assert not (tmp_path / "data").exists()


PRESSED = """
import signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "loader.cli":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Press())
from loader.__main__ import main
main()
"""


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_before_anything_is_imported(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """The words are the same as ever, with JSON only where it is wanted."""
    with running("stage", "--out", tmp_path / "data", *flags, program=(sys.executable, "-c", PRESSED)) as process:
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "error: interrupted\n")
    assert output == '{"exit_code": 130, "error": "interrupted"}\n' * bool(flags)


def test_what_is_ignored_while_it_imports() -> None:
    """A signal that the caller ignores ends nothing."""
    ignoring = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{PRESSED}"
    with running("--help", program=(sys.executable, "-c", ignoring)) as process:
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert "stage" in output


@pytest.mark.parametrize("command", ["load", "verify"])
def test_a_server_that_says_nothing(tmp_path: Path, silent_server: tuple[str, socket.socket], command: str) -> None:
    """Before anything is in flight, the first Ctrl-C ends a load, too."""
    small_dataset(tmp_path)
    address, listener = silent_server
    with running(command, tmp_path, "--host", address) as process:
        accepted, _ = listener.accept()
        with accepted:
            _, errors = interrupted(process)
    chosen = "by the write path: files gain nothing for fewer than 100,000 rows a shard\n" * (command == "load")
    hint = "hint: what is finished is kept: run the same command again\n" * (command == "load")
    assert errors == f"server {address}, bucket 'trades'\n{chosen}error: interrupted\n{hint}"


DEAF = {
    "status": ("loader.reporting.status", "read_manifest"),
    "verify": ("loader.verification", "verify"),
    "stage": ("loader.staging", "stage"),
}


@pytest.mark.parametrize("command", DEAF)
def test_a_library_that_computes(tmp_path: Path, command: str) -> None:
    """A library that hears no signal is left alone after a second, with metrics and words as ever."""
    small_dataset(tmp_path)
    arguments = ("--out", tmp_path) if command == "stage" else (tmp_path,)
    with running(command, *arguments, "--json", program=deaf(*DEAF[command])) as process:
        wait_until_deaf(process)
        output, errors = interrupted(process)
    assert errors.startswith("error: interrupted\n")
    assert json.loads(output)["exit_code"] == 130
    assert len(list((tmp_path / ".loader").glob("metrics/*.json"))) == (command != "status")


def test_the_second_one_does_not_wait(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C again wants no second of grace."""
    small_dataset(tmp_path)
    with running("verify", tmp_path, program=deaf("loader.verification", "verify")) as process:
        wait_until_deaf(process)
        began = time.monotonic()
        interrupted(process, signal.SIGINT, signal.SIGINT)
        assert time.monotonic() - began < PROMPT_SECONDS


def test_a_terminal_that_takes_no_words(tmp_path: Path) -> None:
    """What is to be said is left unsaid where nobody reads it: the end does not wait."""
    small_dataset(tmp_path)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(65_536))
    os.set_blocking(writer, True)
    command = [*deaf("loader.verification", "verify", descriptor=1), "verify", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PROMPT_SECONDS) == 130
        finally:
            process.kill()
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_of_a_stage(tmp_path: Path, number: signal.Signals) -> None:
    """A signal for the whole group, as terminals and service managers send it, ends all, and leaves nothing half."""
    arguments = ("stage", "--out", tmp_path / "data", "--workers", "2", "--trades", "40000000", "--end", "2024-01-31")
    with running(*arguments) as process:
        wait_until(lambda: list(tmp_path.glob("data/date=*/*.parquet")), process)
        children = children_of(process.pid)
        _, errors = interrupted(process, number, everybody=True)
    assert errors.splitlines()[-2] == "error: interrupted"
    assert "worker" not in errors
    assert not [path for path in tmp_path.rglob("*.tmp") if path.is_file()]
    deadline = time.monotonic() + PROMPT_SECONDS
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline


def children_of(pid: int) -> list[str]:
    """Return the process ids of the children of a process."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_what_the_caller_ignores_is_ignored(tmp_path: Path, silent_server: tuple[str, socket.socket]) -> None:
    """Neither nohup nor a shell's job in the background is ended by what it is to be kept from."""
    small_dataset(tmp_path)
    address, listener = silent_server
    shell = ("bash", "-c", 'trap "" HUP INT; exec "$@"', "bash", *LOADER)
    with running("verify", tmp_path, "--host", address, program=shell) as process:
        accepted, _ = listener.accept()
        with accepted:
            # Polars has a handler of its own, which would interrupt what it computes.
            ignored = int(re.search(r"SigIgn:\s+(\w+)", Path(f"/proc/{process.pid}/status").read_text())[1], 16)  # type: ignore[index]
            assert all(ignored >> number - 1 & 1 for number in (signal.SIGHUP, signal.SIGINT))
            os.kill(process.pid, signal.SIGHUP)
            os.kill(process.pid, signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            interrupted(process, signal.SIGTERM)


def test_handlers_are_put_back() -> None:
    """A command that runs within a program leaves its signals as they were."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    descriptor = signal.set_wakeup_fd(-1)
    with Interrupts(lambda: None), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert signal.set_wakeup_fd(descriptor) == -1


def test_what_is_ignored_stays_so() -> None:
    """A signal that the caller has ignored does nothing, and is ignored afterwards."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts(lambda: None) as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.came
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("quiet", [True, False])
def test_what_is_in_flight_may_finish(tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    """The first signal is a wish to stop, which is announced unless nothing is to be said."""
    stop = threading.Event()

    def work(observe: Observer) -> None:
        observe(Started("load", 1))
        signal.raise_signal(signal.SIGINT)
        assert stop.wait(10)
        time.sleep(0.2)  # until it is announced

    with pytest.raises(Exit) as caught:
        run("load", None, tmp_path, Output(quiet, False), work, str, lambda report: 0, stop)
    assert caught.value.exit_code == 0
    assert ("stopping: what is in flight" in capsys.readouterr().err) is not quiet


def test_a_wish_to_stop_comes_before_an_interrupt() -> None:
    """While something is in flight the first signal sets the stop sign; what is shielded is not interrupted."""
    stop, announced = threading.Event(), threading.Event()
    with Interrupts(lambda: None, stop, lambda: True, announced.set) as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        assert announced.wait(10)
        assert interrupts.came
        interrupts.shield()
        signal.raise_signal(signal.SIGHUP)


def test_other_threads_have_no_signals() -> None:
    """A command in a thread of a program runs as it would without signals."""
    ended = threading.Event()

    def command() -> None:
        with Interrupts(lambda: None):
            ended.set()

    thread = threading.Thread(target=command)
    thread.start()
    thread.join()
    assert ended.is_set()


def test_what_takes_too_long_is_left_alone() -> None:
    """A deadline is kept whatever the action does."""
    done = threading.Event()
    began = time.monotonic()
    within(0.05, lambda: done.wait(60) and None)
    assert time.monotonic() - began < 30
    done.set()
