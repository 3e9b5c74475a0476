"""Replies that are read piece by piece, from sockets that say literal bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loader.errors import Retryable
from loader.servers.base import Reply, Request, Target
from loader.servers.transport import Connection, Stream

ANYTHING = Request("GET", "/")


@contextmanager
def saying(content: bytes) -> Iterator[Connection]:
    """Yield a connection whose first request is answered with ``content`` and a close."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(content)

        thread = threading.Thread(target=answer)
        thread.start()
        with Connection(Target(f"http://127.0.0.1:{listener.getsockname()[1]}", "bucket"), 10.0) as connection:
            yield connection
        thread.join()


def read(connection: Connection, size: int) -> tuple[Stream, list[bytes]]:
    """Return a reply, and its body in pieces."""
    with connection.open(ANYTHING) as stream:
        return stream, list(iter(lambda: stream.body.read(size), b""))


def test_a_body_is_read_piece_by_piece() -> None:
    """Pieces have the size that is asked for, over the bounds of chunks; the last may be shorter."""
    head = b"HTTP/1.1 200 OK\r\nX-Kind: tar\r\nTransfer-Encoding: chunked\r\n\r\n"
    with saying(head + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n") as connection:
        stream, pieces = read(connection, 5)
    assert (stream.status, stream.headers["x-kind"]) == (200, "tar")
    assert pieces == [b"abcde", b"fg"]


def test_a_refusal_becomes_a_reply() -> None:
    """The body of an error can be had whole."""
    content = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
    with saying(content) as connection, connection.open(ANYTHING) as stream:
        assert stream.reply() == Reply(404, {"content-length": "2"}, b"{}")


@pytest.mark.parametrize("content", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
def test_a_break(content: bytes) -> None:
    """What breaks before or within the body can be asked for again."""
    with saying(content) as connection, pytest.raises(Retryable, match="broke"):
        read(connection, 2)
