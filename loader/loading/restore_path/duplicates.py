"""Counts the rows of a shard whose points the bucket already has, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from loader.dataset.manifest import Manifest
from loader.dataset.schema import PointSchema
from loader.encoding.tsm.decode.columns import TooManyPoints
from loader.encoding.tsm.decode.fields import Source, StoredField
from loader.encoding.tsm.decode.gather import gather_fields
from loader.encoding.tsm.decode.index import read_file
from loader.encoding.tsm.encode.buffer import Workspace
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path.shards import Shard
from loader.loading.restore_path.storage_files import ShardFile, encode_shard
from loader.loading.shard_files import open_shard
from loader.servers.transport import Connection

_MOST_BYTES = 64 << 20
"""Bytes of times and values of either side that are compared at a time, unless they have one time."""


def count_duplicates(
    link: Connection, shard_id: int, root: Path, manifest: Manifest, shard: Shard, known: KnownRows
) -> int:
    """Return how many points of ``shard`` have the series and time of a point that the server has in ``shard_id``.

    The server's files are read, and those of the load are made for it. Memory is bounded as for ``open_shard`` and
    ``encode_shard``, twice a storage file, and a few times _MOST_BYTES. Raises ServerError, StageError, DecodeError.
    """
    workspace = Workspace()
    number = 0
    with open_shard(link, shard_id) as stored:
        for file in encode_shard(root, manifest, shard, 1, workspace, known):
            ours = [Source(read_file(file.name, _content(file)))] if file.points else []
            for schema in file.counts:
                number += sum(_count(schema, ours, stored, *shard.times_of(shard.partitions)))
    return number


def _content(file: ShardFile) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.concatenate([np.frombuffer(piece, np.uint8) for piece in file.content.pieces])


def _count(
    schema: PointSchema, ours: Sequence[Source], stored: Sequence[Source], start: int, stop: int
) -> Iterator[int]:
    """Yield numbers of identities that both have, by parts of the time from ``start`` to ``stop``."""
    sides = [gather_fields(sources, schema.measurement, schema.fields) for sources in (ours, stored)]
    waiting = [(start, stop)]
    while waiting:
        first, last = waiting.pop()
        most = _MOST_BYTES if last - first > 1 else 0
        try:
            mine, theirs = (_identities(fields, first, last, most) for fields in sides)
        except TooManyPoints:
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]
            continue
        yield mine.join(theirs, on=["series", "time"], how="semi").height


def _identities(fields: Sequence[StoredField], start: int, stop: int, most: int) -> pl.DataFrame:
    """Return series and time of all points with ``start`` <= time < ``stop``, each once."""
    frames = []
    former = None
    for field in fields:
        former = field.read(start, stop, former, most=most)
        column = former.column
        series = column.series.gather(np.repeat(np.arange(len(column.series)), np.diff(column.bounds)))
        frames.append(pl.DataFrame({"series": series.hash(), "time": pl.Series(column.times, dtype=pl.Int64)}))
    return pl.concat(frames).unique()
