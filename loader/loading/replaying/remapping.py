"""Another mapping of the columns of an adopted dataset, by which rows are replayed."""

from __future__ import annotations

from dataclasses import replace

from loader.dataset.adopt import adopt
from loader.dataset.manifest import Manifest
from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import Place
from loader.dataset.policy import NonFinite
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError
from loader.events import Observer


def remap(place: Place, manifest: Manifest, mapping: ColumnMapping, observe: Observer) -> Manifest:
    """Return ``manifest`` with the schemas of ``mapping``; raises ConfigError and StageError as ``adopt`` does.

    Raises ConfigError also for a dataset that was staged, or whose rows were moved apart.
    """
    if manifest.moves:
        raise ConfigError(
            f"{place.path}: its rows were moved apart, by a mapping that tells which series they are of",
            hint="leave out --schema; or load the files by the other mapping into a new bucket",
        )
    found = adopt(place, mapping, observe)
    assert found is not None  # for a staged dataset, it raises ConfigError
    known = {partition.path for partition in manifest.partitions}
    return replace(found, partitions=tuple(each for each in found.partitions if each.path in known))


def is_relaxed(manifest: Manifest, other: Manifest) -> bool:
    """Tell whether ``other`` only leaves out NaN and infinities, where ``manifest`` rejects rows that have them.

    Then every row that ``manifest`` does not reject is the same point by both.
    """
    return manifest.schemas != other.schemas and [*map(_lenient, manifest.schemas)] == [*other.schemas]


def _lenient(schema: PointSchema) -> PointSchema:
    return replace(schema, policy=replace(schema.policy, non_finite=NonFinite.SKIP))
