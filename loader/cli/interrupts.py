"""Ends a command early on Ctrl-C, SIGTERM and SIGHUP.

The first signal interrupts the command, or lets it finish what is in flight. If that takes longer than GRACE_SECONDS,
for example in a library, a lock or while waiting for a reply, a separate thread ends the process. For files on disk
that is the same as a kill, and a rerun resumes from there. The second signal ends the process at once.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from loader.waiting import join

INTERRUPTED = 130
GRACE_SECONDS = 1.0
_AT_ONCE = 0.1
_LAST_WORDS_SECONDS = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Ends the command in the block when a signal comes; signals that were ignored before stay ignored.

    ``last_words`` is called before a process that does not end by itself is ended; it may take half a second.
    While ``in_flight()`` is true, the first signal sets ``stop`` instead of interrupting, and ``announce`` is called.
    Only the main thread can handle signals: in other threads the block does nothing.
    """

    def __init__(
        self,
        last_words: Callable[[], None],
        stop: threading.Event | None = None,
        in_flight: Callable[[], bool] = lambda: False,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        self._last_words = last_words
        self._stop = stop
        self._in_flight = in_flight
        self._announce = announce
        self._signals = 0
        self._shielded = False
        self._active = False
        self._before: dict[int, Any] = {}

    @property
    def came(self) -> bool:
        """Whether a signal has come."""
        return self._signals > 0

    def shield(self) -> None:
        """Let no signal interrupt the rest, which is short; a signal still ends it after GRACE_SECONDS."""
        self._shielded = True

    def __enter__(self) -> Self:
        self._active = threading.current_thread() is threading.main_thread()
        if not self._active:
            return self
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # Python runs handlers only when the main thread returns from a library; this wakes the watcher at once.
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._active:
            return
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writer)
        join(self._watcher)
        os.close(self._reader)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._shielded:
            return
        if self._signals == 1 and self._stop is not None and self._in_flight():
            self._stop.set()
            return
        raise KeyboardInterrupt

    def _watch(self) -> None:
        waiting = select.poll()
        waiting.register(self._reader, select.POLLIN)
        seen, deadline = 0, 0.0
        while waiting.poll(max(0.0, deadline - time.monotonic()) * 1_000 if seen else None):
            numbers = os.read(self._reader, 64)
            if not numbers:  # closed: the command has ended
                return
            seen += sum(number in self._before for number in numbers)
            deadline = time.monotonic() + (GRACE_SECONDS if seen == 1 else _AT_ONCE)
            if seen == 1 and self._stop is not None and self._in_flight():
                within(_LAST_WORDS_SECONDS, self._announce)
        within(_LAST_WORDS_SECONDS, self._last_words)
        os._exit(INTERRUPTED)


def within(seconds: float, action: Callable[[], None]) -> None:
    """Run ``action``, and wait for it at most ``seconds``: a terminal or a disk may not respond."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)
