"""Merges rows of one identity (series and time): a server keeps the last value of each field.

The order is that of the dataset: by partition in the manifest, then by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from loader.dataset.manifest import Partition
from loader.dataset.schema import PointSchema
from loader.servers.frames import field_columns, tag_columns


def identity_columns(schema: PointSchema) -> list[str]:
    """Return the columns that tell points apart."""
    return [*tag_columns(len(schema.tags)), "time"]


def merge_rows(schema: PointSchema, rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Return one row for each identity, and how many values are superseded; ``rows`` are in the dataset's order."""
    fields = field_columns(len(schema.fields))
    merged = rows.group_by(identity_columns(schema)).agg(pl.col(fields).last(ignore_nulls=True)).select(rows.columns)
    return merged, _values(rows, fields) - _values(merged, fields)


def text_tags(schema: PointSchema, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` with tags as strings, so that rows of different files can be compared."""
    return rows.with_columns(pl.col(tag_columns(len(schema.tags))).cast(pl.String))


def overlapping(partitions: Sequence[Partition]) -> list[list[Partition]]:
    """Return ``partitions`` in groups that do not overlap in time; in each, they keep their order."""
    order = {partition: number for number, partition in enumerate(partitions)}
    parts: list[list[Partition]] = []
    last = 0
    for partition in sorted(partitions, key=lambda partition: partition.time_min):
        if parts and partition.time_min <= last:
            parts[-1].append(partition)
        else:
            parts.append([partition])
        last = max(last, partition.time_max) if len(parts[-1]) > 1 else partition.time_max
    return [sorted(part, key=order.__getitem__) for part in parts]


def _values(rows: pl.DataFrame, fields: Sequence[str]) -> int:
    return sum(rows.height - rows[field].null_count() for field in fields)
