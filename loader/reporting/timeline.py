"""What a run did over time: samples at even distances, few however long it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from loader.waiting import pause

MOST_SAMPLES = 600
FIRST_INTERVAL = 0.5
"""Seconds between samples, until there are MOST_SAMPLES."""

Sample = Mapping[str, float]


class Timeline:
    """Takes a sample of ``read()`` every half second at first, in a thread of its own, within its ``with`` block.

    When there are MOST_SAMPLES, every second one is dropped, and the time between them doubles: memory is bounded by
    MOST_SAMPLES rows of numbers. All samples have the same keys; ``seconds``, since the block began, is added.
    """

    def __init__(self, read: Callable[[], Sample], interval: float = FIRST_INTERVAL) -> None:
        self._read = read
        self._interval = interval
        self._samples: list[Sample] = []
        self._taking = threading.Lock()
        self._over = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._samples.append(self._sample())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def columns(self) -> dict[str, list[float]]:
        """Return the samples as columns, the last of them taken now."""
        with self._taking:
            samples = [*self._samples, self._sample()]
        return {name: [sample[name] for sample in samples] for name in samples[0]}

    def _run(self) -> None:
        while not pause(self._interval, self._over):
            with self._taking:
                self._samples.append(self._sample())
                if len(self._samples) >= MOST_SAMPLES:
                    del self._samples[1::2]
                    self._interval *= 2

    def _sample(self) -> Sample:
        return {"seconds": round(time.monotonic() - self._began, 3), **self._read()}
