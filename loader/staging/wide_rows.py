"""Sorts rows of any width: wide rows are put on disk in sorted runs while their keys are sorted.

A sort holds thousands of rows at a time, however wide they are: with a kilobyte or two in each, memory is not enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.batches import bounded_slices, row_bytes
from loader.dataset.instant import DAY
from loader.encoding.arrays import Integers
from loader.errors import StageError
from loader.staging.identities import ORDER, TIME
from loader.staging.sorting import sort_batches

WIDE_BYTES = 256
"""Average bytes of the fields of a row beyond which they are put on disk."""
PEEK_BYTES = 32 << 20
"""Bytes of the first rows, from which the width is determined."""
RUN_BYTES = 128 << 20
PIECE_BYTES = 256 << 10
"""Bytes that are held of each run while all are read."""
MOST_THREADS, FEWER_THREADS = 4, 2
"""More threads would share the same memory, and each would have too little; wide keys need twice as much."""
_LEAST_COMPRESSED = 16 << 10
"""Bytes of a column in a piece from which compression is worth its start-up time."""
_RUN, _SIZE = "\0run", "\0size"


def sort_rows(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], keys: Sequence[str], temporary: Path, threads: int
) -> Iterator[pa.RecordBatch]:
    """Yield rows of any width as ``sort_batches`` does; ``keys`` are all columns except fields, the last one is ORDER.

    Memory is that of ``sort_batches``, and for wide rows RUN_BYTES three times, or PIECE_BYTES for each run and
    BATCH_BYTES three times: 400 MiB of 100 GB, 2 GiB of a terabyte. Raises what ``sort_batches`` raises.
    """
    held: list[pa.RecordBatch] = []
    key_bytes = field_bytes = 0
    while key_bytes + field_bytes < PEEK_BYTES and (batch := next(batches, None)) is not None:
        held.append(batch)
        wide = batch.select(list(keys)).nbytes
        key_bytes, field_bytes = key_bytes + wide, field_bytes + batch.nbytes - wide
    most = WIDE_BYTES * sum(map(len, held))
    sort = _sort_wide if field_bytes > most else sort_batches
    rest = _given(held, batches)
    del held
    yield from sort(schema, rest, keys, temporary, min(threads, FEWER_THREADS if key_bytes > most else MOST_THREADS))


def _given(held: list[pa.RecordBatch], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the items of ``held``, which is emptied, and then ``batches``."""
    while held:
        yield held.pop(0)
    yield from batches


def _sort_wide(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], keys: Sequence[str], temporary: Path, threads: int
) -> Iterator[pa.RecordBatch]:
    runs = _Runs(temporary / "runs.arrow", [name for name in schema.names if name == ORDER or name not in keys])
    columns = pa.schema([*(schema.field(key) for key in keys), (_RUN, pa.int32()), (_SIZE, pa.int64())])
    narrow = (run for table in _tables(batches) for run in runs.write(_ordered(table, keys), columns))
    for batch in sort_batches(columns, chain(narrow, runs.written()), keys, temporary, threads):
        for start, stop in bounded_slices(batch.column(_SIZE).to_numpy()):
            part = batch.slice(start, stop - start)
            fields = runs.read(part.column(_RUN).to_numpy())
            if not fields.column(ORDER).equals(part.column(ORDER)):
                raise StageError(
                    f"{temporary}: rows came in another order than their keys",
                    hint="this is a fault of the loader: report it",
                )
            arrays = [part.column(name) if name in keys else fields.column(name) for name in schema.names]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield ``batches`` as tables of about RUN_BYTES each."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= RUN_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    yield from [pa.Table.from_batches(held)] if held else []


def _ordered(table: pa.Table, keys: Sequence[str]) -> pa.RecordBatch:
    """Return the rows of ``table`` in the order of ``sort_batches``."""
    frame = pl.DataFrame([pl.Series(f"{number}", table.column(key)) for number, key in enumerate(keys)])
    day = pl.col(f"{list(keys).index(TIME)}") // DAY
    order = frame.select(pl.arg_sort_by(day.alias("day"), *frame.columns, nulls_last=False)).to_series().to_arrow()
    (batch,) = table.combine_chunks().to_batches()  # rows of many chunks are taken ten times slower
    return batch.take(order)


class _Runs:
    """A file of sorted runs of rows with the columns ``names``; each run is read from its beginning to its end."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path = path
        self._names = list(names)
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._pieces = [0]
        """The number of pieces before each run, and in all."""
        self._reader: pa.ipc.RecordBatchFileReader | None = None
        self._heads: dict[int, pa.RecordBatch] = {}
        """The rows that are held of each run that is being read."""
        self._next: list[int] = []
        """The piece of each run that is read next."""

    def write(self, run: pa.RecordBatch, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Write a run, and yield its keys, the first of ``columns``, with its number and the sizes of rows."""
        sizes = row_bytes(run)
        number = pa.array(np.full(len(run), len(self._pieces) - 1, np.int32))
        keys = [
            number if name == _RUN else pa.array(sizes) if name == _SIZE else run.column(name) for name in columns.names
        ]
        fields = run.select(self._names)
        if self._writer is None:
            large = PIECE_BYTES // fields.num_columns >= _LEAST_COMPRESSED
            options = pa.ipc.IpcWriteOptions(compression="lz4" if large else None)
            self._writer = pa.ipc.new_file(str(self._path), fields.schema, options=options)
        bounds = [0, *(np.flatnonzero(np.diff(np.cumsum(sizes) // PIECE_BYTES)) + 1).tolist(), len(run)]
        for start, stop in pairwise(bounds):
            self._writer.write_batch(fields.slice(start, stop - start))
        self._pieces.append(self._pieces[-1] + len(bounds) - 1)
        yield pa.RecordBatch.from_arrays(keys, schema=columns)

    def written(self) -> Iterator[pa.RecordBatch]:
        """Close the file once all runs are written; yield nothing."""
        assert self._writer
        self._writer.close()
        yield from ()

    def read(self, runs: Integers) -> pa.RecordBatch:
        """Return for each of ``runs`` the next row of that run."""
        if self._reader is None:
            self._reader = pa.ipc.open_file(pa.OSFile(str(self._path)))
            self._next = self._pieces[:-1]
        order = np.argsort(runs, kind="stable")
        numbers, counts = np.unique(runs, return_counts=True)
        taken = [
            part
            for run, count in zip(numbers.tolist(), counts.tolist(), strict=True)
            for part in self._take(run, count)
        ]
        places = np.empty(len(runs), np.int64)
        places[order] = np.arange(len(runs))
        (batch,) = pa.Table.from_batches(taken).combine_chunks().to_batches()
        return batch.take(pa.array(places))

    def _take(self, run: int, count: int) -> Iterator[pa.RecordBatch]:
        """Yield the next ``count`` rows of a run."""
        assert self._reader
        while count:
            head = self._heads.pop(run, None)
            if head is None:
                head = self._reader.get_batch(self._next[run])
                self._next[run] += 1
            part = head.slice(0, count)
            count -= len(part)
            yield part
            if len(part) < len(head):
                self._heads[run] = head.slice(len(part))
