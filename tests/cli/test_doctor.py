"""``loader doctor``: findings as text and JSON, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loader import diagnosis
from loader.cli import build_app
from loader.diagnosis import Diagnosis, Finding, Level
from loader.loading.ledger import Ledger, ledger_path
from loader.servers.base import Target
from tests.datasets import small_dataset
from tools.influxd import RunningServer

SECRET = "very-secret-token"


def run(*arguments: str | Path) -> Result:
    """Run doctor in this process."""
    return CliRunner().invoke(build_app(), ["doctor", *map(str, arguments)])


def test_all_is_well(influx_v2: RunningServer, tmp_path: Path) -> None:
    """The exit code is 0 and the last line says so; the token is nowhere."""
    small_dataset(tmp_path)
    bucket = influx_v2.new_bucket()
    arguments = ("--host", influx_v2.url, "--org", influx_v2.org, "--token", influx_v2.token, "--bucket", bucket)
    result = run(tmp_path, *arguments)
    assert result.exit_code == 0, result.output
    assert "problem" not in result.stdout
    assert "\x1b" not in result.stdout
    content = json.loads(run(tmp_path, *arguments, "--json").stdout)
    assert content["problems"] == 0
    subjects = [finding["subject"] for finding in content["findings"]]
    assert {"memory", "open files", "server", "clock", "write", "read", "restore", "disk", "dataset"} <= {*subjects}
    assert influx_v2.token not in result.output + json.dumps(content)


def test_the_bucket_is_that_of_the_last_load(influx_v2: RunningServer, tmp_path: Path) -> None:
    """As for a verification: if flags name no other, and the load went to the server that is looked at."""
    manifest = small_dataset(tmp_path)
    bucket = influx_v2.new_bucket()
    target = Target(influx_v2.url, bucket, influx_v2.org)
    with Ledger.opened(tmp_path, target, "", manifest.fingerprint, restart=False):
        pass
    here = ("--host", influx_v2.url, "--token", influx_v2.token)
    assert f"bucket: {bucket!r} is there" in run(tmp_path, *here).stdout
    named = run(tmp_path, *here, "--org", influx_v2.org, "--bucket", "not-there")
    assert "bucket: 'not-there' is missing" in named.stdout


def test_a_last_load_elsewhere_or_a_damaged_one_is_no_error(tmp_path: Path) -> None:
    """A diagnosis looks at the server that is named, and at all else, too."""
    manifest = small_dataset(tmp_path)
    target = Target("http://127.0.0.1:2", "elsewhere", "org")
    with Ledger.opened(tmp_path, target, "", manifest.fingerprint, restart=False):
        pass
    result = run(tmp_path)
    assert result.exit_code == 1, result.output
    assert "server: http://localhost:8086" in result.stdout
    assert "into 'elsewhere' at http://127.0.0.1:2" in result.stdout
    ledger_path(tmp_path).write_bytes(b"not a database" * 100)
    damaged = run(tmp_path, "--host", "http://127.0.0.1:1")
    assert damaged.exit_code == 1, damaged.output
    assert "ok       dataset: 600 rows" in damaged.stdout
    assert "ledger.sqlite" in damaged.stdout
    assert run(tmp_path, "--host", "nonsense").exit_code == 2


def test_problems_are_a_1(tmp_path: Path) -> None:
    """Nothing that was looked at is missing because another thing is wrong, and no file appears."""
    result = run(tmp_path / "none", "--host", "http://127.0.0.1:1", "--token", SECRET)
    assert result.exit_code == 1
    assert "problem  server: http://127.0.0.1:1: cannot connect: Connection refused" in result.stdout
    assert "problem  dataset:" in result.stdout
    assert "2 problems" in result.stdout.splitlines()[-1]
    assert SECRET not in result.output
    assert list(tmp_path.iterdir()) == []


def test_options_that_are_wrong_are_a_2() -> None:
    """An address, a timeout and a file of certificates are checked before anything is looked at."""
    for wrong in (("--host", "nonsense"), ("--timeout", "0"), ("--ca-file", "/nowhere")):
        result = run(*wrong)
        assert result.exit_code == 2, wrong
        assert result.stderr.startswith("error: ")


@pytest.mark.parametrize(("level", "code"), [(Level.OK, 0), (Level.WARNING, 0), (Level.PROBLEM, 1)])
def test_the_worst_finding_decides(monkeypatch: pytest.MonkeyPatch, level: Level, code: int) -> None:
    """Warnings are no failure; where colours are wanted, the level has one."""
    found = Diagnosis((Finding("memory", level, "problem in the text"),))
    monkeypatch.setattr(diagnosis, "diagnose", lambda settings: found)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    result = run()
    assert result.exit_code == code
    first = result.stdout.splitlines()[0]
    assert first.startswith("\x1b[")
    assert first.endswith("memory: problem in the text")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run().stdout.startswith(level)
