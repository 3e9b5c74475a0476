"""Real servers for every test that talks to one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.core import HINT, RunningCore, named_core
from tools.influxd import OPTIONAL, VERSIONS, RunningServer, find_binary, start

_TESTED = pytest.StashKey[dict[str, str]]()
_LEFT_OUT = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the summary tells about servers."""
    config.stash[_TESTED] = {}
    config.stash[_LEFT_OUT] = {}
    # 2.x opens as many files at a time as there are processors, and forgets a place when a restore is cut off while it
    # opens several: of two places, none is left after two such tests.
    os.environ.setdefault("GOMAXPROCS", "16")


@pytest.fixture(scope="session", autouse=True)
def usual_signals() -> Iterator[None]:
    """Let signals that the caller ignores, as a shell does in the background, do what they usually do."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    ignored = [number for number in usual if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the process that distributes the tests know which servers this one saw."""
    told: dict[str, Any] = getattr(session.config, "workeroutput", {})
    told.update(tested=session.config.stash[_TESTED], left_out=session.config.stash[_LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process says that has run its share of the tests."""
    told: dict[str, Any] = getattr(node, "workeroutput", {})
    node.config.stash[_TESTED].update(told.get("tested", {}))
    node.config.stash[_LEFT_OUT].update(told.get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which servers were tested, and how to include those that were not."""
    terminalreporter.section("servers")
    if "v3" in config.stash[_TESTED]:
        terminalreporter.line(f"tested: InfluxDB {config.stash[_TESTED]['v3']}")
    elif "v3" in config.stash[_LEFT_OUT]:
        terminalreporter.line(f"left out: InfluxDB 3; {HINT}")
    for kind, version in VERSIONS.items():
        if kind in config.stash[_TESTED]:
            terminalreporter.line(f"tested: InfluxDB {config.stash[_TESTED][kind]}")
        elif kind in config.stash[_LEFT_OUT]:
            terminalreporter.line(f"left out: InfluxDB {version}; to include it: tools/build-influxd {version}")


def _started(config: pytest.Config, kind: str, folder: Path, **settings: Any) -> RunningServer:
    binary = find_binary(kind)
    if binary is None:
        config.stash[_LEFT_OUT][kind] = VERSIONS[kind]
        message = f"no influxd {VERSIONS[kind]} here; to include it: tools/build-influxd {VERSIONS[kind]}"
        if os.environ.get("LOADER_REQUIRE_SERVERS") and kind not in OPTIONAL:
            pytest.fail(message)
        pytest.skip(message)
    server = start(binary, folder, **settings)
    config.stash[_TESTED][kind] = server.version
    return server


@pytest.fixture(scope="session")
def influx_v1(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a running InfluxDB 1.8."""
    server = _started(request.config, "v1", tmp_path_factory.mktemp("influxd-v1"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def influx_v2(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a running InfluxDB 2."""
    server = _started(request.config, "v2", tmp_path_factory.mktemp("influxd-v2"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def influx_early(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a running InfluxDB before 1.8."""
    server = _started(request.config, "v1.6", tmp_path_factory.mktemp("influxd-early"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def influx_v3(request: pytest.FixtureRequest) -> RunningCore:
    """Return the InfluxDB 3 Core that the environment names; none can be had here, so it is never required."""
    server = named_core()
    if server is None:
        request.config.stash[_LEFT_OUT]["v3"] = "3"
        pytest.skip(f"no InfluxDB 3 is named; {HINT}")
    request.config.stash[_TESTED]["v3"] = server.version
    return server


@pytest.fixture(params=["v1", "v2"])
def influx(request: pytest.FixtureRequest) -> RunningServer:
    """Return each running server in turn."""
    server: RunningServer = request.getfixturevalue(f"influx_{request.param}")
    return server


@pytest.fixture
def start_influxd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RunningServer]]:
    """Return a function that starts a server of its own, which may be killed and restarted, or has other settings."""
    servers: list[RunningServer] = []

    def begin(kind: str, **settings: Any) -> RunningServer:
        servers.append(_started(request.config, kind, tmp_path_factory.mktemp(f"influxd-{kind}"), **settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()
