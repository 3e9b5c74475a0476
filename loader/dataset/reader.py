"""From a dataset to record batches: checked when it is opened, streamed when it is read."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.beneath import look
from loader.dataset.chunk import Chunk
from loader.dataset.contents import differing
from loader.dataset.manifest import Manifest, Partition, read_manifest
from loader.dataset.schema import PointSchema, column_problem
from loader.errors import StageError
from loader.events import Observer, ignore

GROUP_ROWS = 131_072
"""Rows of a staged row group, and of a batch that is not joined."""
READ_BUFFER = 1 << 20
"""Bytes that are read of a column at a time."""
JOINED_ROWS = 1_000_000
"""Rows of a joined batch, but for the last."""
JOINED_BYTES = 64 << 20
"""Most bytes of joined batches, up to the last of them."""


def open_dataset(root: Path, observe: Observer = ignore, stop: threading.Event | None = None) -> Manifest:
    """Return the manifest of the dataset at ``root`` after a look at every partition's size, footer and checksum.

    Files that are not known yet are read for their checksum, see ``differing``; setting ``stop`` then raises
    KeyboardInterrupt. Raises ConfigError when there is no dataset; StageError when staging did not finish, or a file
    is missing, damaged, or disagrees with the manifest.
    """
    manifest = read_manifest(root)
    if not manifest.complete:
        raise StageError(
            f"{root}: staging did not finish ({len(manifest.partitions)} partitions are there)",
            hint=f"run it again with the same settings, it goes on where it was: loader stage --out {root}",
        )
    if not manifest.rows:
        raise StageError(f"{root}: the manifest lists no rows", hint="stage trades into another folder")
    for partition in manifest.partitions:
        _check(root, partition, manifest.schema)
    if wrong := differing(root, manifest.partitions, observe, stop):
        more = f", and that of {len(wrong) - 1} more files" if len(wrong) > 1 else ""
        raise _disagreement(root, root / wrong[0].path, f"its content is not what the manifest says (SHA-256){more}")
    return manifest


def read_batches(root: Path, schema: PointSchema, chunk: Chunk, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``chunk`` in order and the columns of ``schema``, in batches of up to ``batch_rows``.

    Text tags arrive as dictionaries. Only the row groups that overlap the chunk are opened, one at a time and
    without threads. Memory is bounded by one batch and, for each column, ``READ_BUFFER`` bytes, one page and
    one dictionary; it does not depend on the partition's size. Raises StageError when the file is missing,
    damaged, or too short.
    """
    path = root / chunk.partition
    with _opened(root, path, schema.tags) as file:
        if chunk.stop > file.metadata.num_rows:
            raise _disagreement(root, path, f"holds {file.metadata.num_rows} rows, {chunk} is wanted")
        row = 0
        for group in range(file.metadata.num_row_groups):
            stop = row + file.metadata.row_group(group).num_rows
            if row < chunk.stop and chunk.start < stop:
                batches = file.iter_batches(batch_rows, row_groups=[group], columns=schema.columns, use_threads=False)
                yield from _clipped(batches, row, chunk)
            row = stop


def read_joined(root: Path, schema: PointSchema, partition: Partition) -> Iterator[tuple[Chunk, pa.RecordBatch]]:
    """Yield all rows of ``partition`` in batches of about JOINED_ROWS, each with its address.

    Memory is bounded by two such batches; see ``join_batches``. Raises StageError as ``read_batches`` does.
    """
    row = 0
    whole = Chunk(partition.path, 0, partition.rows)
    for batch in join_batches(read_batches(root, schema, whole, GROUP_ROWS), JOINED_ROWS):
        yield Chunk(partition.path, row, row + batch.num_rows), batch
        row += batch.num_rows


def join_batches(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` joined to ``rows`` rows or JOINED_BYTES bytes each, but for the last; memory is twice those.

    Row groups are small so that little is held at a time; what costs the same for every batch wants large ones.
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= rows or sum(part.nbytes for part in held) >= JOINED_BYTES:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held = []
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _clipped(batches: Iterator[pa.RecordBatch], row: int, chunk: Chunk) -> Iterator[pa.RecordBatch]:
    """Yield what of ``batches``, the first of which begins at ``row``, lies within ``chunk``."""
    for batch in batches:
        start, stop = max(chunk.start - row, 0), min(chunk.stop - row, batch.num_rows)
        if start < stop:
            yield batch.slice(start, stop - start)
        row += batch.num_rows
        if row >= chunk.stop:
            return


@contextmanager
def _opened(root: Path, path: Path, dictionaries: tuple[str, ...]) -> Iterator[pq.ParquetFile]:
    """Open ``path``; what fails, then or in the ``with`` block, becomes a StageError that names it."""
    try:
        look(root, str(path.relative_to(root)))  # a FIFO would keep whoever opens it waiting
        with pq.ParquetFile(
            path,
            read_dictionary=dictionaries,
            buffer_size=READ_BUFFER,
            pre_buffer=False,
            page_checksum_verification=True,
        ) as file:
            yield file
    except FileNotFoundError:
        raise _disagreement(root, path, "is missing") from None
    except (OSError, pa.ArrowException) as error:
        raise _disagreement(root, path, f"cannot be read as Parquet ({error})") from error


def _check(root: Path, partition: Partition, schema: PointSchema) -> None:
    """Raise StageError unless the file of ``partition`` looks as the manifest says."""
    path = root / partition.path
    with _opened(root, path, ()) as file:
        size = path.stat().st_size
        found = (size, file.metadata.num_rows)
        if found != (partition.size, partition.rows):
            expected = f"the manifest says {partition.size} bytes, {partition.rows} rows"
            raise _disagreement(root, path, f"has {found[0]} bytes, {found[1]} rows; {expected}")
        if problem := column_problem(schema, file.schema_arrow):
            raise _disagreement(root, path, problem)


def _disagreement(root: Path, path: Path, what: str) -> StageError:
    """Return the error for a file that is not what the dataset needs."""
    return StageError(
        f"{path}: {what}",
        hint="put back the file that was staged, or move this one away and stage it again with the same settings: "
        f"loader stage --out {root}",
    )
