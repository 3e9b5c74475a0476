"""The manifest of a dataset: what its files are and hold.

The loader keeps its own files in the folder ``.loader`` of a dataset, which pyarrow and pandas skip. When a dataset is
staged, ``manifest.json`` is written whole (temporary name, fsync, rename) after every finished partition, so that the
partitions that it lists are always on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from loader.dataset.beneath import look, remove_file
from loader.dataset.claims import (
    check_distinct,
    check_flag,
    check_list,
    check_mapping,
    check_schema,
    excerpt,
)
from loader.dataset.nearby import name_datasets
from loader.dataset.partition import Moves, Partition, read_moves_summary, read_partition
from loader.dataset.schema import PointSchema
from loader.dataset.state import MANIFEST_FILE, STATE, has_state, read_json, state_name, state_path, write_json
from loader.errors import ConfigError, StageError
from loader.printable import printable

__all__ = [
    "NAME",
    "STATE",
    "VERSION",
    "Manifest",
    "Moves",
    "Partition",
    "has_manifest",
    "read_manifest",
    "write_manifest",
]

NAME = state_name(MANIFEST_FILE)
VERSION = 1
ADOPTED = "adopted"
"""What the settings in the manifest of Parquet of others say of its source."""
_ELSEWHERE = "put back the file as it was staged, or stage into another folder"


@dataclass(frozen=True)
class Manifest:
    """The schemas, the settings that determine the content, the versions, and the partitions in order.

    There is a schema for each measurement, and a partition belongs to one of them. ``complete`` is true once every
    partition that the settings ask for is listed; ``distinct`` when the partitions were written so that no two rows
    have the same identity. ``moves`` counts the rows that a load has moved apart, None where there are none.
    """

    schemas: tuple[PointSchema, ...]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    partitions: tuple[Partition, ...]
    complete: bool
    distinct: bool = False
    moves: Moves | None = None

    @property
    def rows(self) -> int:
        """Rows of all partitions."""
        return sum(partition.rows for partition in self.partitions)

    @property
    def rows_moved(self) -> int:
        """Rows that a load has moved apart."""
        return self.moves.rows if self.moves else 0

    @property
    def rows_by_measurement(self) -> dict[str, int]:
        """Rows of each measurement."""
        return {part.schemas[0].measurement: part.rows for part in self.measurements}

    @property
    def filled(self) -> tuple[Partition, ...]:
        """The partitions that have rows; the times of others mean nothing."""
        return tuple(partition for partition in self.partitions if partition.rows)

    @property
    def schema(self) -> PointSchema:
        """The schema of a dataset of one measurement; raises ValueError for several."""
        (schema,) = self.schemas
        return schema

    def schema_of(self, path: str) -> PointSchema:
        """Return the schema of the partition at ``path``."""
        return self._schemas[path]

    @cached_property
    def _schemas(self) -> Mapping[str, PointSchema]:
        by_measurement = {schema.measurement: schema for schema in self.schemas} | {"": self.schemas[0]}
        return {partition.path: by_measurement[partition.measurement] for partition in self.partitions}

    @cached_property
    def measurements(self) -> tuple[Manifest, ...]:
        """A manifest for each measurement, with its partitions; this one itself when there is only one measurement."""
        if len(self.schemas) == 1:
            return (self,)
        found: dict[str, list[Partition]] = {schema.measurement: [] for schema in self.schemas}
        for partition in self.partitions:
            found[partition.measurement].append(partition)
        return tuple(
            replace(self, schemas=(schema,), partitions=tuple(found[schema.measurement])) for schema in self.schemas
        )

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the content: equal for equal schemas, partition contents and moves, 32 hex digits."""
        several = [schema.to_json() for schema in self.schemas]
        content: list[Any] = [
            several if len(several) > 1 else several[0],
            [[partition.path, partition.rows, partition.checksum] for partition in self.partitions],
        ]
        if self.moves:
            content.append(self.moves.checksum)
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return a form for ``json.dump``."""
        return {
            "version": VERSION,
            **_told_schemas(self.schemas),
            "settings": dict(self.settings),
            "versions": dict(self.versions),
            "complete": self.complete,
            "distinct": self.distinct,
            "rows": self.rows,
            **({"moves": asdict(self.moves)} if self.moves else {}),
            "partitions": [partition.to_json() for partition in self.partitions],
        }


def _told_schemas(schemas: Sequence[PointSchema]) -> dict[str, Any]:
    if len(schemas) == 1:
        return {"schema": schemas[0].to_json()}
    return {"schemas": [schema.to_json() for schema in schemas]}


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Put ``manifest`` into the dataset at ``root``, whole or not at all; raises OSError or StageError."""
    write_json(root, MANIFEST_FILE, manifest.to_json())


def read_manifest(root: Path, files: Path | None = None) -> Manifest:
    """Read the manifest in ``.loader`` of ``root``, and check that it has the right form and its paths stay inside.

    Partitions lie below ``files``, or below ``root``.
    Raises ConfigError when there is no dataset, StageError when the manifest is damaged.
    """
    path = state_path(root, MANIFEST_FILE)
    if files not in {None, root} and not has_manifest(root):
        raise ConfigError(
            f"{path}: is missing: nothing was loaded from here yet",
            hint="load it first, with a mapping of its columns; if its state lies elsewhere, say --state",
        )
    if not _is_folder(root):
        hint = name_datasets(root, "name the folder of a dataset; loader stage makes one")
        raise ConfigError(f"{root}: no such folder", hint=hint)
    try:
        data = check_mapping("the manifest", read_json(root, MANIFEST_FILE))
        if data["version"] != VERSION:
            raise ConfigError(
                f"{path}: version {excerpt(data['version'])} of the manifest; this loader reads {VERSION}",
                hint="use the loader that staged it, or stage into another folder with this one",
            )
        manifest = _from_json(data)
        for partition in manifest.partitions:
            look(files or root, partition.path)
    except FileNotFoundError:
        begin = f"stage trades first: loader stage --out {root}; or load your own Parquet first, see loader inspect"
        hint = name_datasets(root, begin)
        raise ConfigError(f"{root}: holds no dataset ({NAME} is missing)", hint=hint) from None
    except (ValueError, KeyError) as error:
        what = f"{excerpt(error.args[0])} is missing" if isinstance(error, KeyError) else error
        raise StageError(f"{path}: damaged manifest: {what}", hint=_ELSEWHERE) from error
    return manifest


def has_manifest(root: Path) -> bool:
    """Tell whether there is a manifest at ``root``; raises StageError for what is no regular file."""
    return has_state(root, MANIFEST_FILE)


def remove_manifest(root: Path) -> None:
    """Remove the manifest in ``root``, before the files that it lists are removed; raises OSError or StageError."""
    remove_file(root, NAME)


def _is_folder(root: Path) -> bool:
    try:
        return root.is_dir()
    except OSError as error:
        name = printable(str(root))
        raise ConfigError(f"{name}: {error.strerror}", hint="name a folder that can be read") from error


def _from_json(data: dict[str, Any]) -> Manifest:
    partitions = [read_partition(entry) for entry in check_list("the partitions", data["partitions"])]
    check_distinct("partition", [partition.path for partition in partitions])
    schemas = _schemas(data)
    known = {schema.measurement for schema in schemas} | ({""} if len(schemas) == 1 else set())
    for partition in partitions:
        if partition.measurement not in known:
            raise ValueError(f"partition {excerpt(partition.path)} is of no measurement that has a schema")
    settings = check_mapping("the settings", data["settings"])
    if data.get("moves") and settings.get("source") != ADOPTED:
        raise ValueError("moves in a dataset that was staged, whose rows stay where they are")
    return Manifest(
        schemas=schemas,
        settings=settings,
        versions=check_mapping("the versions", data["versions"]),
        partitions=tuple(partitions),
        complete=check_flag("complete", data["complete"]),
        distinct=check_flag("distinct", data.get("distinct", False)),
        moves=read_moves_summary(data["moves"]) if data.get("moves") else None,
    )


def _schemas(data: dict[str, Any]) -> tuple[PointSchema, ...]:
    if "schemas" not in data:
        return (PointSchema.from_json(check_schema(data["schema"])),)
    entries = check_list("the schemas", data["schemas"])
    schemas = tuple(PointSchema.from_json(check_schema(entry)) for entry in entries)
    check_distinct("measurement", [schema.measurement for schema in schemas])
    if len(schemas) < 2:
        raise ValueError("the schemas are fewer than two; one is the schema")
    return schemas
