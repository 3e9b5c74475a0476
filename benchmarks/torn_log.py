"""What InfluxDB 2.x loses of acknowledged points behind a torn end of its write-ahead log.

``python -m benchmarks.torn_log``. A kill amid a write, or a full disk, leaves half an entry at the end of the log. The
server cuts it off while it starts, but appends where the file ended before. Its next start finds a gap there, and cuts
off all that is behind it. A server that is started twice before anybody writes is in order.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.servers import require_binary
from tools.influxd import RunningServer, start

_POINTS = 1_000
_BEGIN = 1_704_067_200_000_000_000
_HALF_AN_ENTRY = b"\x01\x00\x00\x10\x00" + b"x" * 100


def run() -> dict[str, Any]:
    """Write, kill and start with a whole log, with a torn one, and with a torn one and two starts."""
    return {
        "points acknowledged": 2 * _POINTS,
        "kept: log is whole": _kept(torn=False, starts=1),
        "kept: log is torn": _kept(torn=True, starts=1),
        "kept: log is torn, started twice": _kept(torn=True, starts=2),
    }


def _kept(*, torn: bool, starts: int) -> int:
    """Return the points that a server has at last, of twice _POINTS that it acknowledged."""
    with tempfile.TemporaryDirectory() as folder:
        server = start(require_binary("v2"), Path(folder))
        try:
            bucket = server.new_bucket()
            _write(server, bucket, 0)
            server.kill()
            if torn:
                (log,) = Path(folder).glob("engine/wal/*/autogen/*/*.wal")
                with log.open("ab") as file:
                    file.write(_HALF_AN_ENTRY)
            for number in range(starts):
                if number:
                    server.stop()
                server.restart()
            _write(server, bucket, _POINTS)
            server.kill()
            server.restart()
            return _count(server, bucket)
        finally:
            server.stop()


def _write(server: RunningServer, bucket: str, first: int) -> None:
    lines = "".join(f"m v={number} {_BEGIN + number}\n" for number in range(first, first + _POINTS))
    server.call(f"/api/v2/write?org={server.org}&bucket={bucket}&precision=ns", lines.encode())


def _count(server: RunningServer, bucket: str) -> int:
    query = f'from(bucket: "{bucket}") |> range(start: 2023-01-01T00:00:00Z) |> count()'
    headers = {"Authorization": f"Token {server.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{server.url}/api/v2/query?org={server.org}", json.dumps({"query": query}).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        names, values, *_ = (line.split(",") for line in reply.read().decode().splitlines())
    return int(values[names.index("_value")])


def table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = ["| torn log, InfluxDB 2.9.1 | points |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {points:,} |" for name, points in result.items())])


if __name__ == "__main__":
    print(table(run()))
