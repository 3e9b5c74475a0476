"""Record batches of bounded size; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import is_text

BATCH_BYTES = 16 << 20
"""Most bytes of a batch once texts are written out, except for a single row that has more."""
JOINED_BYTES = 64 << 20
"""Batches are joined until they have so many bytes; the last one may exceed it."""
LONG_TEXTS = 512
"""Bytes of texts a row from which half of BATCH_BYTES is enough: the fixed cost of a batch is small then."""
_MOST_PIECES = 1_000
"""Batches that are held side by side: a batch takes some kilobytes, however few its rows are."""
INDEX_BYTES = 8
"""Bytes that a text takes besides its own."""


def rows_within(row_bytes: int) -> int:
    """Return how many rows of ``row_bytes`` bytes a batch may have, at least one."""
    return max(1, BATCH_BYTES // row_bytes)


def join_batches(batches: Iterable[pa.RecordBatch], rows: int, size: int | None = None) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` joined to ``rows`` rows or ``size`` bytes each (JOINED_BYTES), except for the last.

    Row groups are small so that little is held at a time; but each batch has a fixed cost, so large ones are better.
    Memory is twice a joined batch.
    Batches whose columns differ in type are not joined; those with LONG_TEXTS are joined to half of BATCH_BYTES only.
    """
    held: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    size = size or JOINED_BYTES
    for batch in batches:
        if held and held[0].schema != batch.schema:
            yield from _join(held)
            held_rows = held_bytes = 0
        held.append(batch)
        if len(held) > _MOST_PIECES:
            held = list(_join(held))
        held_rows += batch.num_rows
        held_bytes += most_bytes(batch)
        if held_rows >= rows or held_bytes >= (BATCH_BYTES // 2 if _has_long_texts(batch) else size):
            # Joined rows are not held twice while the caller uses them.
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
    """Return an upper bound of the bytes of ``batch``, without null bits, once its dictionaries are written out."""
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
    """Return the bytes of each row, without null bits, once dictionaries are written out."""
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
    """Yield ``batch`` in slices of up to BATCH_BYTES, but at least one row; bytes as ``row_bytes`` counts them."""
    if batch.num_rows < 2 or most_bytes(batch) <= BATCH_BYTES:
        yield batch
        return
    for start, stop in bounded_slices(row_bytes(batch)):
        yield batch.slice(start, stop - start)


def bounded_slices(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield start and stop of slices of up to BATCH_BYTES, or of one row; row ``i`` has ``sizes[i]`` bytes."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield start, stop
        start = stop
