"""The transport: sends requests through influxdb-client, and turns replies and errors into those of the loader.

This is the only place that reads replies. Each kind of reply has a maximum of bytes after decompression, and a
deadline, see :mod:`loader.servers.pace`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType, TracebackType
from typing import Protocol, Self
from urllib.parse import urlencode

import urllib3
from influxdb_client import InfluxDBClient

from loader.errors import ConfigError, Refused, Retryable, ServerError, Unreachable
from loader.servers import pace
from loader.servers.base import Reply, ReplyKind, Request, Target
from loader.servers.proxy import proxy_fault
from loader.servers.tls import tls_fault

LONGEST_TIMEOUT = 86_400

MOST_BYTES: Mapping[ReplyKind, int] = MappingProxyType(
    {
        ReplyKind.WRITE: 64 << 10,
        ReplyKind.LINES: 16 << 20,
        ReplyKind.SMALL: 1 << 20,
        ReplyKind.METADATA: 512 << 20,
        ReplyKind.ANSWER: 512 << 20,
    }
)
"""Most bytes of a reply. A stream has no maximum: its reader must bound it."""
MOST_WORDS = 64 << 10
"""Most bytes that are read of a reply with a status of 300 or more, unless it names lines; the rest is left unread."""
_PIECE = 64 << 10


class Readable(Protocol):
    """Bytes that arrive as they are read; raises Retryable when they end too early."""

    def read(self, size: int, /) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        ...


@dataclass(frozen=True)
class Stream:
    """A reply whose body is still to be read; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Readable
    secret: str = field(default="", repr=False)

    def reply(self) -> Reply:
        """Return the whole reply, which is an error: at most MOST_WORDS bytes of the rest are read."""
        return Reply(self.status, self.headers, self.body.read(MOST_WORDS), self.secret)


class Connection:
    """One connection to ``target``, for one thread at a time; raises ConfigError for an invalid timeout or TLS file.

    The methods raise Retryable when there is no reply (Unreachable where there is no connection), Refused when TLS
    fails, and ServerError for a reply that is larger than MOST_BYTES allows. A reply of any status is returned, for a
    dialect to judge.
    """

    def __init__(self, target: Target, timeout_seconds: float) -> None:
        if not 0 < timeout_seconds <= LONGEST_TIMEOUT:
            raise ConfigError(
                f"timeout of {timeout_seconds:g} seconds", hint=f"use more than 0, and at most {LONGEST_TIMEOUT:,}"
            )
        self.target = target
        proxy = target.proxy
        self._client = InfluxDBClient(
            url=target.url,
            token=target.token,
            org=target.org,
            timeout=int(timeout_seconds * 1_000),
            enable_gzip=False,
            ssl_context=target.tls.context(),
            verify_ssl=target.tls.verify,
            proxy=proxy.url if proxy else None,
            # For the proxy alone; of a request to a server behind https, it sees nothing else.
            proxy_headers=urllib3.make_headers(proxy_basic_auth=proxy.credentials or None) if proxy else None,
        )
        self._pace = pace.Pace(timeout_seconds)
        pace.install(self._client.api_client.rest_client.pool_manager, self._pace)
        # For each wait on the socket: a large body takes as long as it takes.
        self._timeout = urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def send(self, request: Request) -> Reply:
        """Send ``request`` and return the whole reply."""
        return self._exchange(request, request.body or None)

    def upload(self, request: Request, pieces: Iterable[bytes | memoryview], size: int) -> Reply:
        """Send ``request`` with ``pieces``, ``size`` bytes together, as its body; they are not copied."""
        return self._exchange(replace(request, headers={**request.headers, "Content-Length": str(size)}), pieces)

    @contextmanager
    def open(self, request: Request) -> Iterator[Stream]:
        """Send ``request`` and yield the reply, its body unread; memory is bounded by what is read at a time.

        The connection cannot be used otherwise until the block ends. A lost connection while reading raises Retryable.
        """
        with self._asked(replace(request, reply=ReplyKind.STREAM), request.body or None) as response:
            yield Stream(response.status, _lower(response.headers), response, self.target.token)

    def _exchange(self, request: Request, body: bytes | Iterable[bytes | memoryview] | None) -> Reply:
        with self._asked(request, body) as response:
            return Reply(response.status, _lower(response.headers), _read(request, response), self.target.token)

    @contextmanager
    def _asked(
        self, request: Request, body: bytes | Iterable[bytes | memoryview] | None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send ``request`` and yield its reply, to be read; an unread rest is dropped with the connection."""
        api = self._client.api_client
        query = f"?{urlencode(request.params)}" if request.params else ""
        try:
            response: urllib3.BaseHTTPResponse = api.rest_client.pool_manager.request(
                request.method,
                f"{self.target.url}{request.path}{query}",
                body=body,
                headers={**api.default_headers, **request.headers},
                timeout=self._timeout,
                redirect=False,
                preload_content=False,
                # The caller decides what is tried again, and when.
                retries=False,
            )
            if response.status < 300:
                self._pace.go_on(request.reply)
            try:
                if response.status == 407 and self.target.proxy:  # a proxy for http answers like a server
                    raise proxy_fault(self.target.proxy, self.target.url, response.status)
                yield response
            finally:
                # If everything was read, the connection has been returned to the pool by now, and stays open.
                response.close()
        except urllib3.exceptions.HTTPError as error:
            # The exception chain ends here: messages of libraries may quote a request, and with it the token.
            raise self._failure(error) from None

    def _failure(self, error: urllib3.exceptions.HTTPError) -> ServerError:
        """Map a foreign exception to one of the loader; only the system's text on a socket error is shown."""
        url, proxy = self.target.url, self.target.proxy
        where = url
        if proxy and (refused := _refused_tunnel(error)):
            return proxy_fault(proxy, url, refused)
        if proxy and isinstance(error, urllib3.exceptions.ProxyError):
            where = f"{url}, through the proxy {proxy.url}"
            error = error.original_error if isinstance(error.original_error, urllib3.exceptions.HTTPError) else error
        fault = tls_fault(error.args[0]) if isinstance(error, urllib3.exceptions.SSLError) and error.args else None
        if fault:
            return Refused(f"{where}: the TLS handshake failed: {fault[0]}", hint=fault[1])
        table: tuple[tuple[type[Exception], str], ...] = (
            (urllib3.exceptions.NewConnectionError, "cannot connect"),
            (urllib3.exceptions.ConnectTimeoutError, "timed out while connecting"),
            (urllib3.exceptions.TimeoutError, "timed out"),
            (urllib3.exceptions.DecodeError, "the reply cannot be decompressed"),
            (urllib3.exceptions.HTTPError, "the connection broke"),
        )
        words = next(ours for foreign, ours in table if isinstance(error, foreign))
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.strerror:
            words += f": {cause.strerror}"
        kind = Unreachable if isinstance(error, urllib3.exceptions.NewConnectionError) else Retryable
        return kind(f"{where}: {words}", hint="is the server running, and is this its address?")


def _read(request: Request, response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the body, or the beginning of that of an error; raises ServerError when it is too large for its kind."""
    failed = response.status >= 300
    named = request.reply is ReplyKind.LINES and response.status in {400, 422}
    most = MOST_WORDS if failed and not named else MOST_BYTES[request.reply]
    content = io.BytesIO()
    while content.tell() <= most and (piece := response.read(_PIECE)):
        content.write(piece)
    if content.tell() > most:
        if not failed:
            raise ServerError(
                f"{request.method} {request.path}: {request.reply.value} is larger than {most:,} bytes, and was not"
                " read to its end",
                status=response.status,
                hint="is this address an InfluxDB, without anything in between that answers for it?",
            )
        content.truncate(most)
    return content.getvalue()


def _refused_tunnel(error: urllib3.exceptions.HTTPError) -> int:
    """Return the status with which a proxy refused to connect to the server, 0 for every other error."""
    # Python tells it only in these words, as the cause in the arguments of what urllib3 raises.
    words = str(error.args[-1]) if error.args else ""
    refused = re.search(r"Tunnel connection failed: (\d{3})\b", words)
    return int(refused[1]) if refused else 0


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
