"""Loads for a long time while everything fails in turn, and verifies every value of each load: ``make soak``.

SECONDS (1,200) is how long faults go on, one every 20 seconds; TRADES (1,000,000) is what each load takes. Two loaders
load at the same time, one by each way in, through a proxy into an InfluxDB 2 of its own. Each load is run again until
it is done, then verified with ``--values``, and its bucket removed. The tables go to standard output and
build/soak.md; the exit code is 1 when anything was lost.

As root of Linux, disks are small memory disks, which can be full, and the server has a name that can be forgotten;
otherwise these faults are left out, and that is said.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fault_proxy import Answer, Call, Fault, Late, Reset, fault_proxy
from tools.influxd import VERSIONS, RunningServer, find_binary, start

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "build" / "soak.md"
PERIOD = 20.0
NAME = "influx.soak"
DISKS = {"server": 1 << 30, "data": 256 << 20}
_ENTER = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'


@dataclass
class Scene:
    """What faults act on: the server, the folders, the names, and what the proxy answers at the moment."""

    folder: Path
    server: RunningServer
    isolated: bool
    fault: Fault | None = None
    lines: dict[str, int] = field(default_factory=dict)
    uploads: int = 0
    lanes: list[Lane] = field(default_factory=list)

    def answer(self, call: Call) -> Fault | None:
        """Return the fault for a request, and count the lines and files that it brings."""
        parts = urllib.parse.urlsplit(call.path)
        if parts.path.endswith("/write"):
            bucket = urllib.parse.parse_qs(parts.query)["bucket"][0]
            self.lines[bucket] = self.lines.get(bucket, 0) + call.body.count(b"\n")
        self.uploads += "/restore/shards" in call.path
        return self.fault

    def know_name(self, known: bool) -> None:
        """Let the server's name be known to the loaders, or to nobody."""
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {NAME if known else ''}\n")

    @contextmanager
    def answering(self, fault: Fault, seconds: float) -> Iterator[None]:
        """Answer every request with ``fault`` for so long."""
        self.fault = fault
        try:
            time.sleep(seconds)
            yield
        finally:
            self.fault = None


@dataclass
class Lane:
    """One loader: it loads its dataset again and again by ``way``, and verifies each load."""

    scene: Scene
    way: str
    data: Path
    url: str
    trades: int
    over: threading.Event
    loads: int = 0
    runs: int = 0
    rows: int = 0
    differences: int = 0
    again: int = 0
    values: int = 0
    process: subprocess.Popen[str] | None = None
    error: str = ""

    def work(self) -> None:
        """Load and verify until it is over, and then to the end of what has begun."""
        while not (self.over.is_set() or self.error):
            bucket = f"{self.way}-{self.loads}"
            before = self.scene.uploads
            self._finish("load", "--via", self.way, "--bucket", bucket, *self._flags())
            if self.error:
                return
            uploads = self.scene.uploads - before
            report = self._finish("verify", "--values", "--bucket", bucket).get("report")
            if not report:
                return
            self.values += report["values"]
            self.differences += report["difference_count"]
            if self.differences:
                self.error = f"{bucket} differs: {report['differences'][:10]}"
            self.rows += self.trades
            self.loads += 1
            if self.way == "write":
                self.again += self.scene.lines.pop(bucket, 0) - self.trades
            else:
                self.again += round((uploads / self._shards - 1) * self.trades)
            if not self.error:
                self._remove(bucket)

    @property
    def lost(self) -> str:
        """The rows that were lost: none, or as many differences as a verification found."""
        return f"{self.differences:,} differences" if self.differences else "0"

    @property
    def _shards(self) -> int:
        return sum(1 for _ in self.data.glob("date=*"))

    def _flags(self) -> tuple[str, ...]:
        return ("--compress", "none") if self.way == "write" else ("--shard-duration", "1d")

    def _finish(self, command: str, *flags: str) -> dict[str, Any]:
        """Run a command until it is done, whatever ends it meanwhile; return what it said."""
        arguments = [sys.executable, "-m", "loader", command, str(self.data), "--json", "--host", self.url, *flags]
        if self.scene.isolated:
            names = [str(self.scene.folder / "hosts"), str(self.scene.folder / "resolv.conf")]
            arguments = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", *names, *arguments]
        server = self.scene.server
        named = {name: value for name, value in os.environ.items() if not name.startswith("INFLUX")}
        environment = {**named, "INFLUX_TOKEN": server.token, "INFLUX_ORG": server.org}
        while True:
            self.runs += 1
            with subprocess.Popen(
                arguments,
                env=environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            ) as self.process:
                output, errors = self.process.communicate()
            code = self.process.returncode
            if code == 0 or (code == 1 and command == "verify"):
                said: dict[str, Any] = json.loads(output)
                return said
            if code not in {3, -signal.SIGKILL}:
                self.error = f"{command} by {self.way} ended with {code}: {errors[-2_000:]}"
                return {}
            time.sleep(1)

    def _remove(self, bucket: str) -> None:
        """Remove a bucket that was verified; a server that is away is asked again."""
        for _ in range(100):
            with suppress(OSError):
                path = f"/api/v2/buckets?name={bucket}&org={self.scene.server.org}"
                for each in json.loads(self.scene.server.call(path))["buckets"]:
                    self.scene.server.call(f"/api/v2/buckets/{each['id']}", method="DELETE")
                return
            time.sleep(1)


def _kill_loaders(scene: Scene) -> None:
    for lane in scene.lanes:
        with suppress(ProcessLookupError):
            if lane.process and lane.process.poll() is None:
                os.killpg(lane.process.pid, signal.SIGKILL)


def _kill_server(scene: Scene) -> None:
    scene.fault = Answer(503)
    scene.server.kill()
    time.sleep(2)
    _start_twice(scene)


def _fill_server(scene: Scene) -> None:
    """Fill the disk, free it, and restart the server: 2.9.1 opens no shard again that it once could not make."""
    _fill(scene.folder / "server")
    scene.fault = Answer(503)
    scene.server.stop()
    _start_twice(scene)


def _start_twice(scene: Scene) -> None:
    """Start the server two times before anybody writes.

    It cuts off a torn end of its log while it starts, appends behind the gap, and would lose that at its next start:
    see ``benchmarks/torn_log.py``. When nothing was appended, the next start finds the log in order.
    """
    scene.server.restart()
    scene.server.stop()
    scene.server.restart()
    scene.fault = None


def _answer(fault: Fault, seconds: float) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        with scene.answering(fault, seconds):
            pass

    return inject


def _fill(disk: Path) -> None:
    """Leave no room on a disk for five seconds; what others free meanwhile is taken, too."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb") as file:
            for _ in range(10):
                free = os.statvfs(disk)
                if size := free.f_bavail * free.f_frsize:
                    with suppress(OSError):
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                time.sleep(0.5)
    finally:
        ballast.unlink()


def _forget_name(scene: Scene) -> None:
    scene.know_name(False)
    with scene.answering(Reset(), 5):  # so that nobody keeps a connection, which needs no name
        scene.know_name(True)


FAULTS: dict[str, Callable[[Scene], None]] = {
    "kill -9 of the loader": _kill_loaders,
    "kill -9 of the server": _kill_server,
    "connections reset": _answer(Reset(), 3),
    "half a second of latency": _answer(Late(0.5), 8),
    "503": _answer(Answer(503), 3),
    "429, Retry-After 2 s": _answer(Answer(429, headers=(("Retry-After", "2"),)), 2),
    "the server's disk full": _fill_server,
    "the loader's disk full": lambda scene: _fill(scene.folder / "data"),
    "the server's name unknown": _forget_name,
}
ISOLATED = frozenset(list(FAULTS)[-3:])
"""Faults that need disks and names of one's own."""


def _mount(folder: Path, stack: ExitStack) -> bool:
    """Give ``folder`` small disks and names of its own; return whether that may be done here."""
    if os.geteuid() != 0 or platform.system() != "Linux" or not shutil.which("unshare"):
        return False
    (folder / "hosts").write_text("")
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    names = [str(folder / "hosts"), str(folder / "resolv.conf")]
    if subprocess.run(["unshare", "--mount", "sh", "-c", _ENTER, "sh", *names, "true"], check=False).returncode:
        return False
    for disk, size in DISKS.items():
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "loader-soak", str(folder / disk)]
        if subprocess.run(command, check=False).returncode:
            return False
        stack.callback(subprocess.run, ["umount", "--lazy", str(folder / disk)], check=False)
    return True


def soak(seconds: float, trades: int) -> tuple[dict[str, int], list[Lane], float]:
    """Return how often each fault was injected, what the loaders did, and the seconds that it took."""
    binary = find_binary("v2")
    if binary is None:
        raise SystemExit(f"no influxd {VERSIONS['v2']} here; build it: tools/build-influxd {VERSIONS['v2']}")
    # 2.x opens as many files at a time as there are processors, and forgets a place when a restore is cut off then.
    os.environ.setdefault("GOMAXPROCS", "16")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loader-soak-")))
        for disk in DISKS:
            (folder / disk).mkdir()
        isolated = _mount(folder, stack)
        scene = Scene(folder, start(binary, folder / "server" / "influxd"), isolated)
        stack.callback(scene.server.stop)
        if isolated:
            scene.know_name(True)
        proxy = stack.enter_context(fault_proxy(scene.server.url, scene.answer, watched=("/",)))
        over = threading.Event()
        for way in ("write", "restore"):
            data = folder / "data" / way
            flags = ["--trades", str(trades), "--end", "2024-04-01", "--quiet"]
            subprocess.run([sys.executable, "-m", "loader", "stage", "--out", str(data), *flags], cwd=ROOT, check=True)
            url = proxy.url.replace("127.0.0.1", NAME) if isolated else proxy.url
            scene.lanes.append(Lane(scene, way, data, url, trades, over))
        began = time.monotonic()
        threads = [threading.Thread(target=lane.work) for lane in scene.lanes]
        for thread in threads:
            thread.start()
        injected = _inject(scene, seconds, proxy.writes)
        over.set()
        for thread in threads:
            thread.join()
        return injected, scene.lanes, time.monotonic() - began


def _inject(scene: Scene, seconds: float, calls: list[Call]) -> dict[str, int]:
    """Inject one fault after the other, and return how often each was."""
    kinds = {name: fault for name, fault in FAULTS.items() if scene.isolated or name not in ISOLATED}
    injected = dict.fromkeys(kinds, 0)
    began = time.monotonic()
    for number in range(int(seconds / PERIOD)):
        while time.monotonic() < began + (number + 0.5) * PERIOD:
            time.sleep(0.2)
            calls.clear()  # the proxy keeps what it was asked
        if any(lane.error for lane in scene.lanes):
            break
        name = list(kinds)[number % len(kinds)]
        done = ", ".join(f"{lane.way} {lane.loads} loads" for lane in scene.lanes)
        print(f"{time.monotonic() - began:6.0f} s  {name}  ({done})", flush=True)
        kinds[name](scene)
        injected[name] += 1
    return injected


def tables(injected: dict[str, int], lanes: list[Lane], seconds: float) -> str:
    """Return what was injected and what came of it, as two tables."""
    lines = ["| Fault | Times |", "|---|---|"]
    lines += [f"| {name} | {injected.get(name, 'left out: it takes root')} |" for name in FAULTS]
    lines += ["", "| Way in | Rows loaded | Rows lost | Rows sent again |", "|---|---|---|---|"]
    lines += [f"| {lane.way} | {lane.rows:,} | {lane.lost} | {lane.again:,} |" for lane in lanes]
    day = datetime.now(UTC).date().isoformat()
    values = sum(lane.values for lane in lanes)
    loads, runs = sum(lane.loads for lane in lanes), sum(lane.runs for lane in lanes)
    lines += [
        "",
        f"{seconds:,.0f} s on {day}, InfluxDB {VERSIONS['v2']}: {loads} loads took {runs} runs of `loader load`",
    ]
    lines += [f"and `loader verify`, which compared {values:,} values."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Soak, print the tables, and return 1 when something was lost or could not be done."""
    injected, lanes, seconds = soak(float(os.environ.get("SECONDS", "1200")), int(os.environ.get("TRADES", "1000000")))
    text = tables(injected, lanes, seconds)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    print(f"\n{text}")
    for lane in lanes:
        if lane.error:
            print(lane.error, file=sys.stderr)
    return int(any(lane.error or not lane.loads for lane in lanes))


if __name__ == "__main__":
    sys.exit(main())
