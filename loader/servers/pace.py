"""Bounds the time that a server may take for a reply: sockets wait until a deadline, instead of anew for each byte.

``http.client`` reads a reply through a file of its socket, whose timeout begins again at every byte. Here that file
checks a deadline first, for both the head and the body of a reply.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from math import inf

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from loader.servers.base import ReplyKind

HOUR = 3_600.0
_BUFFER = 256 << 10
"""Bytes that are read from a socket at a time."""
SLOWEST = 1_024
"""Bytes a second that a long reply must bring on average after its first hour."""


class Pace:
    """The time that one connection allows its server: ``seconds`` for each wait, and a deadline for each reply.

    The head of a reply is due ``seconds`` after its request was sent, and so is the body of a small reply or an error.
    Other bodies are due an hour after the head, or ``seconds`` where that is longer, and a second later for each
    SLOWEST bytes that came.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._long = False
        self._deadline = inf

    def start(self) -> None:
        """Start the deadline for the head of a reply: the request was sent."""
        self._long = False
        self._deadline = time.monotonic() + self._seconds

    def go_on(self, kind: ReplyKind) -> None:
        """Extend the deadline for the body of a reply of ``kind``, which is not an error: its head has come."""
        self._long = kind not in {ReplyKind.WRITE, ReplyKind.LINES, ReplyKind.SMALL}
        if self._long:
            self._deadline = time.monotonic() + max(self._seconds, HOUR)

    def next_wait(self) -> float:
        """Return the seconds that the next bytes may take; raises TimeoutError when the reply is overdue."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply is overdue")
        return min(self._seconds, left)

    def count(self, size: int) -> None:
        """Extend the deadline of a long reply for ``size`` bytes that came."""
        if self._long:
            self._deadline += size / SLOWEST


def install(manager: urllib3.PoolManager, pace: Pace) -> None:
    """Make all connections that ``manager`` opens from now on obey ``pace``."""

    class Response(_PacedResponse):
        pass

    Response.pace = pace

    class Plain(HTTPConnection):
        response_class = Response

    class Encrypted(HTTPSConnection):
        response_class = Response

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Encrypted

        def _validate_conn(self, conn: Encrypted) -> None:  # type: ignore[override]
            """Connect; unlike urllib3, say nothing of certificates that are not to be looked at."""
            if conn.is_closed:
                conn.connect()

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


class _PacedResponse(http.client.HTTPResponse):
    """A reply whose bytes are read through a _PacedFile."""

    pace: Pace

    def __init__(self, sock: socket.socket, *arguments: object, **options: object) -> None:
        super().__init__(sock, *arguments, **options)  # type: ignore[arg-type]
        self.pace.start()
        self.fp = io.BufferedReader(_PacedFile(self.fp.detach(), sock, self.pace), _BUFFER)

    def _read_next_chunk_size(self) -> int:
        """Return the size of the next chunk; for a negative one, http.client would read without limit."""
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError("a chunk of less than no bytes")
        return size


class _PacedFile(io.RawIOBase):
    """The file of a socket; it waits no longer than a Pace allows."""

    def __init__(self, file: io.RawIOBase, sock: socket.socket, pace: Pace) -> None:
        self._file = file
        self._sock = sock
        self._pace = pace

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
        """Read what is there, or wait for it; raises TimeoutError."""
        wait = self._pace.next_wait()
        if wait != self._sock.gettimeout():
            self._sock.settimeout(wait)
        size: int | None = self._file.readinto(buffer)
        self._pace.count(size or 0)
        return size

    def close(self) -> None:
        """Close the socket's file, too."""
        self._file.close()
        super().close()
