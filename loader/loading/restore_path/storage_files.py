"""Turns the rows of a shard into its storage files, and these into the tar that the restore API takes."""

from __future__ import annotations

import heapq
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from loader.dataset.batches import LONG_TEXTS
from loader.dataset.chunk import RejectedRow
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import largest_group, read_joined
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import read_columns, read_times, read_valid_times
from loader.encoding.escaping import check_names, sort_tags
from loader.encoding.selection import SelectedRows, select_points
from loader.encoding.series import SeriesRuns, find_series
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.file import FileEncoder, StorageFile
from loader.encoding.tsm.layout import FIELD_SEPARATOR, is_storable
from loader.encoding.warm import compile_ahead, compile_encoders
from loader.events import Observer
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.series_points import SeriesPoints, join
from loader.loading.restore_path.shards import Shard
from loader.loading.times import check_times

MOST_BYTES = 144 << 20
"""Most bytes of times and values that a storage file is made of, plus one joined batch."""
WIDE_BYTES = 48 << 20
"""The same where there are strings, or row groups larger than SMALL_GROUP: reading them takes memory, too."""
SMALL_GROUP = 32 << 20
_SLICE_BYTES = 1_000
"""Bytes that a slice takes, besides its rows, until it is in the file's index."""
_UNSTORABLE = f"storage files part series and field by {FIELD_SEPARATOR.decode()}; the write path takes it"
_FULLY_COMPACTED = 4
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

    ``rows`` are those of the dataset that it accounts for, ``rejected`` those of them that cannot be points. A file
    without points has no content, and is not to be sent.
    """

    name: str
    content: StorageFile
    counts: Mapping[PointSchema, PointCounts]
    rows: int
    rejected: tuple[RejectedRow, ...]

    @property
    def points(self) -> int:
        """Points of all measurements."""
        return sum(each.points for each in self.counts.values())


def prepare_encoders(observe: Observer) -> float:
    """Have the encoders compiled, say so when it takes longer than a moment, and return the seconds that it took."""
    return compile_ahead(compile_encoders, "encoders", observe)


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
    MOST_BYTES (or WIDE_BYTES) and one joined batch, and the file made of them, about as large; texts are held once. Of
    several files each holds the rows of some partitions, or parts of them. Rows of one identity become one point where
    they are in one file; in several files, they never set the same field. Raises StageError and EncodeError.
    """
    for schema in manifest.schemas:
        check_names(schema)
    most = _most_bytes(root, manifest, shard)
    collected = _FilePoints(root)
    sequence = _FULLY_COMPACTED
    for partition in shard.partitions:
        points = collected.of(manifest.schema_of(partition.path))
        order = known.order(partition)
        series = order.runs(points.keyed) if order else None
        columns = points.schema if series is None else replace(points.schema, tags=())
        for address, batch in read_joined(root, columns, partition):
            steps = partition.steps(address.start, address.stop)
            selected = select_points(batch, columns, address, known.superseded(address), steps)
            points.add(batch, selected, partition, shard, series)
            del batch, selected  # otherwise rows of other shards would stay in memory, too
            if collected.size >= most:
                yield collected.encode(f"{generation:09}-{sequence:09}.tsm", workspace)
                collected, sequence = _FilePoints(root), sequence + 1
                points = collected.of(points.schema)
    if collected.rows:
        yield collected.encode(f"{generation:09}-{sequence:09}.tsm", workspace)


def _most_bytes(root: Path, manifest: Manifest, shard: Shard) -> int:
    """Return the most bytes that a storage file of ``shard`` is made of."""
    for partition in shard.partitions:
        strings = any(field.type is FieldType.STRING for field in manifest.schema_of(partition.path).fields)
        if strings or largest_group(root, partition) > SMALL_GROUP:
            return min(MOST_BYTES, WIDE_BYTES)
    return MOST_BYTES


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


class _FilePoints:
    """Points of all measurements, for one storage file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._points: dict[PointSchema, _Points] = {}

    def of(self, schema: PointSchema) -> _Points:
        """Return the points of a measurement, to which more can be added."""
        return self._points.setdefault(schema, _Points(self._root, schema))

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return sum(points.size for points in self._points.values())

    @property
    def rows(self) -> int:
        """Rows that are accounted for."""
        return sum(points.rows for points in self._points.values())

    def encode(self, name: str, workspace: Workspace) -> ShardFile:
        """Return all points as a file, and release them on the way."""
        if self.size > LONG_TEXTS * self.rows:
            # Freed memory that is kept for the next batch costs nothing for short rows, and much for long ones.
            pa.default_memory_pool().release_unused()
        workspace.content.reserve(self.size)  # so that little of the file is copied when it grows
        encoder = FileEncoder(workspace)
        series = heapq.merge(*(points.take_series() for points in self._points.values()), key=lambda taken: taken[0])
        for _, text, fields, joined in series:
            encoder.add(text, joined.times, tuple(zip(fields, joined.values, strict=True)))
        counts = {schema: points.counts for schema, points in self._points.items()}
        rejected = tuple(row for points in self._points.values() for row in points.rejected)
        return ShardFile(name, encoder.finish(), counts, self.rows, rejected)


class _Points:
    """Points of one measurement by series, for one storage file."""

    def __init__(self, root: Path, schema: PointSchema) -> None:
        self._root = root
        self.schema = schema
        # The tags of a storage key are sorted, and so are the fields of a series.
        self.keyed = replace(
            schema,
            tags=sort_tags(schema.tags),
            fields=tuple(sorted(schema.fields, key=lambda field: field.column.encode())),
        )
        self._slices: dict[str, list[SeriesPoints]] = {}
        self.counts = PointCounts(0, (0,) * len(schema.fields))
        self.rejected: list[RejectedRow] = []
        self.rows = 0
        self.size = 0

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
        if shard.holds(partition):
            self.rows += len(batch)
        else:
            start = selected.start
            times, valid = read_valid_times(batch, self.schema, partition.steps(start, start + len(batch)))
            # A row without a time belongs to the shard of the partition's first time.
            within = np.where(valid, shard.contains(times), shard.start <= partition.time_min < shard.stop)
            self.rows += int(np.count_nonzero(within))
            selected = selected.within(within)
        runs = self._runs(selected, series)
        texts = runs.texts.to_pylist()
        if not all(map(is_storable, texts)):
            of_rows = [texts[code] for code in np.repeat(runs.codes, runs.lengths).tolist()]
            unfit = np.array([not is_storable(text) for text in of_rows], np.bool_)
            shown = [repr(text[:100]) for text in of_rows if not is_storable(text)]
            selected = selected.without(unfit, partition.path, "series", shown, _UNSTORABLE)
            runs = self._runs(selected, series)
            texts = runs.texts.to_pylist()
        self.rejected += selected.rejected
        self._add(selected.points, runs, texts)

    def _runs(self, selected: SelectedRows, series: SeriesRuns | None) -> SeriesRuns:
        if series is None:
            return find_series(selected.points, self.keyed)
        starts = selected.before(series.starts)
        some = np.flatnonzero(np.diff(starts))
        return SeriesRuns(
            np.append(starts[some], len(selected.points)), np.arange(len(some)), series.texts.take(series.codes[some])
        )

    def _add(self, points: pa.RecordBatch, runs: SeriesRuns, texts: Sequence[str]) -> None:
        columns = read_columns(points, self.keyed)
        rows = SeriesPoints(columns.times.to_numpy(), columns.values)
        starts, codes = runs.starts, runs.codes
        if len(codes) > 2 * len(texts):
            series = np.repeat(codes, runs.lengths)
            order = np.argsort(series, kind="stable")
            rows = rows.take(order)
            codes, starts = np.unique(series[order], return_index=True)
            starts = np.append(starts, len(order))
        for code, start, stop in zip(codes.tolist(), starts.tolist(), starts[1:].tolist(), strict=False):
            series = texts[code]
            if series not in self._slices:
                self._slices[series] = []
                # Its keys are held twice until the file is made.
                self.size += 2 * len(self.schema.fields) * len(series)
            self._slices[series].append(rows.slice(start, stop))
            self.size += _SLICE_BYTES
        self.size += rows.size

    def take_series(self) -> Iterator[tuple[bytes, str, tuple[Field, ...], SeriesPoints]]:
        """Yield the sort key, the text, the fields and the points of each series; count and release the points."""
        fields = self.keyed.fields
        for order, series in sorted((series.encode() + FIELD_SEPARATOR, series) for series in self._slices):
            joined = join(self._slices.pop(series))
            present = dict(zip(fields, (len(column) - column.null_count() for column in joined.values), strict=True))
            values = tuple(present[field] for field in self.schema.fields)
            self.counts += PointCounts(len(joined.times), values)
            yield order, series, fields, joined
