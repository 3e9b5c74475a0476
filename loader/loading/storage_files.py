"""From the rows of a shard to its storage files, and to the tar that the restore API takes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.reader import read_joined
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import read_columns
from loader.encoding.escaping import FIELD_KEY, sort_tags
from loader.encoding.series import find_series
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.file import FileEncoder, StorageFile
from loader.encoding.tsm.layout import FIELD_SEPARATOR
from loader.encoding.warm import compile_encoders
from loader.errors import EncodeError
from loader.events import Observer
from loader.loading.compiling import compile_ahead
from loader.loading.shards import Shard
from loader.servers.frames import instant

MOST_BYTES = 192 << 20
"""Bytes of times and values that a storage file is made of, at the most; one joined batch may come on top."""
_SLICE_BYTES = 1_000
"""What a slice, however few its rows, takes beside them until it is in the file's index."""
_FULLY_COMPACTED = 4
"""The sequence number of files that the server need not compact; of several, the first."""


@dataclass(frozen=True)
class ShardFile:
    """A storage file of a shard: its name, its content, its points, and how many of them have each field."""

    name: str
    content: StorageFile
    points: int
    values: tuple[int, ...]


def prepare_encoders(observe: Observer) -> None:
    """Have the encoders compiled, and say so when it takes longer than a moment."""
    compile_ahead(compile_encoders, "encoders", observe)


def encode_shard(
    root: Path, schema: PointSchema, shard: Shard, generation: int, workspace: Workspace
) -> Iterator[ShardFile]:
    """Yield the storage files of ``shard``, none when it has no points; ``generation`` is a number for each attempt.

    A file lasts until the next one is asked for, or ``workspace`` serves another shard. Memory is bounded by
    MOST_BYTES and one joined batch, and the file made of them, about as large. Of several files each holds the
    rows of some partitions, or parts of them. Raises StageError and EncodeError, also for two points of one
    identity in one file.
    """
    collected = _Points(schema)
    sequence = _FULLY_COMPACTED
    for partition in shard.partitions:
        for address, batch in read_joined(root, schema, partition):
            collected.add(batch, address, None if shard.holds(partition) else shard)
            if collected.size >= MOST_BYTES:
                yield collected.encode(f"{generation:09}-{sequence:09}.tsm", workspace)
                collected, sequence = _Points(schema), sequence + 1
    if collected.size:
        yield collected.encode(f"{generation:09}-{sequence:09}.tsm", workspace)


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


class _Points:
    """Points by series, for one storage file."""

    def __init__(self, schema: PointSchema) -> None:
        for field in schema.fields:
            FIELD_KEY.escape(field.column)  # raises for a name that no path can store
        # A storage key has its tags in order; so has a series its fields.
        self._schema = replace(
            schema,
            tags=sort_tags(schema.tags),
            fields=tuple(sorted(schema.fields, key=lambda field: field.column.encode())),
        )
        self._fields = schema.fields
        self._slices: dict[str, list[_Slice]] = {}
        self.size = 0

    def add(self, batch: pa.RecordBatch, address: Chunk, shard: Shard | None) -> None:
        """Add the rows of ``batch``; only those in the time of ``shard`` when it is given."""
        columns = read_columns(batch, self._schema, address)
        runs = find_series(batch, self._schema, address)
        rows = _Slice(
            columns.times.to_numpy(),
            tuple(values.to_arrow(compat_level=pl.CompatLevel.oldest()) for values in columns.values),
        )
        starts, codes = runs.starts, runs.codes
        if shard is not None or len(codes) > 2 * len(runs.texts):
            series = np.repeat(codes, runs.lengths)
            picked = np.arange(len(series)) if shard is None else np.flatnonzero(shard.contains(rows.times))
            order = picked[np.argsort(series[picked], kind="stable")]
            rows = rows.take(order)
            codes, starts = np.unique(series[order], return_index=True)
            starts = np.append(starts, len(order))
        texts = runs.texts.to_pylist()
        for code, start, stop in zip(codes.tolist(), starts.tolist(), starts[1:].tolist(), strict=False):
            self._slices.setdefault(texts[code], []).append(rows.slice(start, stop))
            self.size += _SLICE_BYTES
        self.size += rows.size

    def encode(self, name: str, workspace: Workspace) -> ShardFile:
        """Return the points as a file."""
        encoder = FileEncoder(workspace)
        points = 0
        values = dict.fromkeys(self._fields, 0)
        for series in sorted(self._slices, key=lambda series: series.encode() + FIELD_SEPARATOR):
            joined = _join(series, self._slices.pop(series))
            encoder.add(series, joined.times, tuple(zip(self._schema.fields, joined.values, strict=True)))
            points += len(joined.times)
            for field, column in zip(self._schema.fields, joined.values, strict=True):
                values[field] += len(column) - column.null_count
        return ShardFile(name, encoder.finish(), points, tuple(values.values()))


@dataclass(frozen=True)
class _Slice:
    """Times, and a value or null of each field."""

    times: Integers
    values: tuple[pa.Array, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.times.nbytes) + sum(int(column.nbytes) for column in self.values)

    def slice(self, start: int, stop: int) -> _Slice:
        """Return rows ``start`` to ``stop`` (exclusive), not copied."""
        return _Slice(self.times[start:stop], tuple(column.slice(start, stop - start) for column in self.values))

    def take(self, rows: Integers) -> _Slice:
        """Return the given rows."""
        return _Slice(self.times[rows], tuple(column.take(pa.array(rows)) for column in self.values))


def _join(series: str, slices: Sequence[_Slice]) -> _Slice:
    """Return the points of a series in time order; raises EncodeError when two have the same time."""
    joined = _Slice(
        np.concatenate([part.times for part in slices]),
        tuple(pa.concat_arrays(columns) for columns in zip(*(part.values for part in slices), strict=True)),
    )
    if (joined.times[1:] <= joined.times[:-1]).any():
        joined = joined.take(np.argsort(joined.times, kind="stable"))
        same = np.flatnonzero(joined.times[1:] == joined.times[:-1])
        if len(same):
            time = int(joined.times[same[0]])
            raise EncodeError(
                f"two rows of the series {series} have the time {instant(time)} ({time}): InfluxDB keeps one point of"
                " both",
                hint="make their times or tags differ; the write path would keep the last one",
            )
    return joined
