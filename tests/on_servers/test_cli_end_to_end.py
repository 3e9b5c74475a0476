"""Stage, load, verify and status from the command line, against real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.reporting.status import read_status
from tests.datasets import JANUARY_2, small_dataset
from tests.fault_proxy import Answer, fault_proxy


def run(server: Any, *arguments: str | Path) -> Result:
    """Run the command line with the server's address and token in the environment."""
    environment = {"INFLUX_HOST": server.url, "INFLUX_TOKEN": server.token, "INFLUX_ORG": server.org}
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments], env=environment)


def test_the_whole_way(influx: Any, tmp_path: Path) -> None:
    """Staged trades are loaded, verified without options, and shown in the status; a planted point is found."""
    out = tmp_path / "data"
    bucket = influx.new_bucket()
    staged = run(influx, "stage", "--out", out, "--trades", "3000", "--end", "2024-01-04", "--workers", "1")
    assert staged.exit_code == 0, staged.output
    loaded = run(influx, "load", out, "--bucket", bucket)
    assert loaded.exit_code == 0, loaded.output
    assert "3,000 of 3,000" in loaded.stdout
    assert f"server {influx.url}, bucket {bucket!r} of organization {influx.org!r}" in loaded.stderr
    verified = run(influx, "verify", out)
    assert verified.exit_code == 0, verified.output
    assert "no differences" in verified.stdout
    every = run(influx, "verify", out, "--values")
    assert every.exit_code == 0, every.output
    assert "all 6,000 values" in every.stdout
    line = f"trades,symbol=AAPL,side=buy price=1,amount=1i {JANUARY_2 + 1}".encode()
    influx.call(f"/api/v2/write?org={influx.org}&bucket={bucket}&precision=ns", line)
    ignoring = run(influx, "verify", out)  # the load did not make this bucket
    assert ignoring.exit_code == 0
    assert "points that the dataset does not have were not looked for" in ignoring.stdout
    different = run(influx, "verify", out, "--surplus", "fail")
    assert different.exit_code == 1
    assert "surplus" in different.stdout
    status = run(influx, "status", out)
    assert status.exit_code == 0
    assert f"3,000 points into {bucket}" in status.stdout
    files = [path.read_bytes() for path in (out / ".loader").rglob("*") if path.is_file()]
    assert all(influx.token.encode() not in content for content in files)


def test_rejected_lines_are_exit_code_1(influx_v2: Any, tmp_path: Path) -> None:
    """A load that lost a line is no success, though it went on."""
    small_dataset(tmp_path / "data", days=1, symbols=("AAPL",), rows=5)
    arguments = ("load", tmp_path / "data", "--bucket", influx_v2.new_bucket(), "--batch-lines", "1")
    with fault_proxy(influx_v2.url, lambda call: Answer(422) if call.number == 3 else None) as proxy:
        result = run(influx_v2, *arguments, "--host", proxy.url)
    assert result.exit_code == 1, result.output
    assert "rejected 1 row: " in result.stdout


def test_rejected_rows_from_load_to_verification(influx_v2: Any, tmp_path: Path) -> None:
    """Too many end a load with 3, allowed ones with 1; a replay that brings them ends with 0, and all is verified."""
    data = tmp_path / "data"
    small_dataset(data, days=1, symbols=("AAPL",), rows=5)
    bucket, broken = influx_v2.new_bucket(), [True]
    refuse = lambda call: Answer(422) if broken and b"amount=103i" in call.body else None  # noqa: E731
    with fault_proxy(influx_v2.url, refuse) as proxy:
        command = ("load", data, "--bucket", bucket, "--host", proxy.url)
        wrong = run(influx_v2, *command, "--max-rejected", "some")
        assert (wrong.exit_code, "error: max rejected of 'some'" in wrong.stderr) == (2, True)
        ended = run(influx_v2, *command, "--max-rejected", "5%")
        assert ended.exit_code == 3
        assert "more than the 0 allowed" in ended.stderr
        allowed = run(influx_v2, *command, "--max-rejected", "20%", "--json")
        report = json.loads(allowed.stdout)["report"]
        assert (allowed.exit_code, report["rows_acknowledged"], report["rows_rejected"]) == (1, 8, 2)
        again = run(influx_v2, "replay", data, "--host", proxy.url)
        assert again.exit_code == 1
        assert "replayed 0 of 2 rejected rows" in again.stdout
        broken.clear()
        replayed = run(influx_v2, "replay", data, "--host", proxy.url, "--json")
        assert replayed.exit_code == 0, replayed.output
        assert json.loads(replayed.stdout)["report"]["rows_acknowledged"] == 10
        assert run(influx_v2, "verify", data, "--host", proxy.url).exit_code == 0
    status = json.loads(run(influx_v2, "status", data, "--json").stdout)
    assert [status["load"][name] for name in ("rows", "acknowledged", "rejected", "skipped")] == [10, 10, 0, 0]
    page = tmp_path / "page.html"
    assert run(influx_v2, "report", data, "--out", page).exit_code == 0
    assert "Rows were rejected" not in page.read_text()
    nowhere = run(influx_v2, "replay", tmp_path / "nowhere", "--schema", tmp_path / "none.toml")
    assert nowhere.exit_code == 2


def test_a_load_that_fails_leaves_what_it_did(influx_v2: Any, tmp_path: Path) -> None:
    """The metrics of a run that could not finish have its rows, bytes, retries and waits all the same."""
    small_dataset(tmp_path / "data")
    faults = {1: Answer(503), 4: Answer(401)}
    arguments = ("load", tmp_path / "data", "--bucket", influx_v2.new_bucket(), "--batch-lines", "100")
    with fault_proxy(influx_v2.url, lambda call: faults.get(call.number)) as proxy:
        result = run(influx_v2, *arguments, "--connections", "1", "--host", proxy.url, "--quiet")
    assert result.exit_code == 2, result.output
    (path,) = (tmp_path / "data" / ".loader" / "metrics").iterdir()
    metrics = json.loads(path.read_text())
    assert (metrics["retries"], metrics["exit_code"]) == (1, 2)
    assert (
        0 < metrics["rows"] == json.loads(run(influx_v2, "status", tmp_path / "data", "--json").stdout)["load"]["rows"]
    )
    assert "401" in metrics["error"]
    assert metrics["bytes"] > metrics["rows"] * 50
    assert metrics["waits"].keys() == {"retry", "server busy"}
    assert {"settings", "machine", "versions", "seconds", "cpu_seconds", "peak_memory"} <= metrics.keys()


def test_ctrl_c_once_finishes_what_is_in_flight(influx_v2: Any, tmp_path: Path) -> None:
    """One Ctrl-C ends a load in good order with exit code 130, and a rerun completes it."""
    small_dataset(tmp_path / "data")
    bucket = influx_v2.new_bucket()
    command = [sys.executable, "-m", "loader", "load", str(tmp_path / "data"), "--bucket", bucket, "--json"]
    command += ["--host", influx_v2.url, "--org", influx_v2.org, "--batch-lines", "10", "--rate", "100"]
    environment = {**os.environ, "INFLUX_TOKEN": influx_v2.token}
    with (
        fault_proxy(influx_v2.url, lambda call: seen.append(call.number)) as proxy,
        subprocess.Popen(
            [*command, "--host", proxy.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process,
    ):
        while not proxy.writes:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        report = json.loads(output)["report"]
        assert process.returncode == 130
        done = read_status(tmp_path / "data").load.rows  # type: ignore[union-attr]
        assert 0 < done < 600
        # On a busy machine the second that a load gets may be over before there is a report.
        assert report is None or (report["interrupted"], report["rows_done"]) == (True, done)
        again = run(influx_v2, "load", tmp_path / "data", "--bucket", bucket, "--host", proxy.url)
    assert again.exit_code == 0, again.output
    assert f"{done} rows were done by earlier runs" in again.stdout


seen: list[int] = []


@pytest.mark.parametrize("command", [("load",), ("load", "--via", "restore"), ("verify",), ("tune",)])
def test_what_the_server_refuses_ends_in_2(influx_v2: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    """A wrong token is configuration: to try again is no use. The server's words are shown, the token is not."""
    small_dataset(tmp_path / "data")
    result = run(influx_v2, *command, tmp_path / "data", "--host", influx_v2.url, "--token", "very-secret-token")
    assert result.exit_code == 2
    assert "401" in result.stderr
    assert "very-secret-token" not in result.output


def test_rows_that_cannot_be_points_are_told_apart_from_differences(influx_v2: Any, tmp_path: Path) -> None:
    """Load and verify leave out the same rows and exit with 1; the verdict, the status and the report name them."""
    times = pa.array([JANUARY_2 + number for number in range(20)], pa.timestamp("ns", "UTC"))
    gaps = pa.array([None if 3 <= number < 12 else float(number) for number in range(20)])
    pq.write_table(pa.table({"time": times, "x": gaps}), tmp_path / "gaps.parquet")
    bucket = influx_v2.new_bucket()
    loaded = run(
        influx_v2, "load", tmp_path / "gaps.parquet", "--bucket", bucket, "--measurement", "m", "--time", "time"
    )
    assert (loaded.exit_code, "loaded   11 of 20 points" in loaded.stdout) == (1, True)
    for more in ([], ["--values"]):
        told = run(influx_v2, "verify", tmp_path / "gaps.parquet", *more)
        assert told.exit_code == 1
        assert told.stdout.startswith("verified 11 of 20 points: no differences; 9 rows not compared\n")
        assert "no point  9 rows: x: a point needs a value of at least one field" in told.stdout
        assert told.stdout.count("gaps.parquet, row ") == 5
        assert "missing" not in told.stdout
    assert "no differences, 9 rows cannot be points" in run(influx_v2, "status", tmp_path / "gaps.parquet").stdout
    page = tmp_path / "report.html"
    assert run(influx_v2, "report", tmp_path / "gaps.parquet", "--out", page).exit_code == 0
    words = page.read_text()
    assert "no differences, 9 rows cannot be points" in words
    assert "All rows that can be points were verified" in words
    assert "--restart" not in words
