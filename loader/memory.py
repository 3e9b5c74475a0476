"""How much memory this process has had, and how much is left."""

from __future__ import annotations

import ctypes
import re
import resource
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CONTAINER = Path("/sys/fs/cgroup")


def measure_peak_memory() -> int:
    """Return the most memory that this process had resident, bytes.

    The system's count for a process starts with what its parent had when it started the process; on Linux, VmHWM does
    not.
    """
    status = _STATUS.read_text() if _STATUS.exists() else ""
    if found := re.search(r"VmHWM:\s+(\d+) kB", status):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def release_free_memory() -> None:
    """Give memory that was freed back to the system, where the C library can (glibc); elsewhere do nothing.

    It keeps the holes between what is still held, which large arrays that come and go make many of.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def measure_available_memory() -> int:
    """Return the bytes that processes can still take: of the machine, or of the container (cgroup 2) if it has less."""
    available: int = psutil.virtual_memory().available
    try:
        limit, used = ((_CONTAINER / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(available, max(0, int(limit) - int(used)))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return available
