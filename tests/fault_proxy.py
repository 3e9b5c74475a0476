"""A proxy on loopback that stands before a real server and makes what a network or a busy server does."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.serving import served

WATCHED = ("/write", "/restore/shards", "/backup/shards")


@dataclass(frozen=True)
class Answer:
    """Answer this instead of asking the server."""

    status: int
    body: bytes = b'{"message":"planted"}'
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reset:
    """Reset the connection; ``forward`` first lets the server do its work, and loses its reply."""

    forward: bool = False


@dataclass(frozen=True)
class CutShort:
    """Let the server have half of the body as if it were the whole."""


@dataclass(frozen=True)
class HangUp:
    """Let the server have the whole body, and go away before it can answer; reset the connection."""


@dataclass(frozen=True)
class Hang:
    """Answer only when the proxy closes."""


@dataclass(frozen=True)
class Late:
    """Forward it after ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Dated:
    """Forward it, and answer with the Date of ``seconds`` from now; without any if it is None."""

    seconds: float | None


@dataclass(frozen=True)
class Endless:
    """Answer with a body that never ends."""

    status: int = 200
    piece: bytes = b"{" * 65_536


@dataclass(frozen=True)
class Drip:
    """Answer ``at_once``, then ``content`` one byte every ``seconds``, then only when the proxy closes."""

    content: bytes
    seconds: float = 0.1
    at_once: bytes = b""


@dataclass(frozen=True)
class Call:
    """What the proxy was asked: its number among those that are watched (from 0), its path and body."""

    number: int
    path: str
    body: bytes


Fault = Answer | Reset | HangUp | Hang | Late | Dated | CutShort | Endless | Drip
Script = Callable[[Call], Fault | None]


@dataclass
class Proxy:
    """A running proxy: its address, and the writes, restores and backups that it saw."""

    url: str
    writes: list[Call] = field(default_factory=list)


@contextmanager
def fault_proxy(
    upstream: str,
    script: Script,
    watched: Sequence[str] = WATCHED,
    tls: ssl.SSLContext | None = None,
    prefix: str = "",
) -> Iterator[Proxy]:
    """Forward everything to ``upstream`` but what of ``watched`` paths ``script`` returns a fault for.

    With ``tls``, the proxy speaks https. With ``prefix``, its address has that path; another path is not found.
    """
    address = urlsplit(upstream)
    closing, lock = threading.Event(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Heads and bodies are sent one by one; otherwise the body would wait for an answer to the head.
        disable_nagle_algorithm = True

        skew: float | None = 0.0

        def send_response(self, code: int, message: str | None = None) -> None:
            self.send_response_only(code, message)
            if self.skew is not None:
                self.send_header("Date", self.date_time_string(time.time() + self.skew))

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault: Fault | None = None if self.path.startswith(f"{prefix}/") else Answer(404, b"<html>")
            self.path = self.path.removeprefix(prefix)
            if any(part in self.path for part in watched):
                with lock:
                    call = Call(len(proxy.writes), self.path, body)
                    proxy.writes.append(call)
                    fault = script(call)
            match fault:
                case Answer(status, answer, headers):
                    self.answer(status, headers, answer)
                case Reset() | HangUp():
                    if isinstance(fault, HangUp):
                        self.pass_on(body).close()
                    elif fault.forward:
                        self.forward(body)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # Both file objects hold the socket open.
                    self.rfile.close()
                    self.wfile.close()
                    self.connection.close()
                    self.close_connection = True
                case CutShort():
                    self.answer(*self.forward(body[: len(body) // 2]))
                case Hang():
                    closing.wait(30)
                    self.close_connection = True
                case Endless(status, piece):
                    self.send_response(status)
                    self.end_headers()
                    self.close_connection = True
                    while not closing.is_set():
                        self.wfile.write(piece)
                case Drip(content, seconds, at_once):
                    self.close_connection = True
                    self.wfile.write(at_once)
                    for number in range(len(content)):
                        self.wfile.write(content[number : number + 1])
                        closing.wait(seconds)
                    closing.wait(30)
                case None | Late() | Dated():
                    closing.wait(fault.seconds if isinstance(fault, Late) else 0.0)
                    self.skew = fault.seconds if isinstance(fault, Dated) else 0.0
                    self.answer(*self.forward(body))

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def pass_on(self, body: bytes) -> http.client.HTTPConnection:
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
            left_out = {"host", "content-length"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
            connection.request(self.command, self.path, body, headers)
            return connection

        def forward(self, body: bytes) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
            connection = self.pass_on(body)
            reply = connection.getresponse()
            content = reply.read()
            kept = tuple(
                (name, value)
                for name, value in reply.getheaders()
                if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}
            )
            connection.close()
            return reply.status, kept, content

        def answer(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

    with served(Handler, tls) as url:
        proxy = Proxy(f"{url}{prefix}")
        try:
            yield proxy
        finally:
            closing.set()
