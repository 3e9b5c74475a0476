"""Encodes storage files, key by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from loader.dataset.schema import Field
from loader.encoding.arrays import Integers
from loader.encoding.tsm.encode.blocks import BlockTimes, encode_blocks
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.layout import (
    BLOCK_TYPES,
    FOOTER,
    HEADER,
    INDEX_BLOCK,
    INDEX_KEY,
    KEY_LENGTH,
    make_key,
)

_PIECE = 1 << 18


@dataclass(frozen=True)
class StorageFile:
    """A whole storage file of ``size`` bytes, in ``pieces`` that are valid until its workspace is used again."""

    pieces: tuple[memoryview, ...]
    size: int


class FileEncoder:
    """Encodes one storage file, series by series; the order of their keys is the best for the server's readers.

    Memory is that of ``workspace``, which may have served other files before. At most 65,535,000 points of a
    series fit.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._size = len(HEADER)
        self._index: list[tuple[bytes, bytes]] = []
        workspace.content.reserve(self._size)[: self._size] = np.frombuffer(HEADER, np.uint8)

    def add(self, series: str, times: Integers, fields: Sequence[tuple[Field, pl.Series]]) -> None:
        """Add a new series: its strictly increasing ``times`` (nanoseconds), and values or nulls of each field.

        A field without any value is left out. Types are as for ``encode_blocks``. Raises EncodeError for
        a key that storage files cannot hold.
        """
        shared: BlockTimes | None = None
        for field, values in fields:
            key = make_key(series, field.column)
            nulls = values.null_count()
            if nulls == len(values):
                continue
            if nulls:
                present = values.is_not_null().to_numpy()
                self._add(key, field, self._encode(times[present]), values.drop_nulls())
                shared = None
            else:
                shared = shared or self._encode(times)
                self._add(key, field, shared, values)

    def finish(self) -> StorageFile:
        """Return the file."""
        content = self._workspace.content.reserve(self._size, kept=self._size).data
        index = b"".join(entry for _, entry in sorted(self._index)) + FOOTER.pack(self._size)
        blocks = (content[start : min(start + _PIECE, self._size)] for start in range(0, self._size, _PIECE))
        return StorageFile((*blocks, memoryview(index)), self._size + len(index))

    def _encode(self, times: Integers) -> BlockTimes:
        return BlockTimes.encode(times, self._workspace.times)

    def _add(self, key: bytes, field: Field, times: BlockTimes, values: pl.Series) -> None:
        ends = encode_blocks(times, field.type, values, self._workspace.content, self._size)
        entries = np.empty(len(ends), INDEX_BLOCK)
        entries["first"], entries["last"] = times.first, times.last
        entries["offset"] = np.append(self._size, ends[:-1])
        entries["size"] = ends - entries["offset"]
        head = KEY_LENGTH.pack(len(key)) + key + INDEX_KEY.pack(BLOCK_TYPES[field.type], len(entries))
        self._index.append((key, head + entries.tobytes()))
        self._size = int(ends[-1])
