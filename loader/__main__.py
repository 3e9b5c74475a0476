"""Runs the command line: python -m loader."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from loader.importing import SIGNALS, end_at_once, importing, say_early, write_early


def main() -> NoReturn:
    """Run the command line and end the process with its exit code, even when an import fails.

    This module imports what it needs as late as possible, so that signal handlers are installed as early as possible.
    """
    _occupy_standard_descriptors()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end_at_once)
    try:
        with importing():
            from loader.cli import main as run  # noqa: PLC0415
    except BaseException as error:
        _fail(error)
    run()


def _occupy_standard_descriptors() -> None:
    """Open standard descriptors that the caller closed: the next opened file would get one, and with it our output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _fail(error: BaseException) -> NoReturn:
    from loader.unexpected import explain, find_secrets, trace  # noqa: PLC0415

    secrets = find_secrets(sys.argv, os.environ)
    explained = explain(error, secrets)
    if "--debug" in sys.argv or os.environ.get("LOADER_DEBUG"):
        write_early(2, trace(error, secrets))
    say_early(explained.message, 3, explained.hint)
    os._exit(3)


if __name__ == "__main__":
    main()
