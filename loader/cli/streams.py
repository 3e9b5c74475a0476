"""Standard output and standard error that never raise errors: a failure to write is remembered instead."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET})


class Outlet:
    """Writes to ``stream`` until that fails, and then nowhere; ``failure`` is the error, None if there is none.

    A stream whose reader is gone, or that is closed, counts as no failure: nobody wants the output.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: Exception | None = None

    def write(self, text: str) -> int:
        """Write ``text``, with escapes for characters that the stream's encoding lacks. Raises TypeError for bytes."""
        if not isinstance(text, str):  # libraries find out in this way whether a stream takes bytes
            raise TypeError(f"a stream of text takes no {type(text).__name__}")
        if self._stream is not None:
            try:
                encoding = self._stream.encoding or "utf-8"
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except Exception as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Discard everything from now on, also what the interpreter writes at its end."""
        stream, self._stream = self._stream, None
        # Python raises ValueError for a stream that it has closed itself.
        if not isinstance(error, ValueError) and getattr(error, "errno", None) not in _GONE:
            self.failure = error
        with suppress(Exception):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast(TextIO, stream).fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Tell whether a person may be looking."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the stream, which libraries may use."""
        return getattr(self.__dict__["_stream"], name)


def guard_streams() -> tuple[Outlet, Outlet]:
    """Replace standard output and standard error by outlets; return them."""
    output, errors = Outlet(sys.stdout), Outlet(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
    return output, errors


def say(text: str, *, error: bool = False) -> None:
    """Write a line to standard output, or to standard error, at once."""
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()
