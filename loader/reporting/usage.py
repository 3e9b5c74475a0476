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
        self._before = self._cpu()

    def read(self) -> dict[str, float]:
        """Return CPU seconds, and the bytes that are resident now; memory that processes share counts for each."""
        return {"cpu_seconds": round(self._cpu() - self._before, 3), "memory": self._memory()}

    def read_peak(self) -> dict[str, float]:
        """Return CPU seconds, and the most bytes that one process had resident."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        return {
            "cpu_seconds": round(self._cpu() - self._before, 3),
            "peak_memory": max(measure_peak_memory(), children),
        }

    def _memory(self) -> int:
        sizes = [self._process.memory_info().rss]
        for child in self._process.children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                sizes.append(child.memory_info().rss)
        return sum(sizes)

    def _cpu(self) -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        seconds = sum(usage.ru_utime + usage.ru_stime for usage in usages)
        for child in self._process.children(recursive=True):
            with suppress(psutil.Error):
                used = child.cpu_times()
                seconds += used.user + used.system
        return seconds
