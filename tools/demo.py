"""Stages, loads, verifies and reports trades in a real InfluxDB, and leaves nothing running: ``make demo``.

TRADES is the number of trades (2,000,000); KEEP=1 leaves a server that this started, and prints how to
reach and stop it. The server is, in this order: the address in the environment (INFLUX_HOST or
INFLUXDB_V2_URL), a Docker engine that answers, an influxd that is here, one built by go install, and
Debian's package. Into a server of version 2 that this started, trades are loaded by both ways.
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
REPORT = ROOT / "build" / "demo-report.html"
STEP_SECONDS = 30
"""About how long the steps take together, once there is a server."""


@contextmanager
def server(folder: Path, keep: bool) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield the environment that names a server, and whether it takes both ways in; say which it is and why.

    A restore makes a new bucket, so it is left out on a server that is not the demo's own. Raises SystemExit when
    there is no server.
    """
    if address := os.environ.get("INFLUX_HOST") or os.environ.get("INFLUXDB_V2_URL"):
        # A bucket of its own: the demo's trades do not belong among somebody's.
        bucket = os.environ.get("INFLUX_BUCKET_NAME", "loader-demo")
        print(f"server: {address}, because the environment names it; the trades stay in its bucket {bucket!r}")
        yield {"INFLUX_BUCKET_NAME": bucket}, False
    elif _docker_answers():
        print("server: InfluxDB 2 of docker-compose.yml, because a Docker engine answers", flush=True)
        with _composed(keep) as environment:
            yield environment, True
    else:
        running = start(_binary(), folder / "influxd")
        print(f"server: InfluxDB {running.version} at {running.url}, process {running.pid}", flush=True)
        try:
            yield _environment(running.url, running.org, running.token, keep), running.kind == "v2"
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
        ways.append((VERSIONS["v1"], "built with go install, once", 75))
    if shutil.which("apt-get"):
        ways.append((VERSIONS["v1.6"], "Debian's package, unpacked and not installed", 5))
    for version, how, seconds in ways:
        print(f"server: InfluxDB {version}, {how}, because no Docker engine answers and no influxd is here", flush=True)
        print(f"this takes about {seconds + STEP_SECONDS} s: {seconds} s for the server, then the demo", flush=True)
        if binary := _build(version, seconds):
            return binary
    raise SystemExit(
        "no server: set INFLUX_HOST and INFLUX_TOKEN, start Docker, put influxd on PATH, or install Go to build one"
    )


def _build(version: str, seconds: int) -> Path | None:
    """Build an influxd with one line of progress, and return its path; None when that fails, after saying why."""
    descriptor, name = tempfile.mkstemp(prefix=f"build-influxd-{version}-", suffix=".log")
    log, began = Path(name), time.monotonic()
    with os.fdopen(descriptor, "w") as output:
        command = [str(ROOT / "tools" / "build-influxd"), version]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True) as building:
            while True:
                words = f"building: {time.monotonic() - began:3.0f} of about {seconds} s; its output is in {log}"
                print(f"\r{words}" if sys.stdout.isatty() else words, end="", flush=True)
                try:
                    built, _ = building.communicate(timeout=1 if sys.stdout.isatty() else None)
                    break
                except subprocess.TimeoutExpired:
                    continue
    print()
    if building.returncode == 0:
        log.unlink()
        return Path(built.strip())
    said = log.read_text().splitlines()[-5:]
    print(f"server: that failed; the end of {log}:", *said, sep="\n  ", file=sys.stderr, flush=True)
    return None


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


def _steps(data: str, trades: int, environment: dict[str, str], both_ways: bool) -> int:
    """Run the steps and print their rates; return the exit code of the first that fails, or 0."""
    steps = {
        "stage": ["stage", "--out", data, "--trades", str(trades)],
        "load, write path": ["load", data, "--via", "write"],
        "verify": ["verify", data],
    }
    if both_ways:
        bucket = ["--bucket", "trades-restored"]
        steps |= {
            "load, restore path": ["load", data, "--via", "restore", *bucket],
            "verify every value": ["verify", data, "--values", *bucket],
        }
    seconds: dict[str, float] = {}
    for name, arguments in steps.items():
        print(f"\n$ loader {' '.join(arguments)}", flush=True)
        started = time.monotonic()
        if code := _step(arguments, environment):
            return code
        seconds[name] = time.monotonic() - started
    REPORT.parent.mkdir(exist_ok=True)
    if code := _step(["report", data, "--out", str(REPORT)], environment):
        return code
    print(f"\n{trades:,} trades, seconds with the start of each command")
    for name, taken in seconds.items():
        print(f"  {name:<18} {taken:7.1f} s {trades / taken:14,.0f} trades/s")
    print(f"\nthe report of all this: {REPORT.as_uri()}")
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
        with server(folder, keep) as (environment, both_ways):
            return _steps(str(folder / "data"), int(wish), environment, both_ways)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if not keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
