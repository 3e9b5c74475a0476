"""What this process and its children use of the machine."""

from __future__ import annotations

import resource
from contextlib import suppress

import psutil

from loader.memory import measure_peak_memory


class Usage:
    """Measures this process and its children from when it is made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before, _ = self._look()

    def read(self) -> dict[str, float]:
        """Return CPU seconds, and the bytes that are resident now; memory that processes share counts for each."""
        seconds, memory = self._look()
        return {"cpu_seconds": round(seconds - self._before, 3), "memory": memory}

    def read_peak(self) -> dict[str, float]:
        """Return CPU seconds, and the most bytes that one process had resident."""
        seconds, _ = self._look()
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        return {
            "cpu_seconds": round(seconds - self._before, 3),
            "peak_memory": max(measure_peak_memory(), children),
        }

    def _look(self) -> tuple[float, int]:
        """Return the CPU seconds of this process, its children and those that have ended, and resident bytes."""
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        seconds = sum(usage.ru_utime + usage.ru_stime for usage in usages)
        memory = self._process.memory_info().rss
        # To find children takes a millisecond, so they are looked for only once.
        for child in self._process.children(recursive=True):
            with suppress(psutil.Error), child.oneshot():  # it may just have ended
                used = child.cpu_times()
                memory += child.memory_info().rss
                seconds += used.user + used.system
        return seconds, memory
