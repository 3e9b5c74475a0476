"""Stages, loads and verifies trades in a real InfluxDB, and leaves nothing running: ``make demo``.

TRADES is the number of trades (2,000,000); KEEP=1 leaves a server that this started, and prints how to
reach and stop it. The server is, in this order: the address in the environment (INFLUX_HOST or
INFLUXDB_V2_URL), a Docker engine that answers, an influxd that is here, one built by go install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.influxd import VERSIONS, find_binary, start

ROOT = Path(__file__).parents[1]

COMPOSE = ["docker", "compose", "--file", str(ROOT / "docker-compose.yml")]
COMPOSE_TOKEN = "for-local-use-only"


@contextmanager
def server(folder: Path, keep: bool) -> Iterator[dict[str, str]]:
    """Yield the environment that names a server; say which it is and why."""
    if address := os.environ.get("INFLUX_HOST") or os.environ.get("INFLUXDB_V2_URL"):
        print(f"server: {address}, because the environment names it")
        yield {}
    elif _docker_answers():
        print("server: InfluxDB 2 of docker-compose.yml, because a Docker engine answers")
        subprocess.run([*COMPOSE, "up", "--detach", "--wait", "influxdb"], check=True)
        port = os.environ.get("INFLUXDB_PORT", "8086")
        token = os.environ.get("INFLUXDB_TOKEN", COMPOSE_TOKEN)
        try:
            yield _environment(f"http://127.0.0.1:{port}", os.environ.get("INFLUXDB_ORG", "loader"), token, keep)
        finally:
            if not keep:
                subprocess.run([*COMPOSE, "down", "--volumes"], check=True)
    else:
        running = start(_binary(), folder / "influxd")
        print(f"server: InfluxDB {running.version} at {running.url}, process {running.pid}")
        try:
            yield _environment(running.url, running.org, running.token, keep)
        finally:
            if keep:
                print(f"left running: stop it with kill {running.pid}; its data is in {folder}")
            else:
                running.stop()


def _environment(url: str, org: str, token: str, keep: bool) -> dict[str, str]:
    if keep:
        print(f"address {url}, organization {org}, token {token}")
    return {"INFLUX_HOST": url, "INFLUX_ORG": org, "INFLUX_TOKEN": token, "INFLUX_BUCKET_NAME": "trades"}


def _docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=5, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _binary() -> Path:
    for kind in ("v2", "v1"):
        if found := find_binary(kind):
            print(f"server: {found}, because it is here and no Docker engine answers")
            return found
    if not shutil.which("go"):
        raise SystemExit(
            "no server: set INFLUX_HOST and INFLUX_TOKEN, start Docker, put influxd on PATH, or install Go to build one"
        )
    print(f"server: building InfluxDB {VERSIONS['v1']} with go install, once, about 75 s")
    subprocess.run([ROOT / "tools" / "build-influxd", VERSIONS["v1"]], check=True, stdout=subprocess.DEVNULL)
    built = find_binary("v1")
    assert built is not None
    return built


def main() -> int:
    """Run the three steps; return the exit code of the first that fails, or 0."""
    trades = int(os.environ.get("TRADES", "2000000"))
    keep = os.environ.get("KEEP") == "1"
    folder = Path(tempfile.mkdtemp(prefix="loader-demo-"))
    data = str(folder / "data")
    steps = {
        "stage": ["stage", "--out", data, "--trades", str(trades)],
        "load": ["load", data],
        "verify": ["verify", data],
    }
    seconds: dict[str, float] = {}
    try:
        with server(folder, keep) as environment:
            for name, arguments in steps.items():
                print(f"\n$ loader {' '.join(arguments)}", flush=True)
                started = time.monotonic()
                command = [sys.executable, "-m", "loader", *arguments]
                code = subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
                seconds[name] = time.monotonic() - started
                if code:
                    return code
            print(f"\n{trades:,} trades")
            for name, taken in seconds.items():
                print(f"  {name:<7} {taken:7.1f} s {trades / taken:14,.0f} trades/s")
    except KeyboardInterrupt:
        return 130
    finally:
        if not keep:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
