"""Datasets, staged or adopted: how a row becomes a point, the manifest, whole files, and reading."""

from typing import TYPE_CHECKING

from loader.importing import lazy_names

if TYPE_CHECKING:
    from loader.dataset.chunk import Chunk, RejectedRow
    from loader.dataset.manifest import Manifest, Partition, read_manifest, write_manifest
    from loader.dataset.reader import open_dataset, read_batches
    from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema

__all__ = [
    "Chunk",
    "Field",
    "FieldType",
    "Manifest",
    "Partition",
    "PointSchema",
    "RejectedRow",
    "open_dataset",
    "read_batches",
    "read_manifest",
    "trades_schema",
    "write_manifest",
]

_HOMES = {
    "Chunk": "chunk",
    "Field": "schema",
    "FieldType": "schema",
    "Manifest": "manifest",
    "Partition": "manifest",
    "PointSchema": "schema",
    "RejectedRow": "chunk",
    "open_dataset": "reader",
    "read_batches": "reader",
    "read_manifest": "manifest",
    "trades_schema": "schema",
    "write_manifest": "manifest",
}

# The command line needs a few small modules of this package at its start, and not the libraries behind these names.
__getattr__ = lazy_names(__name__, _HOMES)
