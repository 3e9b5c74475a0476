"""Chooses the rows of a shard that are written before its files are sent: together they have every field.

The restore API checks neither the types of fields nor the retention of a bucket, and needs the shard to be there. The
write API checks both and makes the shard, so a few of the dataset's own rows go ahead through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import read_columns, read_times
from loader.encoding.line_protocol.encode import LineEncoder
from loader.encoding.selection import SelectedRows, select_points
from loader.encoding.series import find_series
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.shards import Shard
from loader.loading.restore_path.storage_files import without_unstorable

_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class LeadingRow:
    """A row at ``address`` as line protocol, newline included, with its time (nanoseconds)."""

    address: Chunk
    time: int
    line: bytes


def leading_rows(
    root: Path, manifest: Manifest, shard: Shard, known: KnownRows, *, oldest: bool = False
) -> list[LeadingRow]:
    """Return rows of ``shard`` that together have every field that its points have; none where it has no points.

    With ``oldest``, the row with the first time is among them, for which all times are read. Otherwise reading ends
    once every field was seen, so that a field without values costs a pass over the shard's rows. Memory is bounded by
    a batch, see ``read_batches``. Raises StageError and EncodeError.
    """
    found: list[LeadingRow] = []
    first: LeadingRow | None = None
    missing = {schema: {*range(len(schema.fields))} for schema in manifest.schemas}
    for partition in shard.partitions:
        schema = manifest.schema_of(partition.path)
        if not (missing[schema] or oldest):
            continue
        encoder = LineEncoder(schema)
        for points in _points(root, schema, partition, shard, known):
            if rows := _new_fields(points, schema, missing[schema]):
                found += _encoded(points, partition, encoder, rows)
            if oldest:
                times = read_times(points.points, schema).to_numpy()
                if first is None or times.min() < first.time:
                    (first,) = _encoded(points, partition, encoder, [int(times.argmin())])
            elif not missing[schema]:
                break
    return [first, *(row for row in found if row.address != first.address)] if first else found


def _points(
    root: Path, schema: PointSchema, partition: Partition, shard: Shard, known: KnownRows
) -> Iterator[SelectedRows]:
    """Yield the points of ``partition`` that are in the time of ``shard``, by batches that have any."""
    for chunk in shard.chunks_of(partition):
        row = chunk.start
        for batch in read_batches(root, schema, chunk, GROUP_ROWS):
            address = Chunk(partition.path, row, row + batch.num_rows)
            row = address.stop
            steps = partition.steps(address.start, address.stop)
            selected = select_points(batch, schema, address, known.superseded(address), steps)
            selected = without_unstorable(selected, partition.path, find_series(selected.points, schema))
            within = np.zeros(address.rows, np.bool_)
            within[selected.rows - address.start] = shard.contains(read_times(selected.points, schema).to_numpy())
            selected = selected.within(within)
            if len(selected.points):
                yield selected


def _new_fields(points: SelectedRows, schema: PointSchema, missing: set[int]) -> list[int]:
    """Return positions of ``points`` that together have those ``missing`` fields that any has, which are taken out."""
    present = {
        field: column.is_not_null().to_numpy()
        for field, column in enumerate(read_columns(points.points, schema).values)
        if field in missing
    }
    chosen: list[int] = []
    for field, mask in present.items():
        if field in missing and mask.any():
            chosen.append(int(mask.argmax()))
            missing -= {other for other, values in present.items() if values[chosen[-1]]}
    return sorted({*chosen})


def _encoded(points: SelectedRows, partition: Partition, encoder: LineEncoder, rows: list[int]) -> list[LeadingRow]:
    numbers: Integers = points.rows[rows]
    some = SelectedRows(points.points.take(rows), (), points.start, numbers - points.start)
    return [
        LeadingRow(Chunk(partition.path, row, row + 1), time, lines.slice(at, at + 1))
        for lines in encoder.encode(some, len(rows), lambda: _MOST_BYTES)
        for at, (row, time) in enumerate(zip(lines.rows.tolist(), lines.times.tolist(), strict=True))
    ]
