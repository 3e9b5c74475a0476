"""Reads replies for all dialects, and quotes the messages of servers in errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import polars as pl

from loader.errors import LoaderError, Refused, Retryable, ServerError, TooLarge
from loader.printable import printable
from loader.servers.address import redacted
from loader.servers.base import Reply
from loader.unexpected import hide

_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WISH = 86_400.0
_READ = 1 << 20
"""Bytes of a reply that are read for its message: enough that no token is cut within the part that is shown."""
_ADDRESS_HINT = "is this address an InfluxDB? check --host"
_UNEXPECTED = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError),
    *(csv.Error, pl.exceptions.PolarsError),
)


def shown(reply: Reply, text: str) -> str:
    """Return ``text`` from ``reply`` in a form that may be shown: printable, short, without the token."""
    return printable(hide(text, [reply.secret]))


def message_of(reply: Reply) -> str:
    """Return the message in a reply: 1.x calls it ``error``, 2.x ``message``; proxies may send anything."""
    try:
        data = decode_json(reply)
        words = str(data.get("message") or data.get("error") or data) if isinstance(data, dict) else str(data)
    except (ValueError, RecursionError):
        words = " ".join(reply.body[:_READ].decode(errors="replace").split())
    return shown(reply, words or reply.headers.get("x-influxdb-error", "no words in the reply"))


def retry_after(reply: Reply) -> float | None:
    """Return the Retry-After of a reply in seconds, at most a day; InfluxDB does not use the date form."""
    value = reply.headers.get("retry-after", "")
    return min(float(value), _LONGEST_WISH) if value.isascii() and value.isdecimal() else None


def answer_of(reply: Reply) -> str:
    """Return the answer of a server in words: its status, and its redirect or its message."""
    location = reply.headers.get("location", "")
    if 300 <= reply.status < 400 and location:
        # A path on the same server is no address, and has no user or password.
        place = location.partition("?")[0] if location.startswith("/") else redacted(location)
        return f"answered {reply.status} and redirects to {shown(reply, place)}"
    return f"answered {reply.status}: {message_of(reply)}"


def raise_for(reply: Reply, doing: str) -> NoReturn:
    """Raise the ServerError for ``reply``, which is a failure; ``doing`` says what was tried."""
    status = reply.status
    text = f"{doing}: the server {answer_of(reply)}"
    raise_if_busy(reply, text)
    if status == 413:
        raise TooLarge(text, status=status)
    token = "check the token" if reply.secret else "no token was given: say one"
    hints = {
        400: "the server's words say what it does not like",
        401: f"{token} (1.x: user:password): INFLUX_TOKEN, or --token-file",
        403: "the token lacks the permission: use one that may read and write",
        404: "check the organization, the bucket and the address",
        422: "the server's words say what it does not like",
    }
    raise Refused(text, status=status, hint=redirect_hint(reply) or hints.get(status, _ADDRESS_HINT))


def raise_if_busy(reply: Reply, text: str) -> None:
    """Raise Retryable with ``text`` when the status of ``reply`` says that the same request may succeed later."""
    if reply.status in _RETRYABLE:
        raise Retryable(text, status=reply.status, retry_after=retry_after(reply))


def redirect_hint(reply: Reply) -> str:
    """Return what to do about a redirect, "" for another reply."""
    return "redirects are not followed: use the server's own address, --host" if 300 <= reply.status < 400 else ""


def decode_json(reply: Reply) -> Any:
    """Return the JSON of ``reply``, even if it is not valid UTF-8; raises ValueError, RecursionError."""
    return json.loads(reply.body.decode(errors="replace"))


def json_of(reply: Reply, doing: str, expected: int = 200) -> Any:
    """Return the JSON of a reply with the status ``expected``; raises ServerError for anything else."""
    if reply.status != expected:
        raise_for(reply, doing)
    try:
        return decode_json(reply)
    except ValueError:
        words = f"{doing}: the reply is not JSON: {message_of(reply)}"
        raise ServerError(words, status=reply.status, hint=_ADDRESS_HINT) from None
    except RecursionError:
        raise _unexpected(reply, doing) from None


@contextmanager
def reading(reply: Reply, doing: str) -> Iterator[None]:
    """Turn an error that the form of ``reply`` causes in the block into a ServerError with the reply's message."""
    try:
        yield
    except LoaderError:
        raise
    except _UNEXPECTED:
        raise _unexpected(reply, doing) from None


def _unexpected(reply: Reply, doing: str) -> ServerError:
    return ServerError(
        f"{doing}: the reply has an unexpected form: {message_of(reply)}",
        status=reply.status,
        hint="is this address an InfluxDB, without anything in between that answers for it? check --host",
    )
