"""Whatever goes wrong ends in an exit code, a line and JSON: no traceback, and never the 1 that means differences."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from loader import loading
from loader.cli import build_app, load, outcome
from loader.cli import running as command_running
from loader.cli.progress import watching
from loader.cli.streams import Outlet
from loader.events import Advanced, Event, Notice, Started
from loader.reporting import recorder
from loader.reporting import text as reports
from loader.unexpected import find_secrets, hide
from tests.datasets import small_dataset
from tests.processes import LOADER, running

SECRET = "very-secret-token"


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError


FOREIGN = [
    KeyError("partitions"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    OSError(errno.ENOSPC, "No space left on device", "/there"),
    OSError("no number"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    sqlite3.OperationalError("disk I/O error"),
    pa.ArrowInvalid("Parquet magic bytes not found"),
    pl.exceptions.ComputeError("ragged"),
    pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value"),
    ValueError(f"Invalid header value b'Token {SECRET}\\r'"),
    ValueError("Invalid header value b'Token somebody-elses-secret'"),
    ValueError(f"http://bob:{SECRET}@host \x1b[2J \x00 " + "long " * 10_000),
    SystemExit(1),
    GeneratorExit(),
    Mute(),
]


def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> Result:
    """Run the command line in this process."""
    given = {"INFLUX_TOKEN": SECRET, "INFLUX_CONFIGS_PATH": "/dev/null", **(environment or {})}
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments], env=given)


def run_process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*LOADER, *map(str, arguments)], text=True, timeout=60, **pipes)


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_a_foreign_error_is_a_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """One line names its kind, JSON and metrics are left, and no secret is shown, not even by --debug."""

    def fail(*arguments: Any) -> None:
        raise error

    small_dataset(tmp_path)
    monkeypatch.setattr(loading, "load", fail)
    result = run("load", tmp_path, "--json")
    assert result.exit_code == 3
    first, hint = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert hint.startswith("hint: ")
    assert len(first) < 250
    assert first.isprintable()
    content = json.loads(result.stdout)
    assert content["exit_code"] == 3
    assert first == f"error: {content['error']}"
    (metrics,) = (tmp_path / ".loader" / "metrics").iterdir()
    assert json.loads(metrics.read_text())["error"] == content["error"]
    debug = run("load", tmp_path, "--debug")
    assert "Traceback" in debug.stderr
    assert "in fail" in debug.stderr
    for text in (result.output, debug.output, metrics.read_text()):
        assert SECRET not in text
        assert "somebody-elses-secret" not in text


def test_secrets_are_known_wherever_they_are() -> None:
    """Those of the command line and of the environment are hidden, in any form; what is very short is no secret."""
    arguments = ["load", "--token", "of-a-flag", "--token=of-another", "--bucket", "b", "--token"]
    environment = {"INFLUX_TOKEN": "of-the-environment\r", "INFLUXDB_V2_TOKEN": "abc", "INFLUX_HOST": "http://host"}
    secrets = find_secrets(arguments, environment)
    proxies = {"HTTPS_PROXY": "http://me:p%40ss-word@proxy", "no_proxy": "a,b", "http_proxy": "proxy:1"}
    assert hide("p@ss-word, p%40ss-word, proxy", find_secrets(["load"], proxies)) == "***, ***, proxy"
    text = f"of-a-flag of-another {'of-the-environment'!r} abc http://host"
    assert hide(text, secrets) == "*** *** '***' abc http://host"


@pytest.mark.parametrize(
    "echo", ["bob:pass/word", "pass/word", "Ym9iOnBhc3Mvd29yZA==", "bob%3Apass%2Fword", "bob:pass%2Fword"]
)
def test_a_password_is_hidden_in_each_form_in_which_it_travels(echo: str) -> None:
    """Whole and alone, in Base64 as a header has it, and as an address holds it; the name of the user is none."""
    assert "pass" not in hide(f"bob: no {echo}", ["bob:pass/word"])
    assert "Ym9i" not in hide(f"bob: no {echo}", ["bob:pass/word"])
    assert hide(f"bob: no {echo}", ["bob:pass/word"]).startswith("bob: no ")
    assert hide(f"bob: no {echo}", ["bob"]) == f"bob: no {echo}"


def test_the_kind_and_where_to_report_it_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the loader says so; one of the machine says what to look at."""
    small_dataset(tmp_path)
    errors = iter(FOREIGN[:4])

    def fail(*arguments: Any) -> None:
        raise next(errors)

    monkeypatch.setattr(loading, "load", fail)
    fault, deep, memory, disk = (run("load", tmp_path).stderr for _ in range(4))
    assert "error: unexpected KeyError: 'partitions'\n" in fault
    assert "issue page" in fault
    assert "--debug" in fault
    assert "unexpected RecursionError" in deep
    assert "not enough memory" in memory
    assert "error: /there: No space left on device\n" in disk


def test_debug_shows_where_errors_of_ours_come_from(tmp_path: Path) -> None:
    """--debug, or LOADER_DEBUG, prints the traceback of every error."""
    assert "Traceback" in run("status", tmp_path, "--debug").stderr
    assert "Traceback" in run("status", tmp_path, environment={"LOADER_DEBUG": "1"}).stderr
    assert "Traceback" not in run("status", tmp_path).stderr


@pytest.mark.parametrize(
    "break_it",
    [
        lambda state: (state / "manifest.json").write_text("[" * 100_000),
        lambda state: (state / "manifest.json").write_text('{"format": 1}'),
        lambda state: (state / "metrics" / "verify-2.json").write_text("{"),
        lambda state: (state / "metrics" / "verify-2.json").write_text('{"settings": []}'),
        lambda state: (state / "ledger.sqlite").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 16),
    ],
)
def test_damaged_files_are_no_differences(tmp_path: Path, break_it: Callable[[Path], object]) -> None:
    """What lies beside a dataset may be anything: the status ends in words."""
    small_dataset(tmp_path)
    (tmp_path / ".loader" / "metrics").mkdir()
    break_it(tmp_path / ".loader")
    result = run("status", tmp_path, "--json")
    assert result.exit_code in {0, 2, 3}
    assert json.loads(result.stdout)
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "error", "command"),
    [
        (("lod",), "No such command 'lod'. Did you mean 'load'?", ""),
        (("load", "--bukcet", "b"), "No such option: --bukcet", " load"),
        (("load", "--bucket"), "Option '--bucket' requires an argument.", " load"),
        (("--bucket",), "No such option: --bucket", ""),
        (("load", "--via", "rstore"), "'rstore' is not one of 'auto', 'write', 'restore'.", " load"),
        (("completion",), "Missing argument 'SHELL'. Choose from: bash, zsh, fish", " completion"),
    ],
)
def test_wrong_usage_names_the_help_of_its_command(arguments: tuple[str, ...], error: str, command: str) -> None:
    """In one line without escapes or words about validation; the hint is a command that works."""
    result = run_process(*arguments)
    assert result.returncode == 2
    said, hint = result.stderr.splitlines()
    assert said.startswith("error: ")
    assert error in said
    assert "\\" not in said
    assert "Value error" not in said
    assert hint.endswith(f"loader{command} --help says what there is")


@pytest.mark.parametrize("arguments", [("-h",), ("load", "-h")])
def test_help_by_its_short_name(arguments: tuple[str, ...]) -> None:
    """It is the same help."""
    assert run(*arguments).stdout == run(*arguments[:-1], "--help").stdout != ""


@pytest.mark.parametrize("address", ["http://[::1", "http://a:b", "http://", "http://a b", "http://\x1b[2J:1", "x"])
@pytest.mark.parametrize("command", ["load", "verify"])
def test_odd_addresses_are_no_differences(tmp_path: Path, command: str, address: str) -> None:
    """No text in the place of an address is anything but an error in words."""
    small_dataset(tmp_path)
    result = run(command, tmp_path, "--json", environment={"INFLUX_HOST": address})
    assert result.exit_code in {2, 3}, result.output
    assert json.loads(result.stdout)["error"]


def test_a_result_that_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of reporting is said beside the outcome, which it does not hide."""
    small_dataset(tmp_path)
    monkeypatch.setattr(reports, "load_text", lambda report: 1 / 0)
    result = run("load", tmp_path, "--dry-run")
    assert result.exit_code == 3
    assert "the result cannot be shown: unexpected ZeroDivisionError" in result.stderr
    monkeypatch.setattr(sys.modules[load.__module__], "judge_rows", lambda report: outcome.DIFFERENT)
    assert run("load", tmp_path, "--dry-run").exit_code == 1


@pytest.mark.parametrize("command", [[], ["load"], ["stage"], ["status"]])
def test_help_is_a_0(command: list[str]) -> None:
    """Help that goes to a file or a pipe ends well, and says nothing else."""
    done = subprocess.run([*LOADER, *command, "--help"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_a_command_is_concluded_once(tmp_path: Path) -> None:
    """A signal and the end of the work may come together: one of them writes the metrics and the words."""
    small_dataset(tmp_path)
    command = command_running._Command("load", None, tmp_path, outcome.Output(quiet=True, json=False), str)
    assert [command.conclude(outcome.STOPPED) for _ in range(2)] == [130, 130]
    assert len(list((tmp_path / ".loader").glob("metrics/*"))) <= 1


def test_metrics_that_cannot_be_measured_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done all the same."""
    small_dataset(tmp_path)
    monkeypatch.setattr(recorder, "versions", lambda: 1 / 0)
    result = run("load", tmp_path, "--dry-run")
    assert result.exit_code == 0
    assert "warning: no metrics file: unexpected ZeroDivisionError" in result.stderr
    assert "600 of 600" in result.stdout


def test_what_the_command_line_cannot_read_is_a_2() -> None:
    """A usage error has a line, a hint and JSON, like every other one."""
    result = run_process("load", "--no-such-option", "--json")
    assert result.returncode == 2
    assert json.loads(result.stdout) == {"exit_code": 2, "error": "No such option: --no-such-option"}
    assert result.stderr.splitlines()[0] == "error: No such option: --no-such-option"
    assert "load --help" in result.stderr


def test_no_command_is_a_2_with_help() -> None:
    """Nothing asked for is no success, and the answer is what there is."""
    result = run_process()
    assert result.returncode == 2
    assert "verify" in result.stdout


@pytest.mark.parametrize("debug", [True, False])
def test_a_library_that_cannot_be_imported(tmp_path: Path, debug: bool) -> None:
    """An installation that is broken is said in the same way, before there is anything else."""
    (tmp_path / "typer.py").write_text("raise ImportError('half installed')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "LOADER_DEBUG": "1" * debug}
    result = run_process("load", "--json", env=environment)
    assert result.returncode == 3
    assert json.loads(result.stdout) == {"exit_code": 3, "error": "unexpected ImportError: half installed"}
    assert ("Traceback" in result.stderr) == debug
    assert "issue page" in result.stderr
    with Path("/dev/full").open("w") as full:
        assert run_process("load", env=environment, stderr=full).returncode == 3


@pytest.mark.parametrize("broken", ["lambda: 1 / 0", "lambda: lambda **_: 1 / 0"])
def test_an_error_round_a_command_is_a_3(broken: str) -> None:
    """The guard stands round what is round the commands, too: how they are put together, how they are called."""
    program = f"import loader.cli as cli; cli.build_app = {broken}; from loader.__main__ import main; main()"
    result = subprocess.run([sys.executable, "-c", program, "--debug"], capture_output=True, text=True)
    assert result.returncode == 3
    assert "error: unexpected ZeroDivisionError" in result.stderr
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("command", "code", "redirection"),
    [
        (("load", "--dry-run"), 0, "2>&1 | true"),
        (("load", "--dry-run", "--json"), 0, ">&-"),
        (("load", "--dry-run"), 0, ">&- 2>&- <&-"),
        (("status",), 0, "| true"),
        (("verify", "--samples", "x"), 2, "2>&-"),
        (("load", "--help"), 0, "| true"),
    ],
)
def test_a_reader_that_is_gone_changes_nothing(
    tmp_path: Path, command: tuple[str, ...], code: int, redirection: str
) -> None:
    """Neither a pipe that broke nor a closed descriptor ends the work, changes its code or brings a traceback."""
    small_dataset(tmp_path)
    script = f"{' '.join([*LOADER, command[0], str(tmp_path), *command[1:]])} {redirection}; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == code, result
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_closed_descriptors_are_not_given_to_files(tmp_path: Path) -> None:
    """A ledger or a socket that came to be standard error would get what is meant for a terminal."""
    small_dataset(tmp_path)
    closing = ("bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *LOADER)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with running("verify", tmp_path, "--host", address, program=closing) as process:
            accepted, _ = listener.accept()
            with accepted:
                found = [Path(f"/proc/{process.pid}/fd/{number}").readlink() for number in range(3)]
    assert found == [Path("/dev/null")] * 3


def test_a_full_disk_for_the_result_is_a_3(tmp_path: Path) -> None:
    """A result that could not be written is no success, though the work is done; other codes stay."""
    small_dataset(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = run_process("load", tmp_path, "--dry-run", stdout=full)
        wrong = run_process("load", tmp_path, "--no-such-option", "--json", stdout=full)
    assert (done.returncode, wrong.returncode) == (3, 2)
    for result in (done, wrong):
        assert "could not be written to standard output: No space left on device" in result.stderr
        assert "Traceback" not in result.stderr
    assert "the work itself is done" in done.stderr
    assert "the work itself is done" not in wrong.stderr


def test_progress_that_cannot_be_written_does_not_end_the_work(tmp_path: Path) -> None:
    """Progress on a full disk is lost, the work is not."""
    small_dataset(tmp_path)
    with Path("/dev/full").open("w") as full:
        result = run_process("load", tmp_path, "--dry-run", stderr=full)
    assert result.returncode == 0
    assert "600 of 600" in result.stdout


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1"])
def test_a_terminal_of_few_characters(tmp_path: Path, encoding: str) -> None:
    """What the terminal's encoding lacks is shown as an escape."""
    small_dataset(tmp_path / "Börse €")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    result = run_process("status", tmp_path / "Börse €" / "no", env=environment, encoding="latin-1")
    assert result.returncode == 2
    assert "\\u20ac" in result.stderr


@pytest.mark.parametrize("error", [OSError(errno.EPIPE, "gone"), OSError(errno.ENOSPC, "full"), ValueError("closed")])
@pytest.mark.parametrize("terminal", [True, False])
def test_an_observer_that_fails_falls_silent(error: Exception, terminal: bool) -> None:
    """Progress that raises, by whatever it may, is not asked again."""
    written: list[str] = []

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            if "said" in text:
                raise error
            return len(text)

    console = Console(file=Outlet(Broken()), force_terminal=terminal)  # type: ignore[arg-type]
    events: list[Event] = [Notice("said"), Advanced(1), Notice("said again")]
    with watching(console, quiet=False) as observe:
        for event in events:
            observe(event)
    assert sum("said" in text for text in written) == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_a_warning_is_said_to_be_one(terminal: bool) -> None:
    """Among other notices, on a terminal and elsewhere."""
    stream = io.StringIO()
    with watching(Console(file=stream, force_terminal=terminal), quiet=False) as observe:
        observe(Notice("a server"))
        observe(Notice("others can read it", warning=True))
    assert [line in stream.getvalue() for line in ("warning: a", "warning: others can read it")] == [False, True]


def test_there_is_no_progress_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice that comes late, since a machine is slow, is not followed by a line of 0 of 0 rows."""
    monkeypatch.setattr("loader.cli.progress.LINE_SECONDS", 0.0)
    stream = io.StringIO()
    with watching(Console(file=stream), quiet=False) as observe:
        for event in (Notice("compiling"), Started("load", 5), Advanced(1)):
            observe(event)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compiling"
    assert [line.partition(", ")[0] for line in lines[1:]] == ["load: 0 of 5 rows", "load: 1 of 5 rows"]


def test_an_observer_that_raises_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no stream is to blame."""
    asked: list[str] = []

    def say(console: Console, text: str) -> None:
        asked.append(text)
        raise RuntimeError

    monkeypatch.setattr("loader.cli.progress._say", say)
    with watching(Console(file=io.StringIO()), quiet=False) as observe:
        observe(Notice("one"))
        observe(Notice("two"))
    assert asked == ["one"]


def test_an_outlet_without_a_stream() -> None:
    """A process may have no standard output at all."""
    outlet = Outlet(None)
    assert outlet.write("text") == 4
    outlet.flush()
    assert not outlet.isatty()
    assert outlet.failure is None


def test_an_outlet_tells_a_failure_from_a_reader_that_is_gone() -> None:
    """A full disk is remembered; a stream that was closed, or whose reader is gone, is not."""
    closed = io.StringIO()
    closed.close()
    outlet = Outlet(closed)
    assert not outlet.isatty()
    outlet.write("text")
    assert outlet.failure is None
    with Path("/dev/full").open("w") as full:
        outlet = Outlet(full)
        assert outlet.encoding == full.encoding
        outlet.write("text")
        outlet.flush()
        assert isinstance(outlet.failure, OSError)
