"""The versions of the loader and of a server."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from tools.influxd import RunningServer


def run(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [*arguments])


def test_versions_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need no server, whatever the environment names; the loader is first."""
    monkeypatch.setenv("INFLUX_HOST", "http://127.0.0.1:1")
    result = run("--version")
    assert result.exit_code == 0
    lines = dict(line.split() for line in result.stdout.splitlines())
    assert next(iter(lines.items())) == ("loader", version("loader"))
    assert lines["polars"] == version("polars")


def test_the_version_of_a_server(influx: RunningServer) -> None:
    """It is found for each server, as text and as JSON; no permission is needed."""
    result = run("version", "--host", influx.url)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"InfluxDB {influx.version} at {influx.url}\n")
    content = json.loads(run("version", "--host", influx.url, "--json").stdout)
    assert content["server"] == {"url": influx.url, "version": influx.version}
    assert content["versions"]["loader"] == version("loader")


def test_a_server_that_is_not_there() -> None:
    """It is an error with a hint, and what is installed is told all the same."""
    result = run("version", "--host", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert result.stdout == run("--version").stdout
    content = json.loads(run("version", "--host", "http://127.0.0.1:1", "--json").stdout)
    assert content["versions"]["loader"] == version("loader")
    assert content["server"] == {"url": "http://127.0.0.1:1", "version": None}
    assert content["exit_code"] == 3
    assert "cannot connect" in content["error"]
    assert "cannot connect" in result.stderr
    assert "hint: is the server running" in result.stderr
    assert run("version", "--host", "nonsense").exit_code == 2
