"""How much memory this process has had."""

from __future__ import annotations

import re
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def measure_peak_memory() -> int:
    """Return the most memory that this process had resident, bytes.

    The system's count for a process starts with what its parent had when it started the process; on Linux, VmHWM does
    not.
    """
    status = _STATUS.read_text() if _STATUS.exists() else ""
    if found := re.search(r"VmHWM:\s+(\d+) kB", status):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
