"""A slow way to a server: Toxiproxy on loopback, which answers after as many milliseconds as it is told."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tools.influxd import cache_folder, free_port

_VERSION = "2.12.0"
_MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{_VERSION}"


@contextmanager
def slow_way(url: str, milliseconds: int) -> Iterator[str]:
    """Yield an address from which all that comes back from ``url`` is ``milliseconds`` late, however much it is."""
    port, entry = free_port(), free_port()
    command = [str(_binary()), "-host", "127.0.0.1", "-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_listening(port)
            upstream = urlsplit(url).netloc
            _ask(port, "/proxies", {"name": "way", "listen": f"127.0.0.1:{entry}", "upstream": upstream})
            _ask(port, "/proxies/way/toxics", {"type": "latency", "attributes": {"latency": milliseconds}})
            yield f"http://127.0.0.1:{entry}"
        finally:
            process.terminate()


def _ask(port: int, path: str, content: dict[str, object]) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(content).encode())
    urllib.request.urlopen(request, timeout=5).close()


def _wait_until_listening(port: int) -> None:
    for _ in range(100):
        with suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    raise SystemExit("Toxiproxy did not start")


def _binary() -> Path:
    """Return Toxiproxy, built by Go's own tool where it is not in the cache yet."""
    binary = cache_folder() / f"toxiproxy-{_VERSION}"
    if not binary.exists():
        if not shutil.which("go"):
            raise SystemExit("no Go, with which Toxiproxy is built")
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
            subprocess.run(["go", "install", _MODULE], env={**os.environ, "GOBIN": folder}, check=True)
            (Path(folder) / "server").rename(binary)
    return binary
