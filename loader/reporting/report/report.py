"""Makes the report of one or more datasets from their metrics, manifests and a sample of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loader.dataset.adopt import is_adopted
from loader.dataset.manifest import read_manifest
from loader.dataset.place import find_place
from loader.errors import ConfigError
from loader.printable import printable
from loader.reporting.report.finding import Evidence, Finding
from loader.reporting.report.findings import find
from loader.reporting.report.projection import Projection, project, unprojected
from loader.reporting.report.runs import Run, read_runs, runs_on
from loader.reporting.report.sample import Sample, read_sample
from loader.reporting.report.tuning import Tuning, read_tuning
from loader.reporting.versions import versions


@dataclass(frozen=True)
class ReportSettings:
    """Which datasets are reported side by side, the first of them in full; ``state`` is that of the first."""

    dataset: Path
    compare: tuple[Path, ...] = ()
    state: Path | None = None


@dataclass(frozen=True)
class DatasetReport:
    """What is known of one dataset; ``size`` is bytes of Parquet, times are nanoseconds since 1970.

    ``fingerprint`` identifies its content; ``runs`` are all that are known, also on what it was before, as ``tuning``
    may be. ``unprojected`` says why steps are not among the ``projections``.
    """

    name: str
    fingerprint: str
    rows: int
    size: int
    partitions: int
    measurements: dict[str, int]
    series_tags: tuple[str, ...]
    time_min: int
    time_max: int
    staged: bool
    runs: tuple[Run, ...]
    sample: Sample
    tuning: Tuning | None
    findings: tuple[Finding, ...]
    projections: tuple[Projection, ...]
    unprojected: dict[str, str]

    @property
    def current(self) -> tuple[Run, ...]:
        """The runs on the dataset as it is now, see ``runs_on``."""
        return runs_on(self.runs, self.fingerprint)


@dataclass(frozen=True)
class Report:
    """The report, made at ``made`` (ISO 8601, UTC) by ``version`` of the loader."""

    made: str
    version: str
    datasets: tuple[DatasetReport, ...]


def report(settings: ReportSettings) -> Report:
    """Return the report of the datasets of ``settings``.

    Takes metrics of the newest runs and a bounded sample of rows: memory is that of ``read_runs`` and ``read_sample``
    for each dataset. Raises ConfigError for a folder that is no dataset, StageError for a damaged one.
    """
    states: Sequence[Path | None] = (settings.state, *(None for _ in settings.compare))
    paths = (settings.dataset, *settings.compare)
    return Report(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=versions()["loader"],
        datasets=tuple(_read(path, state) for path, state in zip(paths, states, strict=True)),
    )


def _read(path: Path, state: Path | None) -> DatasetReport:
    place = find_place(path, state)
    manifest = read_manifest(place.state, place.root)
    if not manifest.rows:
        raise ConfigError(f"{path}: the manifest lists no rows", hint="stage or load the dataset first")
    runs = read_runs(place.state)
    current = runs_on(runs, manifest.fingerprint)
    filled = manifest.filled
    first, last = min(part.time_min for part in filled), max(part.time_max for part in filled)
    sample = read_sample(place.root, manifest)
    size = sum(partition.size for partition in manifest.partitions)
    tuning = read_tuning(place.state)
    holds = tuning if tuning and tuning.fingerprint == manifest.fingerprint else None
    return DatasetReport(
        name=printable(str(path)),
        fingerprint=manifest.fingerprint,
        rows=manifest.rows,
        size=size,
        partitions=len(manifest.partitions),
        measurements={printable(name): rows for name, rows in manifest.rows_by_measurement.items()},
        series_tags=tuple(printable(tag) for tag in manifest.schemas[0].tags),
        time_min=first,
        time_max=last,
        staged=not is_adopted(manifest),
        runs=tuple(runs),
        sample=sample,
        tuning=tuning,
        findings=find(Evidence(manifest.rows, manifest.complete, current, sample, holds)),
        projections=project(manifest.rows, size, last - first, current),
        unprojected=unprojected(current),
    )
