"""Increments of a day into a bucket that holds many trades, by both paths in turn, and what others who write see.

Each round loads the next day by the write path, and the day after by the restore path, into the same bucket, so that
drift of the machine and the growing bucket meet both. The loader runs as a user runs it; seconds are those of its own
report. ``python -m benchmarks.increments [TRADES] [ROUNDS]``; ratios and medians are what to quote.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.restoring import ALL_TRADES, command, stage_trades
from benchmarks.servers import require_binary
from loader.staging import StageSettings, stage
from tools.influxd import RunningServer, start

DAY_TRADES = 1_200_000
WAYS = ("write", "restore")
FIRST = date(2025, 1, 2)
WRITERS, RESTORES, RESTORED, LINES = 3, 20, 400_000, 500


def run(trades: int = ALL_TRADES, rounds: int = 3) -> dict[str, Any]:
    """Load ``rounds`` days by each path into a bucket of ``trades`` trades, then restore beside writers."""
    binary = require_binary("v2")
    with tempfile.TemporaryDirectory() as folder:
        base = stage_trades(Path(folder) / "base", trades)
        days = _days(Path(folder), 1 + 2 * rounds)
        server = start(binary, Path(folder) / "server")
        try:
            command(server, "many", "load", str(base), "--via", "restore")
            for way in WAYS:  # once for encoders to be compiled, which is not what is measured
                command(server, f"warm {way}", "load", str(days[0]), "--via", way)
            command(server, "many", "load", str(days[0]), "--via", "restore")
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            for number, day in enumerate(days[1:]):
                way = WAYS[number % 2]
                seconds[way].append(command(server, "many", "load", str(day), "--via", way)["report"]["seconds"])
                report = command(server, "many", "verify", str(day), "--values")["report"]
                assert report["difference_count"] == 0, report
            return {"trades": trades, "seconds": seconds, "writers": _beside_writers(server, Path(folder))}
        finally:
            server.stop()


def _days(folder: Path, number: int) -> list[Path]:
    """Stage the next ``number`` sessions, one dataset each."""
    found: list[Path] = []
    day = FIRST
    while len(found) < number:
        if day.weekday() < 5 and day != date(2025, 1, 9):  # a day of mourning, without a session
            out = folder / day.isoformat()
            stage(StageSettings(out=out, trades=DAY_TRADES, start=day, end=day))
            found.append(out)
        day += timedelta(days=1)
    return found


def _beside_writers(server: RunningServer, folder: Path) -> dict[str, Any]:
    """Restore RESTORES times into the shard of writers at full rate, and return what these saw."""
    data = folder / "beside"
    stage(StageSettings(out=data, trades=RESTORED, start=FIRST, end=FIRST))
    bucket = server.new_bucket()  # a bucket that the load made would be made anew each time
    command(server, bucket, "load", str(data), "--via", "restore")
    done = threading.Event()
    writers = [_Writer(server, bucket, number, done) for number in range(WRITERS)]
    restores = [
        command(server, bucket, "load", str(data), "--via", "restore", "--restart")["report"]["seconds"]
        for _ in range(RESTORES)
    ]
    done.set()
    for writer in writers:
        writer.thread.join()
    server.kill()
    server.restart()
    answer = json.loads(server.call(f"/query?db={bucket}&q=SELECT+count(v)+FROM+w"))
    waits = [seconds for writer in writers for seconds in writer.seconds]
    return {
        "restores": restores,
        "writes": len(waits),
        "answered otherwise": sum(writer.failures for writer in writers),
        "median": statistics.median(waits),
        "longest": max(waits),
        "acknowledged": LINES * len(waits),
        "stored": answer["results"][0]["series"][0]["values"][0][1],
    }


class _Writer:
    """Writes LINES points at a time, each until it is acknowledged."""

    def __init__(self, server: RunningServer, bucket: str, number: int, done: threading.Event) -> None:
        self.seconds: list[float] = []
        self.failures = 0
        self.thread = threading.Thread(target=self._work, args=(server, bucket, number, done))
        self.thread.start()

    def _work(self, server: RunningServer, bucket: str, number: int, done: threading.Event) -> None:
        path = f"/api/v2/write?org={server.org}&bucket={bucket}"
        first = int(time.mktime(FIRST.timetuple())) * 10**9
        while not done.is_set():
            start = first + LINES * len(self.seconds)
            body = "\n".join(f"w,n={number} v=1 {start + step}" for step in range(LINES)).encode()
            began = time.monotonic()
            while _post(server, path, body, "text/plain")[0] != 204:
                self.failures += 1
            self.seconds.append(time.monotonic() - began)


def _post(server: RunningServer, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request("POST", path, body, {"Authorization": f"Token {server.token}", "Content-Type": kind})
    reply = connection.getresponse()
    answer = reply.status, reply.read()
    connection.close()
    return answer


def table(result: dict[str, Any]) -> str:
    """Return the result as tables."""
    medians = {way: statistics.median(seconds) for way, seconds in result["seconds"].items()}
    lines = [
        f"| {DAY_TRADES:,} trades into {result['trades']:,} | seconds | M trades/s | of write |",
        "|---|---|---|---|",
        *(
            f"| {way} path | {seconds:.2f} | {DAY_TRADES / seconds / 1e6:.2f} | {medians['write'] / seconds:.1f} |"
            for way, seconds in medians.items()
        ),
    ]
    seen = result["writers"]
    lines += [
        "",
        f"| {WRITERS} writers beside {len(seen['restores'])} restores of {RESTORED:,} | |",
        "|---|---|",
        *(
            f"| {name} | {value:,.3f} |" if isinstance(value, float) else f"| {name} | {value:,} |"
            for name, value in seen.items()
            if name != "restores"
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(*[int(text) for text in sys.argv[1:]])))
