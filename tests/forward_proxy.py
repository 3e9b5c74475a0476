"""A forward proxy on loopback, as companies have them: CONNECT for https, whole requests for http."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.serving import served


@dataclass
class ForwardProxy:
    """A running proxy: its address, and the heads of the requests that it could read."""

    url: str
    heads: list[str] = field(default_factory=list)


@contextmanager
def forward_proxy(
    names: Mapping[str, str], credentials: str = "", refusal: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[ForwardProxy]:
    """Connect to the addresses of ``names``, which nobody else knows; 502 answers for other names.

    With ``credentials`` (USER:PASSWORD), nobody passes without them; with ``refusal``, nobody passes, and that is the
    status. With ``tls``, the proxy itself speaks https.
    """
    places = {name: urlsplit(address) for name, address in names.items()}
    wanted = f"Basic {b64encode(credentials.encode()).decode()}" if credentials else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def place(self, host: str | None) -> tuple[str, int] | None:
            """Return where a host is; answer the client if it may not go there."""
            proxy.heads.append(f"{self.requestline}\n{self.headers}")
            place = places.get(host or "")
            status = refusal or (407 if self.headers.get("Proxy-Authorization") != wanted else 0 if place else 502)
            if not status and place:
                return place.hostname or "", place.port or 0
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = True
            return None

        def do_CONNECT(self) -> None:
            place = self.place(self.path.rpartition(":")[0])
            if place:
                self.close_connection = True
                with socket.create_connection(place) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    relay(self.connection, upstream)

        def handle_any(self) -> None:
            asked = urlsplit(self.path)
            place = self.place(asked.hostname)
            if place:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream = http.client.HTTPConnection(*place, timeout=30)
                headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy")}
                path = asked.path + (f"?{asked.query}" if asked.query else "")
                upstream.request(self.command, path, body, headers)
                reply = upstream.getresponse()
                content = reply.read()
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in {"content-length", "transfer-encoding", "date", "server"}:
                        self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                upstream.close()

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

    with served(Handler, tls) as url:
        proxy = ForwardProxy(url)
        yield proxy


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass on what either side sends, until one of them ends."""
    ways = {one: other, other: one}
    while True:
        pending = [one] if isinstance(one, ssl.SSLSocket) and one.pending() else []
        for ready in pending or select.select([one, other], [], [])[0]:
            content = ready.recv(65_536)
            if not content:
                return
            ways[ready].sendall(content)
