"""Datasets, staged or adopted: how a row becomes a point, the manifest, whole files, and reading."""

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
