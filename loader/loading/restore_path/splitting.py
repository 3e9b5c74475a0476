"""Divides a large shard into parts, whose files are made at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import group_starts
from loader.dataset.schema import FieldType, PointSchema
from loader.loading.restore_path.shards import Shard
from loader.loading.restore_path.storage_files import most_file_bytes

_WORD_BYTES = 8


def split_shard(root: Path, manifest: Manifest, shard: Shard, most: int) -> tuple[Shard, ...]:
    """Return parts of ``shard``, at most ``most``: shards of its time, each of which has some of its rows.

    A part has rows enough for a storage file of its own, so that there are no more files than one thread would make,
    and begins with a row group, so that no rows are read twice. Memory is a number for each row group of the shard's
    files. Raises StageError.
    """
    if most < 2:
        return (shard,)
    held = sum(
        chunk.rows * _row_bytes(manifest.schema_of(partition.path))
        for partition in shard.partitions
        for chunk in shard.chunks_of(partition)
    )
    most = min(most, held // most_file_bytes(root, manifest, shard))
    if most < 2:
        return (shard,)
    pieces = list(_pieces(root, shard))
    rows, before = sum(chunk.rows for _, chunk in pieces), 0
    parts: dict[int, list[tuple[Partition, Chunk]]] = {}
    for partition, chunk in pieces:
        # By the middle of a piece, so that cuts are where they part the rows best.
        parts.setdefault((2 * before + chunk.rows) * most // (2 * rows), []).append((partition, chunk))
        before += chunk.rows
    return tuple(_part(shard, part) for part in parts.values())


def _row_bytes(schema: PointSchema) -> int:
    """Return the bytes that a row takes without its texts: its time, numbers, and where texts begin and end."""
    strings = sum(field.type is FieldType.STRING for field in schema.fields)
    return _WORD_BYTES * (1 + len(schema.fields) + strings)


def _pieces(root: Path, shard: Shard) -> Iterator[tuple[Partition, Chunk]]:
    """Yield the chunks of ``shard``, cut where a row group begins."""
    for partition in shard.partitions:
        starts = group_starts(root, partition)
        for chunk in shard.chunks_of(partition):
            cuts = [chunk.start, *(start for start in starts if chunk.start < start < chunk.stop), chunk.stop]
            for start, stop in pairwise(cuts):
                yield partition, Chunk(chunk.partition, start, stop)


def _part(shard: Shard, pieces: list[tuple[Partition, Chunk]]) -> Shard:
    """Return ``shard`` with only these rows; pieces that follow each other are read as one."""
    chunks: dict[str, list[Chunk]] = {}
    for _, chunk in pieces:
        some = chunks.setdefault(chunk.partition, [])
        if some and some[-1].stop == chunk.start:
            some[-1] = replace(some[-1], stop=chunk.stop)
        else:
            some.append(chunk)
    partitions = {partition.path: partition for partition, _ in pieces}
    return replace(shard, partitions=tuple(partitions.values()), chunks={path: tuple(chunks[path]) for path in chunks})
