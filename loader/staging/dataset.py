"""The dataset that a stage of files makes: listed from its first partition on, so that nothing is lost by a stop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loader.dataset.manifest import Manifest, Partition, has_manifest, read_manifest, remove_manifest, write_manifest
from loader.dataset.schema import PointSchema
from loader.staging.folder import clean, keep_partitions, list_parquet, remove_partitions
from loader.staging.mark import is_ours

FOUND = "fields"
"""What the settings in a manifest call the fields that were found, with their types."""
_SAVE_SECONDS = 5.0
"""How long partitions may be finished that the manifest does not list yet."""


class DatasetWriter:
    """Partitions in ``root`` and their manifest; ``settings`` are what decides the content.

    An earlier dataset that is to be replaced stays until ``begin``. Raises ConfigError and StageError as
    ``keep_partitions`` does.
    """

    def __init__(self, root: Path, settings: dict[str, Any], *, overwrite: bool) -> None:
        self._root = root
        self._settings = settings
        clean(root)
        self._former = read_manifest(root) if has_manifest(root) and not overwrite else None
        if self._former:
            _recognise(settings, self._former)
        self._ours = frozenset(name for name in list_parquet(root) if is_ours(name))
        kept, self._going = keep_partitions(root, settings, self._ours, overwrite=overwrite)
        self.kept: Mapping[str, Partition] = {partition.path: partition for partition in kept}
        """Whole partitions of an earlier run, by their paths."""
        self._schemas = {schema.measurement: schema for schema in self._former.schemas} if self._former else {}
        self._made: dict[str, Partition] = {}
        self._begun = False
        self._saved = 0.0

    @property
    def unchanged(self) -> Manifest | None:
        """The manifest of an earlier run that finished, when all of its partitions are there."""
        whole = self._former and self._former.complete and len(self.kept) == len(self._former.partitions)
        return self._former if whole else None

    @property
    def empty(self) -> bool:
        """Tell whether no partition was made."""
        return not self._made

    def begin(self, schema: PointSchema) -> None:
        """List the measurement of ``schema`` before its first partition is there; what is to be replaced goes first.

        A run that goes on knows by it what it finds. Raises OSError or StageError.
        """
        self._begun = True
        self._schemas[schema.measurement] = schema
        self._save()
        going, self._going = self._going, ()
        remove_partitions(self._root, going)

    def add(self, partition: Partition) -> None:
        """List a partition that is on disk, at once or with later ones."""
        self._made[partition.path] = partition
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._save()

    def finish(self) -> Manifest:
        """List the partitions as complete, and remove what an earlier run left of others."""
        there = {partition.measurement for partition in self._made.values()}
        self._schemas = {name: schema for name, schema in self._schemas.items() if name in there}
        manifest = self._manifest(self._made, complete=True)
        write_manifest(self._root, manifest)
        remove_partitions(self._root, self._ours - self._made.keys())
        return manifest

    def withdraw(self) -> None:
        """Leave nothing of what was begun, for the next run will have other settings or sources."""
        if not self._begun:
            return
        remove_manifest(self._root)
        remove_partitions(self._root, {**self.kept, **self._made})

    def _save(self) -> None:
        # What is kept and not reached yet is listed too: this run may end before.
        write_manifest(self._root, self._manifest({**self.kept, **self._made}, complete=False))
        self._saved = time.monotonic()

    def _manifest(self, partitions: Mapping[str, Partition], *, complete: bool) -> Manifest:
        schemas = tuple(schema for _, schema in sorted(self._schemas.items()))
        # By day, then by measurement: servers take points best in the order of their times.
        ordered = sorted(partitions.values(), key=lambda each: (each.path.rpartition("date=")[2], each.path))
        versions = {name: version(name) for name in ("loader", "duckdb", "pyarrow")}
        return Manifest(schemas, self._settings, versions, tuple(ordered), complete, distinct=True)


def _recognise(settings: dict[str, Any], former: Manifest) -> None:
    """Make ``settings`` those of ``former`` when they name the fields, with their types, that were found then."""
    found = former.settings.get(FOUND)
    if not isinstance(found, list):
        return
    settings[FOUND] = found
    mapping = former.settings.get("mapping")
    if settings["mapping"].get("fields") == found and isinstance(mapping, dict):
        settings["mapping"]["fields"] = mapping.get("fields")
