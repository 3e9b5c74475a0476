"""The one way to a server: requests go through influxdb-client, replies and errors come back as ours."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import urllib3
from influxdb_client import InfluxDBClient, WriteService
from influxdb_client.rest import ApiException

from loader.errors import ConfigError, Refused, Retryable
from loader.servers.base import Reply, Request, Target


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


LONGEST_TIMEOUT = 86_400


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
        self._timeout = urllib3.Timeout(total=timeout_seconds)
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
        api = self._client.api_client
        query = f"?{urlencode(request.params)}" if request.params else ""
        try:
            response = api.rest_client.pool_manager.request(
                request.method,
                f"{self._url}{request.path}{query}",
                body=request.body or None,
                headers={**api.default_headers, **request.headers},
                timeout=self._timeout,
                redirect=False,
            )
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
