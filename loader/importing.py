"""Imports what takes long: the loader imports a library when a command uses it, and not before.

Needs only the standard library, because it is there before any library is.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` (PEP 562) of a package whose names are imported on first use.

    ``homes`` has the module of each name, relative to ``package``.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find


@contextmanager
def importing() -> Iterator[None]:
    """Let libraries be imported in the block; only the main thread can handle signals, in others nothing changes.

    A signal ends the process at once: nothing has begun, and an import that is interrupted fails in odd ways.
    Libraries install handlers of their own. With those of Polars, a Ctrl-C that was ignored would no longer be
    ignored, and others would not end a wait. So the handlers from before are installed again. The garbage collector
    pauses: what modules define is not garbage, and to look through it takes a tenth of the time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    collecting = gc.isenabled()
    gc.disable()
    found = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in found.items() if handler is not None}  # None: not one of Python
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end_at_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if collecting:
            gc.freeze()  # nor is it looked through later
            gc.enable()


def import_pyarrow() -> None:
    """Import pyarrow without pandas, which it imports before it makes its first array, and which takes as long again.

    If that fails, it does not try again until somebody asks it for something of pandas.
    """
    finder = _Absent("pandas")
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow  # noqa: PLC0415

        pyarrow.array([])
    finally:
        sys.meta_path.remove(finder)


class _Absent:
    """Finds that a module is not there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Raise ModuleNotFoundError for the module; leave any other to the next finder."""
        if name == self._name:
            raise ModuleNotFoundError(f"{name} is left out here", name=name)


def end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the process: it was interrupted (a handler of signals)."""
    say_early("interrupted", 130)
    os._exit(130)


def say_early(message: str, code: int, hint: str = "") -> None:
    """Say that the process ends with an error, while there is no command line yet to say it."""
    write_early(2, f"error: {message}")
    if hint:
        write_early(2, f"hint: {hint}")
    if "--json" in sys.argv:
        import json  # noqa: PLC0415

        write_early(1, json.dumps({"exit_code": code, "error": message}))


def write_early(descriptor: int, text: str) -> None:
    """Write past the streams of Python, which may be in use or closed."""
    try:
        os.write(descriptor, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:
        return
