"""Recognises datasets that were staged, and parts of them: their manifest says what they hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from loader.dataset.adopt import is_adopted
from loader.dataset.manifest import Manifest, has_manifest, read_manifest
from loader.errors import LoaderError

_DEEPEST = 3
"""Folders between a staged dataset and what is in it: measurement, date, file."""


@dataclass(frozen=True)
class StagedMeasurement:
    """A measurement of a staged dataset; ``fields`` are pairs of key and type, ``first`` and ``last`` nanoseconds."""

    name: str
    rows: int
    tags: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    time: str
    first: int
    last: int


@dataclass(frozen=True)
class StagedInspection:
    """A dataset that was staged at ``dataset``, ``path`` or a folder above it; ``size`` is bytes.

    ``source`` says of what it was staged: "files", "candles" or "trades".
    """

    path: str
    dataset: str
    source: str
    complete: bool
    rows: int
    partitions: int
    size: int
    measurements: tuple[StagedMeasurement, ...]


def inspect_staged(path: Path) -> StagedInspection | None:
    """Return what the manifest says of the staged dataset at or around ``path``, None where there is none.

    Nothing but manifests is read. Raises StageError for a damaged manifest at ``path`` itself.
    """
    found = _find(path)
    if found is None:
        return None
    root, manifest = found
    parts = [part for part in manifest.measurements if part.filled]
    return StagedInspection(
        path=str(path),
        dataset=str(root),
        source=str(manifest.settings.get("source", "trades")),
        complete=manifest.complete,
        rows=manifest.rows,
        partitions=len(manifest.partitions),
        size=sum(partition.size for partition in manifest.partitions),
        measurements=tuple(
            StagedMeasurement(
                part.schema.measurement,
                part.rows,
                part.schema.tags,
                tuple((field.column, str(field.type)) for field in part.schema.fields),
                part.schema.time,
                min(partition.time_min for partition in part.filled),
                max(partition.time_max for partition in part.filled),
            )
            for part in parts
        ),
    )


def _find(path: Path) -> tuple[Path, Manifest] | None:
    if path.is_dir() and has_manifest(path):
        manifest = read_manifest(path)
        return None if is_adopted(manifest) else (path, manifest)
    for above in path.absolute().parents[:_DEEPEST]:
        try:
            manifest = read_manifest(above)
        except (LoaderError, OSError):
            continue
        name = path.absolute().relative_to(above).as_posix()
        inside = any(each.path == name or each.path.startswith(f"{name}/") for each in manifest.partitions)
        if inside and not is_adopted(manifest):
            return above if path.is_absolute() else Path(os.path.relpath(above)), manifest
    return None
