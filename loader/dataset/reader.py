"""Reads record batches from a dataset: files are checked when it is opened, and streamed when they are read."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.batches import INDEX_BYTES, join_batches, rows_within, split_by_bytes
from loader.dataset.beneath import look
from loader.dataset.chunk import Chunk
from loader.dataset.contents import differing
from loader.dataset.conversion import conversion_problem, convert_batch
from loader.dataset.footers import refuse_changed
from loader.dataset.instant import NANOSECONDS, read_instant
from loader.dataset.manifest import Manifest, Partition, read_manifest
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError, EncodeError, StageError
from loader.events import Observer, ignore
from loader.quantities import counted

GROUP_ROWS = 131_072
"""Rows of a staged row group, and of a batch that is not joined."""
READ_BUFFER = 1 << 20
"""Bytes of a column that are read at a time; fewer where all columns together would exceed READ_BYTES."""
READ_BYTES = 64 << 20
LARGEST_DICTIONARY = 16 << 20
"""Most bytes of text of a row group that is read as a dictionary; indices take up to four bytes a row more."""
_LEAST_BUFFER = 4_096
MOST_TAG_BYTES = 65_535
"""No tag can be longer, since no series can."""
JOINED_ROWS = 1_000_000
"""Rows of a joined batch, except for the last."""


def open_dataset(root: Path, observe: Observer = ignore, stop: threading.Event | None = None) -> Manifest:
    """Return the manifest of the dataset at ``root``, and raise what ``read_manifest`` and ``check_dataset`` do."""
    manifest = read_manifest(root)
    check_dataset(root, manifest, observe, stop)
    return manifest


def check_dataset(
    root: Path, manifest: Manifest, observe: Observer = ignore, stop: threading.Event | None = None
) -> None:
    """Check size, footer and checksum of every partition of the dataset at ``root``.

    Files that are not known yet are read for their checksum, see ``differing``; setting ``stop`` ends that early.
    Raises ConfigError when times are integers of unknown unit; EncodeError for tags that are certainly too long;
    StageError when staging did not finish, or a file is missing, damaged, or disagrees with the manifest.
    """
    if not manifest.complete:
        there = counted(len(manifest.partitions), "partition is", "partitions are")
        raise StageError(
            f"{root}: staging did not finish ({there} there)",
            hint=f"run it again with the same settings, it goes on where it was: loader stage --out {root}",
        )
    if not manifest.rows:
        raise StageError(f"{root}: the manifest lists no rows", hint="stage trades into another folder")
    refuse_changed(root, (partition for partition in manifest.partitions if partition.modified))
    for partition in manifest.partitions:
        _check(root, partition, manifest.schema_of(partition.path))
    if wrong := differing(root, manifest.partitions, observe, stop):
        more = f", and that of {counted(len(wrong) - 1, 'more file')}" if len(wrong) > 1 else ""
        raise _disagreement(root, root / wrong[0].path, f"its content is not what the manifest says (SHA-256){more}")


def read_batches(root: Path, schema: PointSchema, chunk: Chunk, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``chunk`` in order, with the columns of ``schema``, in batches of up to ``batch_rows``.

    Columns have types that points can have, see ``convert_batch``, whose EncodeError is raised.
    Text is dictionaries where the file has it so. Only the row groups that overlap the chunk are opened, one at a time
    and without threads. Memory is bounded by a batch of BATCH_BYTES, with texts counted as written out (one row if it
    is larger), and for each column by its share of READ_BYTES, one page and one dictionary; it does not depend on the
    partition's size. Times that no timestamp of nanoseconds can hold arrive as
    seconds, in batches of their own. Raises StageError when the file is missing, damaged, or too short.
    """
    path = root / chunk.partition
    with _opened(root, path, tuple(map(schema.source, schema.texts))) as file:
        there = {*file.schema_arrow.names}
        names = [name for name in map(schema.source, schema.columns) if name in there]
        time = schema.source(schema.time)
        if chunk.stop > file.metadata.num_rows:
            raise _disagreement(root, path, f"holds {counted(file.metadata.num_rows, 'row')}, {chunk} is wanted")
        row = 0
        for group in range(file.metadata.num_row_groups):
            stop = row + file.metadata.row_group(group).num_rows
            if row < chunk.stop and chunk.start < stop:
                most = min(batch_rows, rows_within(_row_bytes(file, group, names)))
                batches = file.iter_batches(most, row_groups=[group], columns=names, use_threads=False)
                if _is_int96(file, time):
                    batches = _checked_int96(root, path, time, group, most, batches)
                first = max(row, chunk.start)
                for batch in _clipped(batches, row, chunk):
                    address = Chunk(chunk.partition, first, first + batch.num_rows)
                    yield from split_by_bytes(convert_batch(batch, schema, address))
                    first = address.stop
            row = stop


def read_joined(root: Path, schema: PointSchema, chunk: Chunk) -> Iterator[tuple[Chunk, pa.RecordBatch]]:
    """Yield the rows of ``chunk`` in batches of about JOINED_ROWS, each with its address.

    Memory is bounded by two such batches; see ``join_batches``. Raises StageError as ``read_batches`` does.
    """
    row = chunk.start
    for batch in join_batches(read_batches(root, schema, chunk, GROUP_ROWS), JOINED_ROWS):
        address = Chunk(chunk.partition, row, row + batch.num_rows)
        handed_over = [batch]
        del batch  # otherwise it would be held until the next one is read
        yield address, handed_over.pop()
        row = address.stop


def largest_group(root: Path, partition: Partition) -> int:
    """Return the bytes of the largest row group of ``partition`` before compression; raises StageError."""
    with _opened(root, root / partition.path, ()) as file:
        groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
        return max((int(group.total_byte_size) for group in groups), default=0)


def group_starts(root: Path, partition: Partition) -> list[int]:
    """Return the first row of each row group of ``partition``; raises StageError."""
    with _opened(root, root / partition.path, ()) as file:
        rows = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
        return [0, *accumulate(rows[:-1])]


def column_sizes(root: Path, partition: Partition) -> dict[str, int]:
    """Return the compressed bytes of each column of a partition; raises StageError, also for a file of another size."""
    path, sizes = root / partition.path, dict[str, int]()
    with _opened(root, path, ()) as file:
        size = path.stat().st_size
        if size != partition.size:
            raise _disagreement(root, path, f"has {size} bytes; the manifest says {partition.size} bytes")
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            for column in map(group.column, range(file.metadata.num_columns)):
                name = column.path_in_schema
                sizes[name] = sizes.get(name, 0) + int(column.total_compressed_size)
    return sizes


def buffer_size(metadata: pq.FileMetaData) -> int:
    """Return how many bytes of a column are read at a time, so that all columns stay within READ_BYTES."""
    return max(_LEAST_BUFFER, min(READ_BUFFER, READ_BYTES // max(1, int(metadata.num_columns))))


def _row_bytes(file: pq.ParquetFile, group: int, names: Collection[str]) -> int:
    """Return about how many bytes a row of a row group takes in memory, by its metadata."""
    metadata = file.metadata.row_group(group)
    stored = sum(int(metadata.column(number).total_uncompressed_size) for number in _positions(file, names))
    return 8 * len(names) + stored // max(1, int(metadata.num_rows))


def _positions(file: pq.ParquetFile, names: Collection[str]) -> list[int]:
    """Return the numbers of the columns of ``names`` in a file, in the file's order."""
    return [number for number in range(file.metadata.num_columns) if file.schema.column(number).path in names]


def _is_int96(file: pq.ParquetFile, column: str) -> bool:
    return any(file.schema.column(number).physical_type == "INT96" for number in _positions(file, (column,)))


def _checked_int96(
    root: Path, path: Path, time: str, group: int, rows: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` with times as seconds where they are beyond nanoseconds.

    INT96, as Spark writes it, holds a day and the nanoseconds in it; as int64 nanoseconds, times beyond 64 bits wrap.
    """
    with _opened(root, path, (), coerce_int96_timestamp_unit="s") as file:
        seconds = file.iter_batches(rows, row_groups=[group], columns=[time], use_threads=False)
        for batch, coarse in zip(batches, (other.column(time) for other in seconds), strict=True):
            fine, whole = (column.cast(pa.int64()).fill_null(0).to_numpy() for column in (batch.column(time), coarse))
            wrapped = fine // 1_000_000_000 != whole
            bounds = [0, *(np.flatnonzero(wrapped[1:] != wrapped[:-1]) + 1).tolist(), len(wrapped)]
            for start, stop in pairwise(bounds):
                part = batch.slice(start, stop - start)
                if stop > start and wrapped[start]:
                    position = part.schema.get_field_index(time)
                    part = part.set_column(position, time, coarse.slice(start, stop - start))
                yield part


def _clipped(batches: Iterator[pa.RecordBatch], row: int, chunk: Chunk) -> Iterator[pa.RecordBatch]:
    """Yield the parts of ``batches`` that are within ``chunk``; the first batch begins at ``row``."""
    for batch in batches:
        start, stop = max(chunk.start - row, 0), min(chunk.stop - row, batch.num_rows)
        if start < stop:
            yield batch.slice(start, stop - start)
        row += batch.num_rows
        if row >= chunk.stop:
            return


@contextmanager
def _opened(root: Path, path: Path, texts: tuple[str, ...], **options: Any) -> Iterator[pq.ParquetFile]:
    """Open ``path``; an error, then or in the ``with`` block, becomes a StageError that names the file.

    Columns in ``texts`` that the file holds as dictionaries are read as such.
    """
    try:
        look(root, str(path.relative_to(root)))  # a FIFO would keep whoever opens it waiting
        metadata = pq.read_metadata(path)
        with pq.ParquetFile(
            path,
            metadata=metadata,
            read_dictionary=[name for name in texts if _has_dictionary(metadata, name)],
            buffer_size=buffer_size(metadata),
            pre_buffer=False,
            page_checksum_verification=True,
            **options,
        ) as file:
            yield file
    except FileNotFoundError:
        raise _disagreement(root, path, "is missing") from None
    except (OSError, pa.ArrowException) as error:
        raise _disagreement(root, path, f"cannot be read as Parquet ({error})") from error


def _has_dictionary(metadata: pq.FileMetaData, name: str) -> bool:
    """Tell whether a column has a dictionary in some row group, and at most LARGEST_DICTIONARY of text in each.

    Writers give up a dictionary when it grows large, but reading as a dictionary makes one of the whole row group.
    """
    chunks = [
        column
        for group in range(metadata.num_row_groups)
        for column in (metadata.row_group(group).column(number) for number in range(metadata.num_columns))
        if column.path_in_schema == name
    ]
    largest = max((chunk.total_uncompressed_size - 4 * chunk.num_values for chunk in chunks), default=0)
    return largest <= LARGEST_DICTIONARY and any(chunk.has_dictionary_page for chunk in chunks)


def _check(root: Path, partition: Partition, schema: PointSchema) -> None:
    """Raise StageError unless the file of ``partition`` looks as the manifest says, ConfigError for an unknown unit."""
    path = root / partition.path
    with _opened(root, path, ()) as file:
        size = path.stat().st_size
        found = (size, file.metadata.num_rows)
        if found != (partition.size, partition.rows):
            expected = f"the manifest says {partition.size:,} bytes, {counted(partition.rows, 'row')}"
            raise _disagreement(root, path, f"has {found[0]:,} bytes, {counted(found[1], 'row')}; {expected}")
        columns = file.schema_arrow
        time = schema.source(schema.time)
        known = columns.names.count(time) == 1
        if known and not schema.time_unit and columns.field(time).type == pa.int64() and partition.rows:
            refuse_unitless(root, path, schema)
        if problem := conversion_problem(schema, columns, partition.path):
            raise _disagreement(root, path, problem)
        _check_tags(file, path, schema)


def _check_tags(file: pq.ParquetFile, path: Path, schema: PointSchema) -> None:
    """Raise EncodeError for tags of which some must be too long: before they are in memory."""
    for group in range(file.metadata.num_row_groups):
        for number in _positions(file, tuple(map(schema.source, schema.tags))):
            column = file.metadata.row_group(group).column(number)
            if column.total_uncompressed_size > (column.num_values + 1) * (MOST_TAG_BYTES + INDEX_BYTES):
                raise EncodeError(
                    f"{path}, row group {group}, column {column.path_in_schema!r}: tags of more than {MOST_TAG_BYTES:,}"
                    f" bytes ({column.total_uncompressed_size:,} bytes for {column.num_values:,} rows)",
                    hint="make such a column a field, or leave it out",
                )


def refuse_unitless(root: Path, path: Path, schema: PointSchema) -> None:
    """Raise ConfigError for integer times without a unit; it shows what the first of them may be."""
    chunk = Chunk(str(path.relative_to(root)), 0, 1)
    batch = next(read_batches(root, replace(schema, tags=(), fields=()), chunk, 1))
    first = batch.column(schema.time)[0].as_py()
    readings = [] if first is None else [f"{read_instant(first, unit)} in {unit}" for unit in NANOSECONDS]
    raise ConfigError(
        f"{path}: column {schema.time!r} holds integers, and their unit is not known; the first, {first}, is "
        + ", ".join(readings),
        hint="say it: --time-unit s, ms, us or ns (in the schema of a manifest: time_unit)",
    )


def _disagreement(root: Path, path: Path, what: str) -> StageError:
    """Return the error for a file that is not what the dataset needs."""
    return StageError(
        f"{path}: {what}",
        hint="put back the file that was staged, or move this one away and stage it again with the same settings: "
        f"loader stage --out {root}",
    )
