"""How large and how slow a reply may be, and what of it is shown, from servers on loopback that misbehave."""

from __future__ import annotations

import gzip
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import urllib3

from loader.errors import ConfigError, LoaderError, Refused, Retryable, ServerError
from loader.servers import pace, transport
from loader.servers.base import Reply, ReplyKind, Request, Target
from loader.servers.replies import message_of, raise_for
from loader.servers.tls import Tls
from loader.servers.transport import MOST_BYTES, MOST_WORDS, Connection
from loader.servers.v2 import InfluxDB2
from tests.fault_proxy import Answer, Drip, Endless, Fault, fault_proxy
from tests.servers.test_transport_streams import saying
from tests.serving import served

NOWHERE = "http://127.0.0.1:1"
TOKEN = "very-secret-token"
PROMPT = (ReplyKind.WRITE, ReplyKind.SMALL)


@contextmanager
def answering(fault: Fault, seconds: float = 10.0) -> Iterator[Connection]:
    """Yield a connection to a server that answers everything with ``fault``."""
    with (
        fault_proxy(NOWHERE, lambda call: fault, watched=("/",)) as proxy,
        Connection(Target(proxy.url, "b", "o", TOKEN), seconds) as connection,
    ):
        yield connection


def query_pool(kind: ReplyKind) -> Request:
    """Return a request with a reply of ``kind``."""
    return Request("GET", "/path", reply=kind)


@pytest.mark.parametrize("kind", MOST_BYTES)
def test_a_reply_without_end_is_cut(monkeypatch: pytest.MonkeyPatch, kind: ReplyKind) -> None:
    """Every kind has a most; what is larger is an error that says which reply and how much."""
    most = min(MOST_BYTES[kind], 1 << 20)
    monkeypatch.setattr(transport, "MOST_BYTES", {kind: most})
    with answering(Endless()) as connection, pytest.raises(ServerError, match=f"larger than {most:,} bytes") as caught:
        connection.send(query_pool(kind))
    assert kind.value in caught.value.message
    assert caught.value.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_bytes_count_as_they_are_decompressed(encoding: str) -> None:
    """A bomb of some hundred kilobytes ends at the bound of its kind, and memory with it."""
    body = gzip.compress(bytes(128 << 20), 1)
    for _ in encoding.split(",")[1:]:
        body = gzip.compress(body)
    with answering(Answer(200, body, (("Content-Encoding", encoding),))) as connection:
        tracemalloc.start()
        try:
            with pytest.raises(ServerError, match="larger than"):
                connection.send(query_pool(ReplyKind.SMALL))
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


def test_a_reply_at_its_most_is_read() -> None:
    """The bound itself is allowed."""
    body = b"x" * MOST_BYTES[ReplyKind.SMALL]
    with answering(Answer(200, body)) as connection:
        assert connection.send(query_pool(ReplyKind.SMALL)).body == body


@pytest.mark.parametrize("kind", MOST_BYTES)
def test_an_error_without_end_is_the_error_that_its_status_says(kind: ReplyKind) -> None:
    """What counts is the status: a busy server is asked again, whatever else it says."""
    with answering(Endless(502)) as connection:
        reply = connection.send(query_pool(kind))
    assert reply.status == 502
    assert len(reply.body) == MOST_WORDS
    with pytest.raises(Retryable):
        InfluxDB2().classify_write(reply)


def test_a_page_in_latin_1_is_read() -> None:
    """Bytes that are not UTF-8 are no error of their own."""
    with answering(Answer(502, "Server \xfcberlastet".encode("latin-1"))) as connection:
        reply = connection.send(InfluxDB2().build_write(connection.target, b"m f=1", gzipped=False))
    with pytest.raises(Retryable, match="502: Server \ufffdberlastet"):
        InfluxDB2().classify_write(reply)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize("kind", PROMPT)
@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"x" * 9,
        HEAD[:20],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000000000001\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
    ],
    ids=["body", "head", "chunks", "continue"],
)
def test_a_small_reply_that_drips_is_overdue(kind: ReplyKind, content: bytes) -> None:
    """The time for a small reply is for the whole, however often a byte of its head or body comes."""
    started = time.monotonic()
    with answering(Drip(content), 0.5) as connection, pytest.raises(Retryable, match="timed out"):
        connection.send(query_pool(kind))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("content", [HEAD[:20], HEAD.replace(b"200", b"503") + b"x" * 9], ids=["head", "error"])
def test_heads_and_errors_that_drip_are_overdue(content: bytes) -> None:
    """Also where a long reply was hoped for."""
    with answering(Drip(content, 0.05), 0.5) as connection, pytest.raises(Retryable, match="timed out"):
        connection.send(query_pool(ReplyKind.ANSWER))


@pytest.mark.parametrize("kind", [ReplyKind.ANSWER, ReplyKind.METADATA])
def test_a_long_reply_may_take_longer_than_one_wait(kind: ReplyKind) -> None:
    """Only the time between two of its bytes counts at first."""
    with answering(Drip(b"x" * 9, 0.15, at_once=HEAD), 1.0) as connection:
        assert connection.send(query_pool(kind)).body == b"x" * 9


@pytest.mark.parametrize("kind", [ReplyKind.ANSWER, ReplyKind.STREAM])
def test_a_long_reply_that_drips_is_overdue_in_the_end(monkeypatch: pytest.MonkeyPatch, kind: ReplyKind) -> None:
    """After its first hour a reply must have brought a kilobyte a second."""
    monkeypatch.setattr(pace, "HOUR", 0.0)
    drip = Drip(b"x" * 9, at_once=HEAD)

    def read(connection: Connection) -> None:
        if kind is not ReplyKind.STREAM:
            connection.send(query_pool(kind))
        else:
            with connection.open(query_pool(kind)) as stream:
                stream.body.read(9)

    with answering(drip, 0.5) as connection, pytest.raises(Retryable, match="timed out"):
        read(connection)


def test_bytes_earn_time() -> None:
    """A kilobyte moves the deadline of a long reply by a second, and not that of a small one."""
    for kind, waits in ((ReplyKind.ANSWER, True), (ReplyKind.SMALL, False)):
        limit = pace.Pace(0.05)
        limit.start()
        limit.go_on(kind)
        limit.count(1 << 20)
        time.sleep(0.06)
        if waits:
            assert limit.next_wait() == 0.05
        else:
            with pytest.raises(TimeoutError):
                limit.next_wait()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "broke"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "broke"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nx", "broke"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx", "broke"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx", "broke"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nx", "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip at all", "cannot be decompressed"),
    ],
)
def test_what_is_not_http_is_named(content: bytes, words: str) -> None:
    """Headers without end, other protocols and impossible lengths can be tried again, like any break."""
    with saying(content) as connection, pytest.raises(Retryable, match=words):
        connection.send(query_pool(ReplyKind.SMALL))


def test_a_connection_is_kept() -> None:
    """One connection serves one request after the other, as long as replies are read to their end."""
    ports = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            ports.append(self.client_address[1])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with served(Handler) as url:
        target = Target(url, "b")
        with Connection(target, 10) as connection:
            for _ in range(3):
                assert connection.send(InfluxDB2().build_write(target, b"m f=1", gzipped=False)).status == 204
    assert len(ports) == 3
    assert len(set(ports)) == 1


ECHO = f"<pre>Authorization: Token {TOKEN}</pre>"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, body=ECHO.encode(), secret=TOKEN),
        Reply(400, body=(b"x" * 490 + ECHO.encode()), secret=TOKEN),
        Reply(400, {"x-influxdb-error": ECHO}, secret=TOKEN),
        Reply(400, body=b'{"message": "Basic dmVyeS1zZWNyZXQtdG9rZW4= is wrong"}', secret=TOKEN),
        Reply(302, {"location": f"/login/{TOKEN}?x"}, secret=TOKEN),
        Reply(401, body=f'{{"error": "no user bob with the password {TOKEN}"}}'.encode(), secret=f"bob:{TOKEN}"),
    ],
)
def test_a_server_that_repeats_the_token_is_not_quoted(reply: Reply) -> None:
    """The token is hidden in the words of servers, in any form in which it was sent, and so is a password of it."""
    with pytest.raises(Refused) as caught:
        raise_for(reply, "ask")
    assert "very" not in str(caught.value)
    assert "dmVyeS" not in str(caught.value)


def test_replies_know_what_to_hide() -> None:
    """Whole replies and streams carry the token of their connection, out of sight."""
    with answering(Answer(500, ECHO.encode())) as connection:
        reply = connection.send(query_pool(ReplyKind.SMALL))
        with connection.open(query_pool(ReplyKind.STREAM)) as stream:
            streamed = stream.reply()
        assert TOKEN not in message_of(reply) + message_of(streamed) + repr((reply.secret, stream))[25:]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://influx.example/login?next=%2F", r"redirects to https://influx\.example/login\?\*\*\*"),
        ("https://bob:PW@influx.example/", r"redirects to https://\*\*\*@influx\.example/"),
        ("/elsewhere?token=PW", "redirects to /elsewhere"),
        ("\x1b[31mhttp://x", r"redirects to \*\*\*"),
    ],
)
def test_redirects_are_shown_and_not_followed(location: str, words: str) -> None:
    """The address is shown without its secrets, with what to do."""
    with answering(Answer(307, b"", (("Location", location),))) as connection:
        reply = connection.send(query_pool(ReplyKind.SMALL))
    with pytest.raises(Refused, match=f"answered 307 and {words}") as caught:
        InfluxDB2().classify_write(reply)
    assert "PW" not in str(caught.value)
    assert "--host" in caught.value.hint


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request, and the token with it, goes to the server that is named, and to nobody else."""
    with fault_proxy(NOWHERE, lambda call: Answer(500, b"no"), watched=("/",)) as other:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with answering(Answer(204)) as connection:
            assert connection.send(query_pool(ReplyKind.SMALL)).status == 204
        assert other.writes == []


CAUSES: list[tuple[Callable[[], Exception], str]] = [
    (lambda: urllib3.exceptions.ReadTimeoutError(None, "u", TOKEN), "timed out"),  # type: ignore[arg-type]
    (lambda: urllib3.exceptions.ProtocolError(TOKEN), "the connection broke"),
    (lambda: urllib3.exceptions.SSLError(TOKEN), "the connection broke"),
]


@pytest.mark.parametrize(("cause", "words"), CAUSES)
def test_the_words_of_libraries_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, cause: Callable[[], Exception], words: str
) -> None:
    """What libraries say may quote a request: neither the error nor what it came from holds it."""

    def fail(*arguments: object, **options: object) -> None:
        raise cause()

    monkeypatch.setattr(urllib3.PoolManager, "request", fail)
    with (
        Connection(Target(NOWHERE, "b", "o", TOKEN), 1) as connection,
        pytest.raises(LoaderError, match=words) as caught,
    ):
        connection.send(query_pool(ReplyKind.SMALL))
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("code", "hint"),
    [(10, "look at the clocks"), (18, "--ca-file"), (20, "SSL_CERT_FILE"), (62, "host name"), (3, "--ca-file")],
)
def test_why_a_certificate_is_not_trusted_is_said(monkeypatch: pytest.MonkeyPatch, code: int, hint: str) -> None:
    """Each cause has its own way out."""
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code, cause.verify_message = code, "for a reason"

    def fail(*arguments: object, **options: object) -> None:
        raise urllib3.exceptions.SSLError(cause)

    monkeypatch.setattr(urllib3.PoolManager, "request", fail)
    with Connection(Target(NOWHERE, "b"), 1) as connection, pytest.raises(Refused, match="for a reason") as caught:
        connection.send(query_pool(ReplyKind.SMALL))
    assert hint in caught.value.hint


def test_a_handshake_that_breaks_off_can_be_tried_again() -> None:
    """A server that ends in the middle of it is restarted, and says nothing of its certificate."""
    with saying(b"") as plain:
        target = replace(plain.target, url=plain.target.url.replace("http", "https"))
        with Connection(target, 10) as connection, pytest.raises(Retryable, match="the connection broke"):
            connection.send(query_pool(ReplyKind.SMALL))


def test_why_it_cannot_connect_is_said() -> None:
    """The system's own words tell a closed port from an unknown name."""
    with (
        Connection(Target(NOWHERE, "b"), 1) as connection,
        pytest.raises(Retryable, match="connect: Connection refused"),
    ):
        connection.send(query_pool(ReplyKind.SMALL))


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"no certificate", "no certificates")])
def test_an_impossible_ca_file_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is missing, or holds no certificates, is an error of configuration."""
    path = tmp_path / "ca.pem"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        Connection(Target(NOWHERE, "b", tls=Tls(str(path))), 1)
