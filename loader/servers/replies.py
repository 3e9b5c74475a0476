"""The parts of reading a reply that all dialects share."""

from __future__ import annotations

import json
from typing import Any

from loader.errors import Refused, Retryable, ServerError, TooLarge
from loader.servers.base import Reply

_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


def message_of(reply: Reply) -> str:
    """Return the server's own words: 1.x says ``error``, 2.x ``message``, proxies anything."""
    try:
        data = json.loads(reply.body)
        return str(data.get("message") or data.get("error") or data)
    except (ValueError, AttributeError):
        text = " ".join(reply.body[:500].decode(errors="replace").split())
        return text[:200] or reply.headers.get("x-influxdb-error", "no words in the reply")


def retry_after(reply: Reply) -> float | None:
    """Return the server's wish to wait, in seconds; the date form of the header is not used by InfluxDB."""
    value = reply.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def raise_for(reply: Reply, doing: str) -> None:
    """Raise the ServerError for ``reply``, which is not what was hoped for; ``doing`` says what was tried."""
    status, message = reply.status, message_of(reply)
    text = f"{doing}: the server answered {status}: {message}"
    if status in _RETRYABLE:
        raise Retryable(text, status=status, retry_after=retry_after(reply))
    if status == 413:
        raise TooLarge(text, status=status)
    if status == 401:
        raise Refused(text, status=status, hint="check the token (1.x: user:password): INFLUX_TOKEN, or --token-file")
    if status == 403:
        raise Refused(text, status=status, hint="the token lacks the permission: use one that may read and write")
    if status == 404:
        raise Refused(text, status=status, hint="check the organization, the bucket and the address")
    if status in {400, 422}:
        raise Refused(text, status=status, hint="the server's words say what it does not like")
    raise Refused(text, status=status, hint="is this address an InfluxDB? check --host")


def json_of(reply: Reply, doing: str, expected: int = 200) -> Any:
    """Return the JSON of a reply with the status ``expected``; raises ServerError for anything else."""
    if reply.status != expected:
        raise_for(reply, doing)
    try:
        return json.loads(reply.body)
    except ValueError:
        raise ServerError(
            f"{doing}: the reply is not JSON: {message_of(reply)}",
            status=reply.status,
            hint="is this address an InfluxDB? check --host",
        ) from None
