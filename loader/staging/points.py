"""Writes sorted points as partitions: a file for each measurement and UTC day, which appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from loader.dataset.arrow_types import FIELD_TYPES
from loader.dataset.atomic import whole_file
from loader.dataset.instant import DAY
from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError
from loader.staging.folder import remove_empty_folders
from loader.staging.identities import TIME
from loader.staging.mark import POINTS, MarkedWriter
from loader.staging.partition import Compression, parquet_options

_LONGEST_NAME = 255
"""Most bytes of a file name on Linux."""
GROUP_BYTES = 64 << 20
"""A row group ends when it has more bytes in memory."""
TIMES = pa.timestamp("ns", "UTC")
TAG = pa.dictionary(pa.int32(), pa.string())
ReadTags: TypeAlias = Callable[[pa.RecordBatch], list[pa.Array]]
"""A function that returns the tags of rows, as dictionaries of strings."""


def name_partition(measurement: str, day: int) -> str:
    """Return the path of the partition of ``measurement`` for the UTC day that begins at ``day`` (nanoseconds).

    Raises ConfigError for a measurement whose name is too long for a folder.
    """
    date = datetime.fromtimestamp(day // 1_000_000_000, UTC).date()
    folder = f"measurement={quote(measurement, safe=' ')}"
    if len(folder) > _LONGEST_NAME:
        raise ConfigError(
            f"the measurement {measurement[:40]!r}... has a name that is too long for a folder: {len(folder)} bytes,"
            f" {_LONGEST_NAME} are possible",
            hint="load such points from Parquet in place, or give them a shorter name",
        )
    return f"{folder}/date={date.isoformat()}/{POINTS}"


def parquet_schema(schema: PointSchema) -> pa.Schema:
    """Return the columns of a partition: tags, fields and time, each in the type that loads best."""
    return pa.schema(
        [
            *(pa.field(tag, TAG) for tag in schema.tags),
            *(pa.field(each.column, FIELD_TYPES[each.type]) for each in schema.fields),
            pa.field(schema.time, TIMES, nullable=False),
        ]
    )


def write_partitions(
    root: Path,
    schema: PointSchema,
    batches: Iterator[pa.RecordBatch],
    read_tags: ReadTags,
    compression: Compression,
    kept: Callable[[str], Partition | None],
) -> Iterator[Partition]:
    """Write the points of ``batches``, which are sorted by day, as partitions; yield each when it is on disk.

    ``read_tags`` finds the tags of rows; other columns are TIME (int64, nanoseconds) and the fields of ``schema``, by
    their keys. A partition that ``kept`` knows is not written again. Memory is a row group. Raises OSError.
    """
    writer: _Writer | None = None
    try:
        for batch in batches:
            for day, piece in _by_day(batch):
                if writer and writer.day != day:
                    yield writer.finish()
                    writer = None
                if writer is None:
                    path = name_partition(schema.measurement, day)
                    writer = _Writer(root, path, schema, day, read_tags, compression, kept(path))
                writer.add(piece)
        if writer:
            yield writer.finish()
            writer = None
    finally:
        if writer:
            writer.abandon()


def _by_day(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    days = batch.column(TIME).to_numpy() // DAY
    bounds = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist(), len(days)]
    for start, stop in pairwise(bounds):
        if start < stop:
            yield int(days[start]) * DAY, batch.slice(start, stop - start)


@dataclass
class _Writer:
    """Writes one partition, a row group at a time; ``kept`` is the partition if it is on disk already."""

    root: Path
    path: str
    schema: PointSchema
    day: int
    read_tags: ReadTags
    compression: Compression
    kept: Partition | None
    stack: ExitStack = field(default_factory=ExitStack)
    waiting: list[pa.RecordBatch] = field(default_factory=list)
    file: MarkedWriter | None = None
    handle: BinaryIO | None = None
    rows: int = 0
    first: int = 2**63 - 1
    last: int = -(2**63)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        times = batch.column(TIME).to_numpy()
        self.rows += len(batch)
        self.first, self.last = min(self.first, int(times.min())), max(self.last, int(times.max()))
        if self.kept:
            return
        self.waiting.append(batch)
        if sum(map(len, self.waiting)) >= GROUP_ROWS or sum(each.nbytes for each in self.waiting) >= GROUP_BYTES:
            self._write(GROUP_ROWS)

    def finish(self) -> Partition:
        """Write what is left, and return the partition when it is on disk."""
        if self.kept:
            return self.kept
        if self.waiting:
            self._write(0)
        assert self.file
        assert self.handle
        checksum = self.file.finish()
        size = self.handle.tell()
        self.handle.flush()
        self.stack.close()
        return Partition(
            self.path, self.rows, self.first, self.last, size, checksum, measurement=self.schema.measurement
        )

    def abandon(self) -> None:
        """Remove the unfinished file and its empty folders."""
        if self.file:
            self.file.abandon()
        with suppress(_Abandoned), self.stack:
            raise _Abandoned
        remove_empty_folders(self.root, self.path)

    def _write(self, keep: int) -> None:
        """Write row groups of GROUP_ROWS; a rest of fewer than ``keep`` rows stays in memory."""
        table = pa.Table.from_batches(self.waiting)
        self.waiting = []
        columns = parquet_schema(self.schema)
        if self.file is None:
            path = self.stack.enter_context(whole_file(self.root / self.path, self.root))
            self.handle = self.stack.enter_context(path.open("wb"))
            self.file = MarkedWriter(
                self.handle, columns, **parquet_options(columns.names, self.schema.time, self.compression)
            )
        while table.num_rows and (table.num_rows >= keep or table.nbytes >= GROUP_BYTES):
            (group,) = table.slice(0, GROUP_ROWS).combine_chunks().to_batches()
            table = table.slice(GROUP_ROWS)
            fields = [group.column(each.column) for each in self.schema.fields]
            times = group.column(TIME).cast(TIMES)
            rows = pa.Table.from_arrays([*self.read_tags(group), *fields, times], schema=columns)
            self.file.write(rows, GROUP_ROWS)
        self.waiting = table.to_batches()


class _Abandoned(Exception):
    """Raised so that the temporary file is removed."""
