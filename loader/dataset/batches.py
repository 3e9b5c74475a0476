"""Record batches of bounded size; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import is_text

BATCH_BYTES = 16 << 20
"""Most bytes of a batch, once texts are written out, but for a single row that has more."""
JOINED_BYTES = 64 << 20
"""Most bytes of joined batches, up to the last of them."""
LONG_TEXTS = 512
"""Bytes of texts a row from which half of BATCH_BYTES is enough: what costs the same for every batch is little then."""
INDEX_BYTES = 8
"""What a text takes beside its bytes."""


def rows_within(row_bytes: int) -> int:
    """Return how many rows of ``row_bytes`` bytes a batch may have, at least one."""
    return max(1, BATCH_BYTES // row_bytes)


def join_batches(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` joined to ``rows`` rows or JOINED_BYTES bytes each, but for the last; memory is twice those.

    Row groups are small so that little is held at a time; what costs the same for every batch wants large ones.
    Batches whose columns differ in type are not joined, and those of LONG_TEXTS to half of BATCH_BYTES.
    """
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for batch in batches:
        if held and held[0].schema != batch.schema:
            yield from _join(held)
            held_rows = held_bytes = 0
        held.append(batch)
        held_rows += batch.num_rows
        held_bytes += most_bytes(batch)
        if held_rows >= rows or held_bytes >= (BATCH_BYTES // 2 if _has_long_texts(batch) else JOINED_BYTES):
            # What is joined is not held twice while it is looked at.
            del batch
            yield from _join(held)
            held_rows = held_bytes = 0
    if held:
        yield from _join(held)


def _join(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` as one, and empty the list."""
    table = pa.Table.from_batches(batches)
    batches.clear()
    joined: list[pa.RecordBatch] = table.combine_chunks().to_batches()
    del table
    while joined:
        yield joined.pop(0)


def _has_long_texts(batch: pa.RecordBatch) -> bool:
    texts = [column for column in batch.columns if is_text(column.type) and not pa.types.is_dictionary(column.type)]
    size = sum(int(column.nbytes) for column in texts)
    return size >= LONG_TEXTS * max(1, int(batch.num_rows))


def most_bytes(batch: pa.RecordBatch) -> int:
    """Return an upper bound of the bytes of ``batch``, but for bits of nulls, once its dictionaries are written out."""
    size = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
            size += len(column) * (INDEX_BYTES + longest)
        elif pa.types.is_primitive(column.type):
            size += len(column) * -(-column.type.bit_width // 8)
        else:
            size += column.nbytes
    return size


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return the bytes of each row, but for bits of nulls, once dictionaries are written out."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            lengths = pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
            sizes += pc.fill_null(lengths, 0).to_numpy() + INDEX_BYTES
        elif is_text(column.type):
            sizes += pc.fill_null(pc.binary_length(column).cast(pa.int64()), 0).to_numpy() + INDEX_BYTES
        else:
            sizes += -(-column.type.bit_width // 8)
    return sizes


def split_by_bytes(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield ``batch`` in slices of up to BATCH_BYTES, counted as in ``read_batches``, of one row at least."""
    if batch.num_rows < 2 or most_bytes(batch) <= BATCH_BYTES:
        yield batch
        return
    for start, stop in bounded_slices(row_bytes(batch)):
        yield batch.slice(start, stop - start)


def bounded_slices(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield where slices of rows of ``sizes`` bytes begin and end that have up to BATCH_BYTES, or one row."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield start, stop
        start = stop
