"""The one way to a server: requests go through influxdb-client, replies and errors come back as ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode, urlsplit

import urllib3
from influxdb_client import InfluxDBClient, WriteService
from influxdb_client.rest import ApiException

from loader.errors import ConfigError, Refused, Retryable
from loader.servers.base import Reply, Request, Target

_SMALL_BODY = 1 << 20
LONGEST_TIMEOUT = 86_400


def check_url(url: str) -> str:
    """Return ``url`` without a trailing slash; raises ConfigError unless it is http(s)://HOST[:PORT][/PATH]."""
    hint = "write it like http://localhost:8086"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{url!r} is not the address of a server", hint=hint)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError("the address must not hold a user, password, query or fragment", hint=hint)
    return url.rstrip("/")


class Readable(Protocol):
    """Bytes that arrive as they are asked for; raises Retryable when they stop short."""

    def read(self, size: int, /) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        ...


@dataclass(frozen=True)
class Stream:
    """A reply whose body is still to be read; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Readable

    def reply(self) -> Reply:
        """Read what is left and return the whole reply, which should be a small one."""
        return Reply(self.status, self.headers, self.body.read(_SMALL_BODY))


class Connection:
    """One connection to ``target``, for one thread at a time; raises ConfigError for an impossible address or timeout.

    The methods raise Retryable when there is no reply (refused, reset, timeout). A reply of any status is
    returned, for a dialect to judge.
    """

    def __init__(self, target: Target, timeout_seconds: float) -> None:
        if not 0 < timeout_seconds <= LONGEST_TIMEOUT:
            raise ConfigError(
                f"timeout of {timeout_seconds:g} seconds", hint=f"use more than 0, and at most {LONGEST_TIMEOUT:,}"
            )
        self.target = target
        self._url = check_url(target.url)
        self._client = InfluxDBClient(
            url=self._url,
            token=target.token,
            org=target.org,
            timeout=int(timeout_seconds * 1_000),
            enable_gzip=False,
        )
        # For each wait on the socket: a large body takes as long as it takes.
        self._timeout = urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds)
        self._write_service = WriteService(self._client.api_client)

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
        try:
            response = self._request(request, whole=True)
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(error) from error
        return Reply(response.status, _lower(response.headers), response.data)

    @contextmanager
    def open(self, request: Request) -> Iterator[Stream]:
        """Send ``request`` and yield the reply, its body unread; memory is bounded by what is read at a time.

        The connection serves nothing else until the block ends. A break while reading raises Retryable, too.
        """
        try:
            response = self._request(request, whole=False)
            try:
                yield Stream(response.status, _lower(response.headers), response)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(error) from error

    def upload(self, request: Request, pieces: Iterable[bytes | memoryview], size: int) -> Reply:
        """Send ``request`` with ``pieces``, ``size`` bytes together, as its body; they are not copied."""
        sized = replace(request, headers={**request.headers, "Content-Length": str(size)})
        try:
            response = self._request(sized, whole=True, body=pieces)
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(error) from error
        return Reply(response.status, _lower(response.headers), response.data)

    def write(self, body: bytes, *, gzipped: bool) -> Reply:
        """Send ``body``, line protocol with timestamps in nanoseconds, to the target's bucket."""
        try:
            _, status, headers = self._write_service.post_write_with_http_info(
                self.target.org,
                self.target.bucket,
                body=body,
                precision="ns",
                content_encoding="gzip" if gzipped else "identity",
                content_type="text/plain; charset=utf-8",
            )
            return Reply(status, _lower(headers))
        except ApiException as error:
            if not error.status:
                raise self._failure(error) from error
            return Reply(error.status, _lower(error.headers), (error.body or "").encode())
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(error) from error

    def _request(
        self, request: Request, *, whole: bool, body: Iterable[bytes | memoryview] | None = None
    ) -> urllib3.BaseHTTPResponse:
        api = self._client.api_client
        query = f"?{urlencode(request.params)}" if request.params else ""
        response: urllib3.BaseHTTPResponse = api.rest_client.pool_manager.request(
            request.method,
            f"{self._url}{request.path}{query}",
            body=body or request.body or None,
            headers={**api.default_headers, **request.headers},
            timeout=self._timeout,
            redirect=False,
            preload_content=whole,
            # Whoever asks decides what is tried again, and when.
            retries=False,
        )
        return response

    def _failure(self, error: Exception) -> Retryable | Refused:
        """Map a foreign exception to ours. Its own text may hold headers, so only its kind is shown."""
        table: tuple[tuple[type[Exception], type[Retryable] | type[Refused], str], ...] = (
            (urllib3.exceptions.SSLError, Refused, "the TLS handshake failed"),
            (ApiException, Refused, "the TLS handshake failed"),
            (urllib3.exceptions.NewConnectionError, Retryable, "cannot connect"),
            (urllib3.exceptions.ConnectTimeoutError, Retryable, "timed out while connecting"),
            (urllib3.exceptions.TimeoutError, Retryable, "timed out"),
            (urllib3.exceptions.HTTPError, Retryable, "the connection broke"),
        )
        kind, words = next((ours, words) for foreign, ours, words in table if isinstance(error, foreign))
        return kind(f"{self._url}: {words}", hint="is the server running, and is this its address?")


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
