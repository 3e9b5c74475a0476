"""Datasets of any tables and schema, in the order that a manifest gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loader.dataset.manifest import Manifest, Partition, write_manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import read_valid_times

HOUR = 3_600_000_000_000
MOMENT = 1_704_153_600_000_000_000
"""2024-01-02T00:00:00Z."""
LONG_ROWS = 20_000


def write_tables(root: Path, schema: PointSchema, tables: Mapping[str, pa.Table], **options: Any) -> Manifest:
    """Write each of ``tables`` as a partition of its path, and a manifest that lists them in this order."""
    return write_measurements(root, {name: (schema, table) for name, table in tables.items()}, **options)


def write_measurements(root: Path, tables: Mapping[str, tuple[PointSchema, pa.Table]], **options: Any) -> Manifest:
    """Write each of ``tables`` as a partition of its path and schema, and a manifest that lists them in this order."""
    partitions = []
    schemas = tuple(dict.fromkeys(schema for schema, _ in tables.values()))
    for name, (schema, table) in tables.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **options)
        bounds = [MOMENT, MOMENT]
        for batch in table.combine_chunks().to_batches():
            times, valid = read_valid_times(batch, schema)
            bounds = list(pc.min_max(pa.array(times[valid] if valid.any() else [MOMENT])).as_py().values())
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        measurement = schema.measurement if len(schemas) > 1 else ""
        size = path.stat().st_size
        partitions.append(Partition(name, table.num_rows, *bounds, size, checksum, measurement=measurement))
    manifest = Manifest(schemas, {}, {}, tuple(partitions), complete=True)
    write_manifest(root, manifest)
    return manifest


def write_long_texts(root: Path) -> Manifest:
    """Write a dataset of LONG_ROWS rows of one series, each with a text of 10 kB that hardly anything compresses."""
    letters = pa.py_buffer(np.random.default_rng(1).integers(33, 127, LONG_ROWS * 10_000, np.uint8))
    offsets = pa.py_buffer(np.arange(LONG_ROWS + 1, dtype=np.int64) * 10_000)
    texts = pa.LargeStringArray.from_buffers(LONG_ROWS, offsets, letters)
    table = pa.table({"s": texts, "t": np.arange(LONG_ROWS) + MOMENT})
    schema = PointSchema("m", (), (Field("s", FieldType.STRING),), "t", "ns")
    return write_tables(root, schema, {"one.parquet": table}, use_dictionary=False, compression="none")
