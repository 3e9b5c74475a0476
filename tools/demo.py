"""Stages, loads and verifies trades in a real InfluxDB, and leaves nothing running: ``make demo``.

TRADES is the number of trades (2,000,000); KEEP=1 leaves a server that this started, and prints how to
reach and stop it. The server is, in this order: the address in the environment (INFLUX_HOST or
INFLUXDB_V2_URL), a Docker engine that answers, an influxd that is here, one built by go install, and
Debian's package.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.influxd import VERSIONS, find_binary, free_port, start

ROOT = Path(__file__).parents[1]
TOKEN = "for-local-use-only"
INTERRUPTED = 130


@contextmanager
def server(folder: Path, keep: bool) -> Iterator[dict[str, str]]:
    """Yield the environment that names a server; say which it is and why. Raises SystemExit when there is none."""
    if address := os.environ.get("INFLUX_HOST") or os.environ.get("INFLUXDB_V2_URL"):
        # A bucket of its own: the demo's trades do not belong among somebody's.
        bucket = os.environ.get("INFLUX_BUCKET_NAME", "loader-demo")
        print(f"server: {address}, because the environment names it; the trades stay in its bucket {bucket!r}")
        yield {"INFLUX_BUCKET_NAME": bucket}
    elif _docker_answers():
        print("server: InfluxDB 2 of docker-compose.yml, because a Docker engine answers", flush=True)
        with _composed(keep) as environment:
            yield environment
    else:
        running = start(_binary(), folder / "influxd")
        print(f"server: InfluxDB {running.version} at {running.url}, process {running.pid}", flush=True)
        try:
            yield _environment(running.url, running.org, running.token, keep)
        finally:
            if keep:
                print(f"left running: stop it with kill {running.pid}; its data is in {folder}")
            else:
                running.stop()


@contextmanager
def _composed(keep: bool) -> Iterator[dict[str, str]]:
    """Run the default service as a project of its own: ``down --volumes`` must not meet anybody else's volumes."""
    project = f"loader-demo-{os.getpid()}"
    compose = ["docker", "compose", "--project-name", project, "--file", str(ROOT / "docker-compose.yml")]
    port = free_port()
    settings = {"INFLUXDB_PORT": str(port), "INFLUXDB_TOKEN": TOKEN, "INFLUXDB_ORG": "loader"}
    environment = {**os.environ, **settings}
    keep_it = False
    try:
        if subprocess.run([*compose, "up", "--detach", "--wait", "influxdb"], env=environment, check=False).returncode:
            raise SystemExit(
                "Docker could not start InfluxDB; its words are above. Or set INFLUX_HOST and INFLUX_TOKEN"
            )
        keep_it = keep
        yield _environment(f"http://127.0.0.1:{port}", "loader", TOKEN, keep)
    finally:
        if keep_it:
            print(f"left running: stop it with docker compose --project-name {project} down --volumes")
        else:
            subprocess.run([*compose, "down", "--volumes"], env=environment, check=False)


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
    for kind in ("v2", "v1", "v1.6"):
        if found := find_binary(kind):
            print(f"server: {found}, because it is here and no Docker engine answers", flush=True)
            return found
    ways = []
    if shutil.which("go"):
        ways.append((VERSIONS["v1"], "built with go install, once, about 75 s"))
    if shutil.which("apt-get"):
        ways.append((VERSIONS["v1.6"], "Debian's package, unpacked and not installed"))
    for version, how in ways:
        print(f"server: InfluxDB {version}, {how}, because no Docker engine answers and no influxd is here", flush=True)
        made = subprocess.run(
            [ROOT / "tools" / "build-influxd", version], check=False, stdout=subprocess.PIPE, text=True
        )
        if made.returncode == 0:
            return Path(made.stdout.strip())
        print("server: that failed; the reason is above", flush=True)
    raise SystemExit(
        "no server: set INFLUX_HOST and INFLUX_TOKEN, start Docker, put influxd on PATH, or install Go to build one"
    )


def _step(arguments: list[str], environment: dict[str, str]) -> int:
    """Run one command of the loader and return its exit code; an interrupt reaches it once, and is waited for.

    In a session of its own it does not also get the terminal's Ctrl-C, which twice would mean "stop now".
    """
    command = [sys.executable, "-m", "loader", *arguments]
    with subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGTERM)  # SIGINT may be ignored in the background
            try:
                process.wait(30)
            except (KeyboardInterrupt, subprocess.TimeoutExpired):
                process.kill()
            return INTERRUPTED


def _steps(data: str, trades: int, environment: dict[str, str]) -> int:
    """Run the three steps and print their rates; return the exit code of the first that fails, or 0."""
    steps = (["stage", "--out", data, "--trades", str(trades)], ["load", data], ["verify", data])
    seconds: dict[str, float] = {}
    for arguments in steps:
        print(f"\n$ loader {' '.join(arguments)}", flush=True)
        started = time.monotonic()
        if code := _step(arguments, environment):
            return code
        seconds[arguments[0]] = time.monotonic() - started
    print(f"\n{trades:,} trades")
    for name, taken in seconds.items():
        print(f"  {name:<7} {taken:7.1f} s {trades / taken:14,.0f} trades/s")
    return 0


def main() -> int:
    """Run the demo and return its exit code."""
    # A termination, or a terminal that is closed, ends the demo as Ctrl-C does: the server stopped, the folder removed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, signal.default_int_handler)
    wish = os.environ.get("TRADES", "2000000")
    if not wish.isdecimal() or int(wish) == 0:
        raise SystemExit(f"TRADES={wish}: give a number of trades, such as TRADES=2000000")
    keep = os.environ.get("KEEP") == "1"
    folder = Path(tempfile.mkdtemp(prefix="loader-demo-"))
    try:
        with server(folder, keep) as environment:
            return _steps(str(folder / "data"), int(wish), environment)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if not keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
