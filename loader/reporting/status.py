"""Tells how far a dataset is staged, loaded and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loader.dataset.claims import check_line, check_mapping
from loader.dataset.manifest import read_manifest
from loader.dataset.place import find_place
from loader.loading.ledger import last_load
from loader.loading.ledger_values import LastLoad
from loader.printable import printable
from loader.reporting.metrics import compared, count_differences, count_unfit, damaged_metrics, newest_metrics
from loader.servers.address import redacted


@dataclass(frozen=True)
class LastVerification:
    """How the newest verification ended; ``differences`` is None when it could not finish.

    ``unfit`` counts rows that cannot be points, and were not compared; ``way`` is what was compared, see ``compared``.
    """

    started: str
    url: str
    bucket: str
    differences: int | None
    way: str
    unfit: int = 0


@dataclass(frozen=True)
class Status:
    """Rows and size (bytes) on disk, rows by measurement and moved by a load, the last load, the last verification."""

    dataset: str
    rows: int
    size: int
    partitions: int
    complete: bool
    fingerprint: str
    measurements: Mapping[str, int]
    load: LastLoad | None
    verification: LastVerification | None
    rows_moved: int = 0


def read_status(dataset: Path, state: Path | None = None) -> Status:
    """Return the status of ``dataset``; ``state`` is where the loader keeps its own files of it, see ``find_place``.

    Raises ConfigError when there is none, StageError for damaged manifest or metrics, LoadError for a damaged ledger.
    """
    place = find_place(dataset, state)
    manifest = read_manifest(place.state, place.root)
    return Status(
        dataset=str(dataset),
        rows=manifest.rows,
        size=sum(partition.size for partition in manifest.partitions),
        partitions=len(manifest.partitions),
        complete=manifest.complete,
        fingerprint=manifest.fingerprint,
        measurements={printable(name): rows for name, rows in manifest.rows_by_measurement.items()},
        load=_shown(last_load(place.state)),
        verification=_last_verification(place.state),
        rows_moved=manifest.rows_moved,
    )


def _shown(load: LastLoad | None) -> LastLoad | None:
    """Return ``load`` in a form that may be shown: a ledger may contain passwords and control characters."""
    return replace(load, url=redacted(load.url), bucket=printable(load.bucket)) if load else None


def _last_verification(root: Path) -> LastVerification | None:
    newest = newest_metrics(root, "verify")
    if newest is None:
        return None
    path, metrics = newest
    try:
        settings = check_mapping("the settings", metrics["settings"])
        target = check_mapping("the target", settings["target"])
        report = metrics["report"] and check_mapping("the report", metrics["report"])
        return LastVerification(
            check_line("the start", metrics["started"]),
            redacted(check_line("the address", target["url"])),
            printable(check_line("the bucket", target["bucket"])),
            count_differences(report) if report else None,
            compared(settings),
            count_unfit(report) if report else 0,
        )
    except KeyError as error:
        raise damaged_metrics(path, f"{error} is missing") from error
    except ValueError as error:
        raise damaged_metrics(path, error) from error
