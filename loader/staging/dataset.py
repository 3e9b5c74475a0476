"""Writes the dataset of a stage of files; it is listed from its first partition on, so that a stop loses nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loader.dataset.beneath import move_file, opened_folder
from loader.dataset.manifest import Manifest, Partition, has_manifest, read_manifest, remove_manifest, write_manifest
from loader.dataset.mapping import parse_mapping
from loader.dataset.points_file import points_text
from loader.dataset.schema import PointSchema
from loader.errors import LoaderError
from loader.staging.folder import clean, keep_partitions, list_parquet, remove_partitions
from loader.staging.mark import is_ours

FOUND = "fields"
"""The key, in the settings of a manifest, of the fields that were found, with their types."""
_WAITING = ".next"
"""The folder for partitions that will replace others; readers skip names that begin with a dot."""
_SAVE_SECONDS = 5.0
"""How long a finished partition may be missing from the manifest."""


class DatasetWriter:
    """Writes partitions in ``root`` and their manifest; ``settings`` are those that determine the content.

    An earlier dataset that is to be replaced stays until ``finish``: the partitions of its successor wait in a folder
    beside it. Raises ConfigError and StageError as ``keep_partitions`` does.
    """

    def __init__(self, root: Path, settings: dict[str, Any], *, overwrite: bool) -> None:
        self._root = root
        self._settings = settings
        clean(root)
        self._remove_waiting()
        self._former = read_manifest(root) if has_manifest(root) and not overwrite else None
        if self._former:
            _recognise(settings, self._former)
        self._ours = frozenset(name for name in list_parquet(root) if is_ours(name))
        kept, self._going = keep_partitions(root, settings, self._ours, overwrite=overwrite)
        self.written_mapping = _written_mapping(root) if overwrite else ""
        """The text that the loader wrote to the points.toml of a dataset that is to be replaced."""
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

    @property
    def replaces(self) -> bool:
        """Tell whether there is a dataset to be replaced."""
        return bool(self._going)

    @property
    def folder(self) -> Path:
        """Where partitions are to be written, each by its path."""
        return self._root / _WAITING if self.replaces else self._root

    def begin(self, schema: PointSchema) -> None:
        """List the measurement of ``schema`` before its first partition is written.

        So a later run that resumes knows what the partitions are. Raises OSError or StageError.
        """
        self._begun = True
        self._schemas[schema.measurement] = schema
        if self.replaces:
            with opened_folder(self._root, _WAITING, make=True):
                pass
        self._save()

    def add(self, partition: Partition) -> None:
        """List a partition that is on disk; the manifest is written at once, or with later partitions."""
        self._made[partition.path] = partition
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._save()

    def finish(self) -> Manifest:
        """Mark the dataset as complete, and remove other partitions that earlier runs left."""
        there = {partition.measurement for partition in self._made.values()}
        self._schemas = {name: schema for name, schema in self._schemas.items() if name in there}
        manifest = self._manifest(self._made, complete=True)
        if self.replaces:
            # If the run ends from here on, the next run finds a dataset that has begun.
            write_manifest(self._root, replace(manifest, complete=False))
            remove_partitions(self._root, self._going)
            for name in self._made:
                move_file(self._root, f"{_WAITING}/{name}", name)
            self._remove_waiting()
        write_manifest(self._root, manifest)
        remove_partitions(self._root, self._ours - self._made.keys() - {*self._going})
        return manifest

    def withdraw(self) -> None:
        """Remove what was begun, because the next run will have other settings or sources.

        A dataset that was to be replaced stays.
        """
        if self.replaces:
            self._remove_waiting()
        elif self._begun:
            remove_manifest(self._root)
            remove_partitions(self._root, {**self.kept, **self._made})

    def _remove_waiting(self) -> None:
        shutil.rmtree(self._root / _WAITING, ignore_errors=True)

    def _save(self) -> None:
        if not self.replaces:
            # Kept partitions that are not reached yet are listed, too: this run may end before.
            write_manifest(self._root, self._manifest({**self.kept, **self._made}, complete=False))
        self._saved = time.monotonic()

    def _manifest(self, partitions: Mapping[str, Partition], *, complete: bool) -> Manifest:
        schemas = tuple(schema for _, schema in sorted(self._schemas.items()))
        # By day, then by measurement: servers take points fastest in the order of their times.
        ordered = sorted(partitions.values(), key=lambda each: (each.path.rpartition("date=")[2], each.path))
        versions = {name: version(name) for name in ("loader", "duckdb", "pyarrow")}
        return Manifest(schemas, self._settings, versions, tuple(ordered), complete, distinct=True)


def _written_mapping(root: Path) -> str:
    """Return the text of points.toml that belongs to the dataset in ``root``, "" where there is none."""
    try:
        said = read_manifest(root).settings if has_manifest(root) else {}
        return points_text(parse_mapping({**said["mapping"], FOUND: said[FOUND]}, "")) if FOUND in said else ""
    except (LoaderError, TypeError, KeyError):  # of another version, or damaged: it is removed in any case
        return ""


def _recognise(settings: dict[str, Any], former: Manifest) -> None:
    """Take over into ``settings`` the fields that ``former`` found; they may be named as found, with their types."""
    found = former.settings.get(FOUND)
    if not isinstance(found, list):
        return
    settings[FOUND] = found
    mapping = former.settings.get("mapping")
    if settings["mapping"].get("fields") == found and isinstance(mapping, dict):
        settings["mapping"]["fields"] = mapping.get("fields")
