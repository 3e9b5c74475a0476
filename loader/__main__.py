"""Runs the command line: python -m loader."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code, even when an import fails.

    This module imports what it needs as late as possible, so that signal handlers are installed as early as possible.
    """
    _occupy_standard_descriptors()
    ignored = [number for number in SIGNALS if signal.getsignal(number) == signal.SIG_IGN]
    for number in SIGNALS:
        if number not in ignored:
            signal.signal(number, _interrupted)
    try:
        from loader.cli import main as run  # noqa: PLC0415
    except BaseException as error:
        _fail(error)
    finally:
        # Libraries install handlers of their own. With those of Polars, a Ctrl-C that was ignored would no longer be
        # ignored, and others would not end a wait.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if number in ignored else _interrupted)
    run()


def _occupy_standard_descriptors() -> None:
    """Open standard descriptors that the caller closed: the next opened file would get one, and with it our output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """End at once: nothing has begun while libraries are being imported."""
    _say("interrupted", 130)
    os._exit(130)


def _fail(error: BaseException) -> NoReturn:
    from loader.unexpected import explain, find_secrets, trace  # noqa: PLC0415

    secrets = find_secrets(sys.argv, os.environ)
    explained = explain(error, secrets)
    if "--debug" in sys.argv or os.environ.get("LOADER_DEBUG"):
        _write(2, trace(error, secrets))
    _say(explained.message, 3, explained.hint)
    os._exit(3)


def _say(message: str, code: int, hint: str = "") -> None:
    _write(2, f"error: {message}")
    if hint:
        _write(2, f"hint: {hint}")
    if "--json" in sys.argv:
        import json  # noqa: PLC0415

        _write(1, json.dumps({"exit_code": code, "error": message}))


def _write(descriptor: int, text: str) -> None:
    """Write past the streams of Python, which may be in use or closed."""
    try:
        os.write(descriptor, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:
        return


if __name__ == "__main__":
    main()
