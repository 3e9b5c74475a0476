"""Ctrl-C ends every command within a second, whatever it waits for; what was done until then is kept."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loader.cli import build_app
from loader.loading.ledger import last_load, ledger_path
from tests.cases import Case, agreeing
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Fault, Hang, fault_proxy
from tests.processes import interrupted, running, wait_for_words, wait_until

BUSY = Answer(503, headers=(("Retry-After", "100"),))
FAILING = Answer(500, headers=(("Retry-After", "100"),))


@pytest.fixture(scope="module")
def case(influx_v2: Any, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Return a dataset and a server of 2.x that agree."""
    return agreeing(influx_v2, tmp_path_factory.mktemp("agreeing"))


@pytest.mark.parametrize(
    ("arguments", "watched", "fault", "number"),
    [
        (("verify",), "/query", Hang(), signal.SIGINT),
        (("verify",), "/query", BUSY, signal.SIGTERM),
        (("verify", "--values"), "/backup/shards", Hang(), signal.SIGINT),
        (("verify", "--values"), "/backup/shards", FAILING, signal.SIGHUP),
        (("verify",), "/health", BUSY, signal.SIGINT),
        (("load", "--restart"), "/buckets", BUSY, signal.SIGINT),
        (("load", "--restart"), "/write", Hang(), signal.SIGINT),
        (("load", "--restart"), "/write", BUSY, signal.SIGTERM),
        (("load", "--restart"), "/buckets", Hang(), signal.SIGHUP),
    ],
)
def test_a_server_that_does_not_answer(
    case: Case, arguments: tuple[str, ...], watched: str, fault: Fault, number: signal.Signals
) -> None:
    """No reply and no wish of a server keeps a command from its end; its metrics are left."""
    command, *options = arguments
    with (
        fault_proxy(case.server.url, lambda call: fault, (watched,)) as proxy,
        running(
            command,
            case.root,
            *("--host", proxy.url, "--org", case.server.org, "--bucket", case.target.bucket),
            *options,
            environment={"INFLUX_TOKEN": case.target.token},
        ) as process,
    ):
        wait_until(lambda: proxy.writes, process)
        _, errors = interrupted(process, number)
    assert "interrupted" in errors or "stopping" in errors
    newest = max((case.root / ".loader" / "metrics").glob(f"{command}-*.json"))
    assert json.loads(newest.read_text())["exit_code"] == 130
    newest.unlink()


@pytest.mark.parametrize("signals", [1, 2])
def test_a_restore_in_flight(influx_v2: Any, tmp_path: Path, signals: int) -> None:
    """Shards that the server has not counted are not acknowledged, and a rerun completes the load."""
    small_dataset(tmp_path)
    bucket = f"interrupted-{signals}"
    arguments = ("load", tmp_path, "--org", influx_v2.org, "--bucket", bucket, "--via", "restore")
    environment = {"INFLUX_TOKEN": influx_v2.token}
    with (
        fault_proxy(influx_v2.url, lambda call: Hang(), ("/restore/shards",)) as proxy,
        running(*arguments, "--host", proxy.url, *["--quiet"] * (signals - 1), environment=environment) as process,
    ):
        wait_until(lambda: proxy.writes, process)
        _, errors = interrupted(process, *[signal.SIGINT] * signals)
    assert ("stopping" in errors) == (signals == 1)
    # Acknowledged is what was counted; the address is that of the proxy, which is gone.
    last = last_load(tmp_path)
    assert last is not None
    assert (last.rows, last.finished) == (0, "")


def test_a_rate(influx_v2: Any, tmp_path: Path) -> None:
    """A load that waits for its rate ends in order: what is in flight is acknowledged and reported."""
    small_dataset(tmp_path)
    arguments = ("load", tmp_path, "--host", influx_v2.url, "--org", influx_v2.org, "--bucket", influx_v2.new_bucket())
    environment = {"INFLUX_TOKEN": influx_v2.token}
    with running(*arguments, "--rate", "20", "--batch-lines", "10", "--json", environment=environment) as process:
        wait_until(lambda: rows_of(tmp_path), process)
        output, errors = interrupted(process, signal.SIGTERM)
    report = json.loads(output)["report"]
    assert report["interrupted"]
    assert report["rows_done"] == rows_of(tmp_path) > 0
    assert "stopping" in errors
    again = CliRunner().invoke(build_app(), [*map(str, arguments), "--rate", "0"], env=environment)
    assert again.exit_code == 0, again.output
    assert f"{report['rows_done']} rows were done by earlier runs" in again.stdout


def rows_of(root: Path) -> int:
    """Return how many rows the ledger at ``root`` has."""
    last = last_load(root) if ledger_path(root).exists() else None
    return last.rows if last else 0


def test_a_ledger_that_is_locked(influx_v2: Any, tmp_path: Path) -> None:
    """A wait within a library of the system is ended, too."""
    small_dataset(tmp_path)
    arguments = ("load", tmp_path, "--host", influx_v2.url, "--org", influx_v2.org, "--bucket", influx_v2.new_bucket())
    environment = {"INFLUX_TOKEN": influx_v2.token}
    first = CliRunner().invoke(build_app(), [str(argument) for argument in arguments], env=environment)
    assert first.exit_code == 0, first.output
    with closing(sqlite3.connect(ledger_path(tmp_path), isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with running(*arguments, "--restart", environment=environment) as process:
            wait_until(lambda: str(ledger_path(tmp_path)) in open_files(process.pid), process)
            interrupted(process)


def open_files(pid: int) -> list[str]:
    """Return the files that a process has open."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        # It may close any of them meanwhile.
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


def test_a_compilation(tmp_path: Path) -> None:
    """Encoders that are compiled for a new machine keep nobody waiting."""
    small_dataset(tmp_path / "data")
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_DISABLE_JIT": "0"}
    arguments = ("load", tmp_path / "data", "--dry-run", "--via", "restore")
    with running(*arguments, environment=environment) as process:
        wait_for_words("compiling", process)
        interrupted(process)


PROGRAM = """
import sys
from pathlib import Path
from loader import Target, VerifySettings, verify
url, bucket, org, token, root = sys.argv[1:]
try:
    verify(VerifySettings(Path(root), Target(url, bucket, org, token)))
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_program_that_uses_the_library(case: Case) -> None:
    """Ctrl-C comes through to a Python program, and threads that wait for a reply do not hold up its end."""
    target = case.target
    with (
        fault_proxy(case.server.url, lambda call: Hang(), ("/query",)) as proxy,
        running(
            *(proxy.url, target.bucket, target.org, target.token, case.root), program=(sys.executable, "-c", PROGRAM)
        ) as process,
    ):
        wait_until(lambda: proxy.writes, process)
        interrupted(process)
