"""What of a dataset is staged, loaded and verified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from loader.dataset.manifest import read_manifest
from loader.loading.ledger import LastLoad, last_load
from loader.printable import printable
from loader.reporting.metrics import newest_metrics
from loader.servers.address import redacted


@dataclass(frozen=True)
class LastVerification:
    """How the newest verification ended; ``differences`` is None when it could not finish."""

    started: str
    url: str
    bucket: str
    differences: int | None


@dataclass(frozen=True)
class Status:
    """Rows and size (bytes) on disk, the last load, the last verification."""

    dataset: str
    rows: int
    size: int
    partitions: int
    complete: bool
    fingerprint: str
    load: LastLoad | None
    verification: LastVerification | None


def read_status(root: Path) -> Status:
    """Return the status of the dataset at ``root``; raises ConfigError or StageError when there is none."""
    manifest = read_manifest(root)
    metrics = newest_metrics(root, "verify")
    verification = None
    if metrics:
        target = metrics["settings"]["target"]
        differences = (metrics["report"] or {}).get("difference_count")
        started, bucket = (printable(str(text)) for text in (metrics["started"], target["bucket"]))
        verification = LastVerification(started, redacted(target["url"]), bucket, differences)
    return Status(
        dataset=str(root),
        rows=manifest.rows,
        size=sum(partition.size for partition in manifest.partitions),
        partitions=len(manifest.partitions),
        complete=manifest.complete,
        fingerprint=manifest.fingerprint,
        load=_shown(last_load(root)),
        verification=verification,
    )


def _shown(load: LastLoad | None) -> LastLoad | None:
    """Return ``load`` as it may be shown: a ledger from elsewhere may hold passwords and control characters."""
    return replace(load, url=redacted(load.url), bucket=printable(load.bucket)) if load else None
