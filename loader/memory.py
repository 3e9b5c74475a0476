"""How much memory this process has had."""

from __future__ import annotations

import re
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def measure_peak_memory() -> int:
    """Return the most memory that this process had resident, bytes.

    What the system counts for a process begins with what its parent had when it started it; Linux tells them apart.
    """
    status = _STATUS.read_text() if _STATUS.exists() else ""
    if found := re.search(r"VmHWM:\s+(\d+) kB", status):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
