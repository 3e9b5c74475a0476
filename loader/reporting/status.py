"""Tells how far a dataset is staged, loaded and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from loader.dataset.adopt import is_adopted
from loader.dataset.claims import check_line, check_mapping
from loader.dataset.manifest import read_manifest
from loader.dataset.place import find_place
from loader.loading.ledger import last_load
from loader.loading.ledger_values import LastLoad
from loader.printable import printable
from loader.reporting.metrics import (
    COMPARED,
    activity_of,
    compared,
    count_differences,
    count_unfit,
    damaged_metrics,
    list_metrics,
    read_metrics,
)
from loader.servers.address import redacted

_MOST_RUNS = 50
"""Verifications that are read, the newest, to find one of the last load."""


@dataclass(frozen=True)
class Verification:
    """How a verification ended: ``differences`` is None when it could not finish.

    ``unfit`` counts rows that cannot be points, and were not compared; ``way`` is what was compared, see ``compared``.
    """

    started: str
    url: str
    bucket: str
    differences: int | None
    way: str
    fingerprint: str
    unfit: int = 0


@dataclass(frozen=True)
class Status:
    """Rows and size (bytes) on disk, rows by measurement and moved by a load, the last load, the last verification.

    ``load_verification`` is the newest one that tells of the last load as a whole: it began after that had finished,
    and compared all points of its bucket with the dataset as it is now. An ``adopted`` dataset was not staged: its
    files are loaded where they lie.
    """

    dataset: str
    rows: int
    size: int
    partitions: int
    complete: bool
    fingerprint: str
    measurements: Mapping[str, int]
    load: LastLoad | None
    verification: Verification | None
    load_verification: Verification | None = None
    rows_moved: int = 0
    adopted: bool = False


def read_status(dataset: Path, state: Path | None = None) -> Status:
    """Return the status of ``dataset``; ``state`` is where the loader keeps its own files of it, see ``find_place``.

    Raises ConfigError when there is none, StageError for damaged manifest or metrics, LoadError for a damaged ledger.
    """
    place = find_place(dataset, state)
    manifest = read_manifest(place.state, place.root)
    load = _shown(last_load(place.state))
    newest, of_load = _verifications(place.state, load, manifest.fingerprint)
    return Status(
        dataset=str(dataset),
        rows=manifest.rows,
        size=sum(partition.size for partition in manifest.partitions),
        partitions=len(manifest.partitions),
        complete=manifest.complete,
        fingerprint=manifest.fingerprint,
        measurements={printable(name): rows for name, rows in manifest.rows_by_measurement.items()},
        load=load,
        verification=newest,
        load_verification=of_load,
        rows_moved=manifest.rows_moved,
        adopted=is_adopted(manifest),
    )


def _shown(load: LastLoad | None) -> LastLoad | None:
    """Return ``load`` in a form that may be shown: a ledger may contain passwords and control characters."""
    return replace(load, url=redacted(load.url), bucket=printable(load.bucket)) if load else None


def _verifications(
    root: Path, load: LastLoad | None, fingerprint: str
) -> tuple[Verification | None, Verification | None]:
    """Return the newest verification, and the newest of ``load`` and the dataset ``fingerprint``; None without one."""
    names = [name for name in list_metrics(root) if activity_of(name) == "verify"]
    newest = None
    for name in names[: -_MOST_RUNS - 1 : -1]:
        found = _verification(root, name)
        newest = newest or found
        if load is None:
            break
        if found.differences is not None and found.fingerprint == fingerprint and _is_of(found, load):
            return newest, found
    return newest, None


def _verification(root: Path, name: str) -> Verification:
    """Return what the metrics file ``name`` says; raises StageError for a damaged one."""
    path, metrics = read_metrics(root, name)
    try:
        settings = check_mapping("the settings", metrics["settings"])
        target = check_mapping("the target", settings["target"])
        report = metrics["report"] and check_mapping("the report", metrics["report"])
        started = check_line("the start", metrics["started"])
        _instant(started)
        return Verification(
            started,
            redacted(check_line("the address", target["url"])),
            printable(check_line("the bucket", target["bucket"])),
            count_differences(report) if report else None,
            compared(settings, report or {}),
            printable(str(report.get("fingerprint", ""))) if report else "",
            count_unfit(report) if report else 0,
        )
    except KeyError as error:
        raise damaged_metrics(path, f"{error} is missing") from error
    except ValueError as error:
        raise damaged_metrics(path, error) from error


def _is_of(found: Verification, load: LastLoad) -> bool:
    """Tell whether a verification compared all points of the bucket of ``load``, and began after that had finished.

    Where the load wrote files, it is unknown which bucket they were brought into: any will do.
    """
    there = (not load.bucket or (found.url, found.bucket) == (load.url, load.bucket)) and found.way in COMPARED
    return there and load.finished != "" and _instant(found.started) >= _instant(load.finished)


def _instant(text: str) -> datetime:
    """Return a time in ISO 8601, by default in UTC; raises ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
