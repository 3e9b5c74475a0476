"""Serves the figures of a running stage, load or verification to Prometheus.

They come from the same events as progress and reports. Each run has a registry and a server of its own. Labels have
few values, and none of them comes from data, paths or servers: whoever can reach the port sees numbers only.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    MetricsHandler,
    ProcessCollector,
)

from loader.errors import ConfigError
from loader.events import SERVER_BUSY, Advanced, Answered, Event, Rejected, Started, Waited
from loader.waiting import SLICE_SECONDS, join

LOOPBACK = "127.0.0.1"
LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds of the histogram: from a small body on loopback to a shard on a slow disk."""
CAUSES = ("retry", "rate", SERVER_BUSY)
_CLIENT_SECONDS = 10.0


class _Registry(CollectorRegistry):
    """Leaves out when each metric was made: one more line for each, which process_start_time_seconds says already."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class RunMetrics:
    """The metrics of one run, as an Observer; ``registry`` has them, and those of this process."""

    def __init__(self, activity: str) -> None:
        self.registry = registry = _Registry()
        run = Info("loader_run", "Activity and version of this run; always 1.", registry=registry)
        run.info({"activity": activity, "version": version("loader")})
        self._expected = Gauge(
            "loader_rows_expected", "Rows to be finished, by this run and earlier ones.", registry=registry
        )
        self._resumed = Gauge("loader_rows_resumed", "Rows that earlier runs had finished.", registry=registry)
        self._rows = Counter(
            "loader_rows", "Rows that this run has staged, had acknowledged, or verified.", registry=registry
        )
        self._bytes = Counter(
            "loader_bytes", "Bytes written or sent; in staging line protocol, also bytes read.", registry=registry
        )
        self._requests = Histogram(
            "loader_request_duration_seconds",
            "Time from the start of a request of a load to its answer.",
            buckets=LATENCIES,
            registry=registry,
        )
        self._retries = Counter("loader_retries", "Requests that were sent again.", registry=registry)
        self._waits = Counter("loader_wait_seconds", "Time spent waiting, by cause.", ["cause"], registry=registry)
        self._rejected = Counter(
            "loader_rejected_rows", "Rows that cannot be points, or that the server refused.", registry=registry
        )
        for cause in CAUSES:  # a rate needs the zero before the first wait
            self._waits.labels(cause)
        ProcessCollector(registry=registry)

    def __call__(self, event: Event) -> None:
        """Count ``event``."""
        match event:
            case Started(_, rows, rows_done):
                self._expected.set(rows)
                self._resumed.set(rows_done)
                self._rows.reset()  # Prometheus takes a counter that falls for one that began anew
            case Advanced(rows, size):
                self._rows.inc(rows)
                self._bytes.inc(size)
            case Answered(seconds, _):
                self._requests.observe(seconds)
            case Waited(cause, seconds):
                self._retries.inc(cause == "retry")
                self._waits.labels(cause).inc(seconds)
            case Rejected(rows):
                self._rejected.inc(rows)
            case _:
                pass


@contextmanager
def serving(registry: CollectorRegistry, port: int, host: str = LOOPBACK) -> Iterator[str]:
    """Serve ``registry`` at ``host`` and ``port``, 0 for a free one, until the block ends; yield the address.

    Raises ConfigError when the port is taken or not permitted, or ``host`` is not an address of this machine.
    """
    try:
        server = _Server(host, port, _Scrape.factory(registry))
    except OSError as error:
        raise ConfigError(
            f"metrics cannot be served at {_place(host, port)}: {_reason(error)}", hint=_hint(error)
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(SLICE_SECONDS,), daemon=True)
    thread.start()
    try:
        yield f"http://{_place(host, server.server_port)}/metrics"
    finally:
        server.shutdown()
        join(thread)
        server.server_close()


class _Scrape(MetricsHandler):
    """Answers one scrape; a client that says nothing is given up."""

    timeout = _CLIENT_SECONDS


class _Server(ThreadingHTTPServer):
    """Answers each scrape in a thread that holds up nothing."""

    def __init__(self, host: str, port: int, handler: type[Any]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        """Bind without a look-up of the host's name, which may take seconds where there is no DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone away."""


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _hint(error: OSError) -> str:
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        return "name another port, or 0 for a free one"
    return f"name an address of this machine, or a port alone, which is served at {LOOPBACK}"


def _reason(error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: "this port is taken",
        errno.EACCES: "this port needs permission",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }
    return reasons.get(error.errno or 0, str(error.strerror))
