"""The manifest of a staged dataset: what its files are and hold.

The loader keeps its own files in the folder ``.loader`` of a dataset, which pyarrow and pandas pass over:
there, ``manifest.json`` appears whole (temporary name, fsync, rename) after every finished partition, so
that what it lists is always on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loader.dataset.atomic import write_whole
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, StageError

STATE = ".loader"
NAME = f"{STATE}/manifest.json"
VERSION = 1


@dataclass(frozen=True, order=True)
class Partition:
    """One Parquet file; times are inclusive nanoseconds, ``checksum`` is the file's SHA-256."""

    path: str
    rows: int
    time_min: int
    time_max: int
    size: int
    checksum: str


@dataclass(frozen=True)
class Manifest:
    """Schema, settings that decide the content, versions, and the partitions in the order of the dataset.

    ``complete`` is true once every partition that the settings ask for is listed; ``distinct`` when whoever wrote
    the partitions has made sure that no two rows have the same identity.
    """

    schema: PointSchema
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    partitions: tuple[Partition, ...]
    complete: bool
    distinct: bool = False

    @property
    def rows(self) -> int:
        """Rows of all partitions."""
        return sum(partition.rows for partition in self.partitions)

    @property
    def fingerprint(self) -> str:
        """Identity of the content: equal for equal schema and partition contents, 32 hex digits."""
        content = [
            self.schema.to_json(),
            [[partition.path, partition.rows, partition.checksum] for partition in self.partitions],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return a form for ``json.dump``."""
        return {
            "version": VERSION,
            "schema": self.schema.to_json(),
            "settings": dict(self.settings),
            "versions": dict(self.versions),
            "complete": self.complete,
            "distinct": self.distinct,
            "rows": self.rows,
            "partitions": [asdict(partition) for partition in self.partitions],
        }


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Put ``manifest`` into the dataset at ``root``, whole or not at all."""
    write_whole(root / NAME, json.dumps(manifest.to_json(), indent=1).encode() + b"\n")


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of the dataset at ``root``.

    Raises ConfigError when there is no dataset, StageError when the manifest is damaged.
    """
    path = root / NAME
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder", hint=f"stage trades first: loader stage --out {root}")
    try:
        data = json.loads(path.read_bytes())
        if data["version"] != VERSION:
            raise ConfigError(
                f"{path}: version {data['version']} of the manifest; this loader reads {VERSION}",
                hint="stage the dataset again with this loader, or use the loader that staged it",
            )
        return Manifest(
            schema=PointSchema.from_json(data["schema"]),
            settings=data["settings"],
            versions=data["versions"],
            partitions=tuple(Partition(**entry) for entry in data["partitions"]),
            complete=data["complete"],
            distinct=data.get("distinct", False),
        )
    except FileNotFoundError:
        raise ConfigError(
            f"{root}: holds no staged dataset ({NAME} is missing)",
            hint=f"stage trades first: loader stage --out {root}",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f"{path}: damaged manifest ({error!r})",
            hint=f"stage again: loader stage --out {root} --overwrite",
        ) from error
