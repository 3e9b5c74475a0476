"""Tells quickly that rows lie in time order, those of one moment of different series: then no two have one identity."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.batches import row_bytes
from loader.dataset.manifest import Partition
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.columns import read_valid_times

MOST_HELD = 2_000_000
"""Most rows of one moment that are held from one batch to the next."""
MOST_HELD_BYTES = 128 << 20
"""Most bytes of these rows once their tags are written out."""
_MOST_CODE = 1 << 62


def distinct_in_time_order(batches: Iterable[pa.RecordBatch], schema: PointSchema, partition: Partition) -> bool:
    """Tell whether times never descend in ``batches``, all rows of ``partition``, and no two rows have one identity.

    False also where it takes a closer look: where times are not those that the manifest says, or more than MOST_HELD
    rows, or MOST_HELD_BYTES, have one time. Memory is two batches, twice the rows that are held, and some 50 bytes for
    each of these rows.
    """
    held: pa.RecordBatch | None = None
    for part in batches:
        if not len(part):
            continue
        batch = part if held is None else _joined(held, part)
        if batch is None:
            return False
        times, valid = read_valid_times(batch, schema)
        begins = times[1:] != times[:-1]
        within = partition.time_min <= times[0] <= times[-1] <= partition.time_max
        if not valid.all() or not within or (times[1:] < times[:-1]).any() or _repeats(batch, schema, begins):
            return False
        last = int(np.searchsorted(times, times[-1]))
        held = batch.slice(last)
        if len(held) > MOST_HELD or row_bytes(held).sum() > MOST_HELD_BYTES:
            return False
        held = _compact(held)
    return True


def _compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with only those texts in its dictionaries that it has; those of joined ones have all of both."""
    for position, column in enumerate(batch.columns):
        if pa.types.is_dictionary(column.type):
            texts = column.cast(column.type.value_type).dictionary_encode().cast(column.type)
            batch = batch.set_column(position, batch.schema.field(position), texts)
    return batch


def _joined(held: pa.RecordBatch, batch: pa.RecordBatch) -> pa.RecordBatch | None:
    """Return both as one; None if their columns differ in type."""
    if held.schema != batch.schema:
        return None
    (joined,) = pa.Table.from_batches([held, batch]).combine_chunks().to_batches()
    return joined


def _repeats(batch: pa.RecordBatch, schema: PointSchema, begins: Mask) -> bool:
    """Tell whether two rows of one time are of one series; ``begins`` tells where another time begins."""
    if begins.all():
        return False
    moments = np.concatenate([np.zeros(1, np.int64), np.cumsum(begins, dtype=np.int64)])
    codes, most = moments, int(moments[-1]) + 1
    for tag in schema.tags:
        indices, size = _tag_indices(batch.column(tag))
        if most * size >= _MOST_CODE:
            codes = pc.dictionary_encode(pa.array(codes)).indices.to_numpy().astype(np.int64)
            most = len(codes)
        codes = codes * size + indices
        most *= size
    return pl.Series(codes).n_unique() < len(codes)


def _tag_indices(column: pa.Array) -> tuple[Integers, int]:
    """Return a number for the text of each row, the same for null and an empty text, and a number above all of them."""
    if pa.types.is_dictionary(column.type) and (
        column.dictionary.null_count or pc.count_distinct(column.dictionary).as_py() < len(column.dictionary)
    ):
        column = column.cast(column.type.value_type)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    absent = len(column.dictionary)
    indices: Integers = pc.fill_null(column.indices.cast(pa.int64()), absent).to_numpy()
    empty = pc.index(column.dictionary, pa.scalar("", column.dictionary.type)).as_py()
    if empty >= 0:
        indices = np.where(indices == empty, absent, indices)
    return indices, absent + 1
