"""Runs a real influxd on a free loopback port, for tests, benchmarks and the demo. Standard library only."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

VERSIONS = {"v1": "1.8.10", "v2": "2.9.1", "v1.6": "1.6.7"}
OPTIONAL = frozenset({"v1.6"})
_SERIES = {"v1": r"1\.8\.", "v2": r"2\.", "v1.6": r"1\.[0-7]\."}
_READY_SECONDS = 60.0


def cache_folder() -> Path:
    """Return where tools/build-influxd keeps finished binaries."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loader"
    return Path(os.environ.get("LOADER_CACHE") or default)


def find_binary(kind: str) -> Path | None:
    """Return an influxd of ``kind``, a key of VERSIONS: from the environment, the cache, or PATH; None without one."""
    named = os.environ.get(f"LOADER_INFLUXD_{kind.upper().replace('.', '_')}")
    if named:
        return Path(named)
    cached = cache_folder() / f"influxd-{VERSIONS[kind]}"
    if cached.exists():
        return cached
    found = shutil.which("influxd")
    if found and re.match(_SERIES[kind], version_of(Path(found))):
        return Path(found)
    return None


def version_of(binary: Path) -> str:
    """Return the version that ``binary`` says it has, "" when it says none."""
    result = subprocess.run([binary, "version"], capture_output=True, text=True, check=False, timeout=30)
    match = re.search(r"v?(\d+\.\d+\.\d+)", result.stdout)
    return match.group(1) if match else ""


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class RunningServer:
    """A server that this process started: ``folder`` holds all its data, ``stop`` ends it."""

    kind: str
    version: str
    url: str
    org: str
    token: str = field(repr=False)
    command: list[str]
    folder: Path
    process: subprocess.Popen[bytes]
    numbers: count[int] = field(default_factory=count)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def new_bucket(self) -> str:
        """Make a bucket (2.x) or database (1.8) with a name of its own, and return the name."""
        name = f"bucket{next(self.numbers)}"
        if self.version.startswith("1."):
            statement = urllib.parse.urlencode({"q": f"CREATE DATABASE {name}"}).encode()
            self.call("/query", statement)
        else:
            org = json.loads(self.call(f"/api/v2/orgs?org={self.org}"))["orgs"][0]["id"]
            self.call("/api/v2/buckets", json.dumps({"orgID": org, "name": name, "retentionRules": []}).encode())
        return name

    def call(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        """Send one authorised request and return the reply's body; raises urllib's errors."""
        headers = {"Authorization": f"Token {self.token}"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            content: bytes = reply.read()
            return content

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Start the server again on the same folder and port."""
        self.process = _run(self.command, self.folder)
        _wait_until_ready(self.url, self.process, self.folder)

    def stop(self) -> None:
        """End the server in good order."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def start(
    binary: Path,
    folder: Path,
    *,
    org: str = "loader",
    token: str = "local-test-token",
    users: bool = False,
    row_limit: int = 0,
) -> RunningServer:
    """Start ``binary`` with all its data in ``folder`` and return once it answers; raises RuntimeError.

    With ``users``, 1.x wants a user and password once there is one. With ``row_limit``, 1.x answers in one piece with
    so many rows at most.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    version = version_of(binary)
    first = version.startswith("1.")
    kind = next(kind for kind, series in _SERIES.items() if re.match(series, version))
    folder.mkdir(parents=True, exist_ok=True)
    command = _command_v1(binary, folder, port, users, row_limit) if first else _command_v2(binary, folder, port)
    process = _run(command, folder)
    server = RunningServer(kind, version, url, org, token, command, folder, process)
    try:
        _wait_until_ready(url, process, folder)
        if not first:
            setup = {"username": "loader", "password": "local-password", "org": org, "bucket": "setup", "token": token}
            server.call("/api/v2/setup", json.dumps(setup).encode())
    except BaseException:
        server.kill()
        raise
    return server


def _command_v2(binary: Path, folder: Path, port: int) -> list[str]:
    return [
        str(binary),
        f"--http-bind-address=127.0.0.1:{port}",
        "--reporting-disabled",
        "--ui-disabled",
        "--log-level=warn",
        f"--bolt-path={folder / 'influxd.bolt'}",
        f"--sqlite-path={folder / 'influxd.sqlite'}",
        f"--engine-path={folder / 'engine'}",
    ]


def _command_v1(binary: Path, folder: Path, port: int, users: bool, row_limit: int) -> list[str]:
    configuration = folder / "influxdb.conf"
    configuration.write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
index-version = "tsi1"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
flux-enabled = true
auth-enabled = {str(users).lower()}
max-row-limit = {row_limit}
log-enabled = false
[logging]
level = "warn"
"""
    )
    return [str(binary), "-config", str(configuration)]


def _run(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C in a terminal is for whoever started the server, which then stops it in order.
    with (folder / "influxd.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/ping", timeout=5) as reply:
                if reply.status == 204:
                    return
        except OSError:
            time.sleep(0.05)
    log = (folder / "influxd.log").read_text(errors="replace")[-2_000:]
    raise RuntimeError(f"influxd did not become ready at {url}:\n{log}")
