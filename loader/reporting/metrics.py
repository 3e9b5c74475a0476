"""The metrics file of a run: its settings, the machine, what it took, how it ended."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loader.dataset.beneath import list_folder
from loader.dataset.claims import check_integer, check_mapping
from loader.dataset.state import read_json, state_name, state_path, write_json
from loader.errors import StageError
from loader.servers.address import redacted

COMPARED: Mapping[str, str] = MappingProxyType({"values": "every value", "sums": "counts, sums, extremes and samples"})
"""What the ways of verification compare that look at all points of the dataset."""
_FOLDER = "metrics"
_NAME = re.compile(r"[a-z-]+-\d{8}T\d{6}\.\d{6}Z\.json")


def machine() -> dict[str, Any]:
    """Describe this machine: processor, cores, memory in bytes, platform."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "platform": platform.platform(),
    }


def settings_json(settings: Any) -> dict[str, Any]:
    """Return a settings value for ``json.dump``, without any token, user or password."""
    data = asdict(settings)
    if "target" in data:
        del data["target"]["token"]
        data["target"]["url"] = redacted(data["target"]["url"])
        (data["target"]["proxy"] or {}).pop("credentials", None)
    return data


def write_metrics(root: Path, activity: str, content: Mapping[str, Any]) -> Path:
    """Write the metrics of one run below the dataset at ``root``, whole; raises OSError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    name = f"{_FOLDER}/{activity}-{stamp}.json"
    try:
        write_json(root, name, dict(content))
    except StageError as error:
        raise OSError(error.message) from error
    return state_path(root, name)


def list_metrics(root: Path) -> list[str]:
    """Return the names of the metrics files below the dataset at ``root``, in the order in which runs ended."""
    names = filter(_NAME.fullmatch, list_folder(root, state_name(_FOLDER)))
    return sorted(names, key=lambda name: name.rpartition("-")[2])


def activity_of(name: str) -> str:
    """Return the activity that the name of a metrics file says."""
    return name.rpartition("-")[0]


def read_metrics(root: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """Return path and content of the metrics file ``name``; raises StageError when it is damaged."""
    path = state_path(root, f"{_FOLDER}/{name}")
    try:
        return path, check_mapping("its content", read_json(root, f"{_FOLDER}/{name}"))
    except (FileNotFoundError, ValueError) as error:
        raise damaged_metrics(path, error) from error


def moment_text(text: str) -> str:
    """Return a time of metrics, ISO 8601 in UTC, as people read it, without parts of a second."""
    return re.sub(r"\.\d+", "", text).replace("T", " ").replace("+00:00", " UTC")


def compared(settings: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Return what a verification with ``settings`` compared: candles, or one of COMPARED; ``report`` may be empty.

    Where the settings leave the choice, the report tells by its number of values.
    """
    if settings.get("candles"):
        return "candles"
    return "values" if settings.get("values") or report.get("values") else "sums"


def damaged_metrics(path: Path, why: object) -> StageError:
    """Return the error for metrics that do not have the form that a run writes."""
    return StageError(f"{path}: damaged metrics: {why}", hint="move this file away")


def count_differences(report: Mapping[str, Any]) -> int:
    """Return the number of differences in the report of a verification, without rows that cannot be points.

    Former versions counted such rows as differences, and had no ``unfit_rows``. Raises KeyError or ValueError.
    """
    number = check_integer("the number of differences", report["difference_count"], 0)
    return number if "unfit_rows" in report else max(0, number - count_unfit(report))


def count_unfit(report: Mapping[str, Any]) -> int:
    """Return how many rows cannot be points, by the report of a verification; raises ValueError."""
    return check_integer("the number of rows that are no points", report.get("unfit", 0), 0)
