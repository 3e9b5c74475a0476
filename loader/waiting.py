"""Waits that Ctrl-C ends, and threads that do not hold up the end of a program.

A wait without a time limit can miss signals: after ``import polars`` the system restarts it instead of returning to
Python. So every thread that a person may interrupt waits by one of these functions, which wake up ten times a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, Queue, SimpleQueue
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar

SLICE_SECONDS = 0.1

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")


def take(queue: Queue[Item] | SimpleQueue[Item]) -> Item:
    """Wait for the next item of ``queue`` and return it."""
    while True:
        try:
            return queue.get(timeout=SLICE_SECONDS)
        except Empty:
            continue


def take_within(queue: Queue[Item] | SimpleQueue[Item], seconds: float) -> Item | None:
    """Wait for the next item of ``queue`` and return it, None after ``seconds``, or after a slice of more seconds."""
    try:
        return queue.get(timeout=max(0.0, min(seconds, SLICE_SECONDS)))
    except Empty:
        return None


def pause(seconds: float, stop: threading.Event | None = None) -> bool:
    """Wait ``seconds``, which may be infinite; return True at once when ``stop`` is set, otherwise False."""
    until = time.monotonic() + seconds
    idle = stop or threading.Event()
    while (left := until - time.monotonic()) > 0:
        if idle.wait(min(left, SLICE_SECONDS)):
            break
    return idle.is_set()


class Ending(Protocol):
    """A thread or a process."""

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, at most ``timeout`` seconds."""
        ...


def join(ending: Ending) -> None:
    """Wait until a thread or a process has ended."""
    while ending.is_alive():
        ending.join(SLICE_SECONDS)


class Answer(Future[Item], Generic[Item]):
    """A future whose ``result`` can be interrupted while it waits."""

    def result(self, timeout: float | None = None) -> Item:
        """Return the result, or raise the error, of the work; raises TimeoutError after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self.done() and (until is None or time.monotonic() < until):
            left = SLICE_SECONDS if until is None else min(SLICE_SECONDS, max(0.0, until - time.monotonic()))
            try:
                return super().result(left)
            except TimeoutError:
                continue
        return super().result(0)


class Workers:
    """``number`` threads that run submitted work, in the order of submission.

    At the end of the block no more work is started, and running work is waited for. After an interrupt it is not
    waited for: the threads are daemons, since a reply may take minutes. ``closed`` is set when the block ends.
    """

    def __init__(self, number: int) -> None:
        self._tasks: SimpleQueue[tuple[Answer[Any], Callable[[], Any]] | None] = SimpleQueue()
        self.closed = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def submit(
        self, work: Callable[Arguments, Item], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Answer[Item]:
        """Submit a call of ``work`` with the arguments, and return its future."""
        answer: Answer[Item] = Answer()
        self._tasks.put((answer, lambda: work(*args, **kwargs)))
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        for _ in self._threads:
            self._tasks.put(None)
        if kind is None or issubclass(kind, Exception):
            for thread in self._threads:
                join(thread)

    def _work(self) -> None:
        while (task := take(self._tasks)) is not None:
            answer, work = task
            if self.closed.is_set():
                answer.cancel()
            elif answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(work())
                except BaseException as error:
                    answer.set_exception(error)
            del task, answer, work  # otherwise the result would stay in memory until the next task comes
