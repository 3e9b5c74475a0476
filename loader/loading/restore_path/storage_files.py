"""Turns the rows of a shard into its storage files, and these into the tar that the restore API takes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.batches import LONG_TEXTS
from loader.dataset.chunk import RejectedRow
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import largest_group, read_joined
from loader.dataset.schema import FieldType, PointSchema
from loader.encoding.columns import read_columns, read_times, read_valid_times
from loader.encoding.escaping import check_names, sort_tags
from loader.encoding.selection import SelectedRows, select_points
from loader.encoding.series import SeriesRuns, find_series
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.file import StorageFile, encode_file
from loader.encoding.tsm.encode.rows import Rows
from loader.encoding.tsm.layout import FIELD_SEPARATOR, may_be_unstorable, unstorable
from loader.encoding.warm import compile_ahead, compile_encoders
from loader.events import Observer
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.shards import Shard
from loader.loading.times import check_times

MOST_BYTES = 144 << 20
"""Most bytes of times and values that a storage file is made of, plus one joined batch."""
WIDE_BYTES = 48 << 20
"""The same where there are strings, or row groups larger than SMALL_GROUP: reading them takes memory, too."""
SMALL_GROUP = 32 << 20
INDEX_BYTES = 192 << 20
"""Bytes of the index from which a storage file gets no more rows."""
_UNSTORABLE = f"storage files part series and field by {FIELD_SEPARATOR.decode()}; the write path takes it"
FULLY_COMPACTED = 4
"""The sequence number of a file that the server need not compact; of several files, that of the first."""


@dataclass(frozen=True)
class PointCounts:
    """How many points of a measurement there are, and how many of them have each field of its schema."""

    points: int
    values: tuple[int, ...]

    def __add__(self, other: PointCounts) -> PointCounts:
        """Return the counts of both together."""
        values = tuple(mine + theirs for mine, theirs in zip(self.values, other.values, strict=True))
        return PointCounts(self.points + other.points, values)


@dataclass(frozen=True)
class ShardFile:
    """A storage file of a shard: its name, its content, and what it holds of each schema's measurement.

    ``rows`` are those of the dataset that it accounts for, ``rejected`` those of them that cannot be points,
    ``skipped`` how many have no values left, because later rows replace them. A file without points has no content, and
    is not to be sent.
    """

    name: str
    content: StorageFile
    counts: Mapping[PointSchema, PointCounts]
    rows: int
    rejected: tuple[RejectedRow, ...]
    skipped: int = 0

    @property
    def points(self) -> int:
        """Points of all measurements."""
        return sum(each.points for each in self.counts.values())


def prepare_encoders(observe: Observer) -> float:
    """Have the encoders compiled, say so when it takes longer than a moment, and return the seconds that it took."""
    return compile_ahead(compile_encoders, "encoders", observe)


def load_encoders() -> None:
    """Have the encoders compiled, without a word; or loaded, where this machine has compiled them before."""
    compile_encoders()


def encode_shard(
    root: Path,
    manifest: Manifest,
    shard: Shard,
    generation: int,
    workspace: Workspace,
    known: KnownRows,
) -> Iterator[ShardFile]:
    """Yield the storage files of ``shard``, none when it has no rows; ``generation`` is a number for each attempt.

    A file is valid until the next one is asked for, or ``workspace`` is used for another shard. Memory is bounded by
    MOST_BYTES (or WIDE_BYTES) and one joined batch, and the file made of them, about as large, with an index of up to
    INDEX_BYTES and what one batch adds: of rows in time order, a few large files name each series less often than many
    small ones. Texts are held once. Of several files each holds the rows of some partitions, or parts of them. Rows of
    one identity become one point where they are in one file; in several files, they never set the same field. Raises
    StageError and EncodeError.
    """
    for schema in manifest.schemas:
        check_names(schema)
    least, most = min(MOST_BYTES, WIDE_BYTES), 0
    collected = _FilePoints(root, workspace)
    sequence = FULLY_COMPACTED
    for partition in shard.partitions:
        points = collected.of(manifest.schema_of(partition.path))
        order = known.order(partition)
        series = order.runs(points.keyed) if order else None
        columns = points.schema if series is None else replace(points.schema, tags=())
        chunks = shard.chunks_of(partition)
        for address, batch in chain.from_iterable(read_joined(root, columns, chunk) for chunk in chunks):
            steps = partition.steps(address.start, address.stop)
            selected = select_points(batch, columns, address, known.superseded(address), steps)
            points.add(batch, selected, partition, shard, series)
            del batch, selected  # otherwise rows of other shards would stay in memory, too
            if collected.size > LONG_TEXTS * collected.rows:
                # Freed memory that is kept for the next batch costs nothing for short rows, and much for long ones.
                pa.default_memory_pool().release_unused()
            # Files are looked through once it matters, and never for a small shard.
            if collected.size >= least:
                most = most or most_file_bytes(root, manifest, shard)
            if (most and collected.size >= most) or collected.index_size >= INDEX_BYTES:
                yield collected.encode(file_name(generation, sequence))
                collected, sequence = _FilePoints(root, workspace), sequence + 1
                points = collected.of(points.schema)
    if collected.rows:
        yield collected.encode(file_name(generation, sequence))


def most_file_bytes(root: Path, manifest: Manifest, shard: Shard) -> int:
    """Return the most bytes that a storage file of ``shard`` is made of."""
    for partition in shard.partitions:
        strings = any(field.type is FieldType.STRING for field in manifest.schema_of(partition.path).fields)
        if strings or largest_group(root, partition) > SMALL_GROUP:
            return min(MOST_BYTES, WIDE_BYTES)
    return MOST_BYTES


def file_name(generation: int, sequence: int) -> str:
    """Return the name of a storage file, as servers give it."""
    return f"{generation:09}-{sequence:09}.tsm"


def tar(file: ShardFile) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a tar of ``file``, ``tar_size`` bytes together."""
    entry = tarfile.TarInfo(file.name)
    entry.size = file.content.size
    yield entry.tobuf(tarfile.GNU_FORMAT)
    yield from file.content.pieces
    yield bytes(-entry.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def tar_size(file: ShardFile) -> int:
    """Return the size of a tar of ``file``."""
    return file.content.size + -file.content.size % tarfile.BLOCKSIZE + 3 * tarfile.BLOCKSIZE


def without_unstorable(selected: SelectedRows, partition: str, runs: SeriesRuns) -> SelectedRows:
    """Return ``selected``, whose series are ``runs``, with the rows rejected that storage files cannot hold."""
    if not may_be_unstorable(runs.texts) or not (unfit := unstorable(pl.Series(runs.texts)).to_numpy()).any():
        return selected
    rows = np.repeat(unfit[runs.codes], runs.lengths)
    texts = runs.texts.take(pa.array(np.repeat(runs.codes, runs.lengths)[rows])).to_pylist()
    return selected.without(rows, partition, "series", [repr(text[:100]) for text in texts], _UNSTORABLE)


class _FilePoints:
    """Points of all measurements, for one storage file."""

    def __init__(self, root: Path, workspace: Workspace) -> None:
        self._root = root
        self._workspace = workspace
        self._points: dict[PointSchema, _Points] = {}

    def of(self, schema: PointSchema) -> _Points:
        """Return the points of a measurement, to which more can be added."""
        if schema not in self._points:
            self._points[schema] = _Points(self._root, schema, self._workspace)
        return self._points[schema]

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return sum(points.held.size for points in self._points.values())

    @property
    def index_size(self) -> int:
        """Bytes of the index of a file of these points."""
        return sum(points.held.index_size for points in self._points.values())

    @property
    def rows(self) -> int:
        """Rows that are accounted for."""
        return sum(points.rows for points in self._points.values())

    def encode(self, name: str) -> ShardFile:
        """Return all points as a file, and release them."""
        content = encode_file([points.held for points in self._points.values()], self._workspace)
        found = zip(self._points.items(), content.points, content.values, strict=True)
        counts = {schema: points.counts(number, values) for (schema, points), number, values in found}
        rejected = tuple(row for points in self._points.values() for row in points.rejected)
        skipped = sum(points.skipped for points in self._points.values())
        file = ShardFile(name, content, counts, self.rows, rejected, skipped)
        for points in self._points.values():
            points.held.release()
        return file


class _Points:
    """Points of one measurement, for one storage file."""

    def __init__(self, root: Path, schema: PointSchema, workspace: Workspace) -> None:
        self._root = root
        self.schema = schema
        # The tags of a storage key are sorted, and so are the fields of a series.
        self.keyed = replace(
            schema,
            tags=sort_tags(schema.tags),
            fields=tuple(sorted(schema.fields, key=lambda field: field.column.encode())),
        )
        self.held = Rows(self.keyed.fields, workspace)
        self.rejected: list[RejectedRow] = []
        self.rows = 0
        self.skipped = 0

    def counts(self, points: int, values: Sequence[int]) -> PointCounts:
        """Return the counts of ``values`` of each stored field in the order of the schema."""
        found = dict(zip(self.keyed.fields, values, strict=True))
        return PointCounts(points, tuple(found[field] for field in self.schema.fields))

    def add(
        self,
        batch: pa.RecordBatch,
        selected: SelectedRows,
        partition: Partition,
        shard: Shard,
        series: SeriesRuns | None,
    ) -> None:
        """Add the rows of ``batch``, of which ``selected`` are points, that are in the time of ``shard``.

        One shard also accounts for rows without a time. ``series`` are those of the partition, where they are known;
        tags are not in ``batch`` then. Raises StageError for times outside the time range of ``partition``.
        """
        check_times(read_times(selected.points, self.schema).to_numpy(), selected, self._root, partition)
        before = self.rows
        if shard.holds(partition):
            self.rows += len(batch)
        else:
            start = selected.start
            times, valid = read_valid_times(batch, self.schema, partition.steps(start, start + len(batch)))
            # A row without a time belongs to the shard of the partition's first time.
            within = np.where(valid, shard.contains(times), shard.start <= partition.time_min < shard.stop)
            self.rows += int(np.count_nonzero(within))
            selected = selected.within(within)
        self.skipped += self.rows - before - len(selected.points) - len(selected.rejected)
        runs = self._runs(selected, series)
        if (storable := without_unstorable(selected, partition.path, runs)) is not selected:
            selected = storable
            runs = self._runs(selected, series)
        self.rejected += selected.rejected
        columns = read_columns(selected.points, self.keyed)
        self.held.add(columns.times.to_numpy(), columns.values, runs)

    def _runs(self, selected: SelectedRows, series: SeriesRuns | None) -> SeriesRuns:
        if series is None:
            return find_series(selected.points, self.keyed)
        starts = selected.before(series.starts)
        some = np.flatnonzero(np.diff(starts))
        return SeriesRuns(
            np.append(starts[some], len(selected.points)), np.arange(len(some)), series.texts.take(series.codes[some])
        )
