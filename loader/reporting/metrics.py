"""The metrics file of a run: what was asked, on which machine, what it took, how it ended."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loader.dataset.atomic import write_whole
from loader.dataset.manifest import STATE
from loader.memory import measure_peak_memory
from loader.servers.address import redacted

FOLDER = f"{STATE}/metrics"


class Meter:
    """Measures this process and its children from its making on."""

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._cpu = _cpu_seconds()

    def read(self) -> dict[str, Any]:
        """Return start (ISO 8601, UTC), seconds, CPU seconds and peak memory in bytes (the largest process)."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        return {
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 3),
            "peak_memory": max(measure_peak_memory(), children),
        }


def machine() -> dict[str, Any]:
    """Return what this machine is: processor, cores, memory in bytes, platform."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "platform": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, of the loader and of the libraries that figures depend on."""
    packages = ("loader", "polars", "pyarrow", "numpy", "numba", "influxdb-client")
    return {"python": sys.version.split()[0], **{package: version(package) for package in packages}}


def settings_json(settings: Any) -> dict[str, Any]:
    """Return a settings value for ``json.dump``, without any token, user or password."""
    data = asdict(settings)
    if "target" in data:
        del data["target"]["token"]
        data["target"]["url"] = redacted(data["target"]["url"])
    return data


def write_metrics(root: Path, activity: str, content: Mapping[str, Any]) -> Path:
    """Write the metrics of one run below the dataset at ``root``, whole; raises OSError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = root / FOLDER / f"{activity}-{stamp}.json"
    write_whole(path, json.dumps(dict(content), indent=1, default=str).encode() + b"\n")
    return path


def newest_metrics(root: Path, activity: str) -> dict[str, Any] | None:
    """Return the newest metrics of ``activity`` below ``root``, None when there are none."""
    paths = sorted((root / FOLDER).glob(f"{activity}-*.json"))
    if not paths:
        return None
    content: dict[str, Any] = json.loads(paths[-1].read_bytes())
    return content


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
