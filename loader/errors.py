"""Every error that the loader raises on purpose.

::

    LoaderError
    ├── ConfigError       bad flag or mapping, unknown name, not enough disk: nothing was started
    ├── StageError        a partition is missing, or files and manifest disagree
    ├── EncodeError       a value or name that InfluxDB cannot hold
    ├── DecodeError       a storage file of a server is damaged
    ├── ServerError       what the server said, with its status
    │   ├── Retryable     429, 5xx, timeout, reset
    │   │   └── Unreachable   refused, unknown host, no route
    │   ├── Refused       401, 403, 404, unknown path: stop at once
    │   ├── TooLarge      413: split and remember the size
    │   └── PartialWrite  some lines kept, some refused
    └── LoadError         the load could not finish; what is acknowledged is in the ledger

Messages say what and where; the hint says what to do. Both are safe to print, even where they quote foreign text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from loader.printable import MESSAGE, printable


class LoaderError(Exception):
    """Base of all errors of the loader: ``message`` says what and where, ``hint`` what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = printable(message, MESSAGE)
        self.hint = printable(hint, MESSAGE)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigError(LoaderError):
    """A setting is wrong, or the machine lacks the resources for it; nothing was started."""


class StageError(LoaderError):
    """Staged files are missing, damaged, or disagree with their manifest."""


class EncodeError(LoaderError):
    """A value or name that InfluxDB cannot hold; the message says which, and where it is."""


class DecodeError(LoaderError):
    """A storage file of a server is damaged; the message names file, key and offset."""


class ServerError(LoaderError):
    """The server, or the connection to it, failed; ``status`` is the HTTP status, 0 when there was no reply."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Retryable(ServerError):
    """The same request may succeed later; ``retry_after`` is the delay in seconds that the server asks for, if any."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint, status=status)
        self.retry_after = retry_after


class Unreachable(Retryable):
    """No connection could be made: it was refused, the host is unknown, or there is no route to it."""


class Refused(ServerError):
    """The server will never accept this request: nothing else is sent."""


class TooLarge(ServerError):
    """The body exceeds the server's limit: send it in halves."""


class PartialWrite(ServerError):
    """The server refused some lines of the body for good.

    ``rest_stored`` is true when the server kept the others, false when it stored nothing of the body. ``lines`` are the
    refused lines, counted from 0, with the server's words on each; empty where the server does not name them all.
    """

    def __init__(
        self, message: str, *, status: int, rest_stored: bool, lines: Mapping[int, str] = MappingProxyType({})
    ) -> None:
        super().__init__(message, status=status)
        self.rest_stored = rest_stored
        self.lines = lines


class LoadError(LoaderError):
    """The load could not finish; a rerun resumes from the ledger."""
