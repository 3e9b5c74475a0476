"""Storage files, key by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loader.dataset.schema import Field
from loader.encoding.tsm.bits import Integers
from loader.encoding.tsm.blocks import BlockTimes, encode_blocks
from loader.encoding.tsm.layout import (
    BLOCK_TYPES,
    FOOTER,
    HEADER,
    INDEX_BLOCK,
    INDEX_KEY,
    KEY_LENGTH,
    make_key,
)


@dataclass(frozen=True)
class StorageFile:
    """A whole storage file, in ``pieces`` of ``size`` bytes together."""

    pieces: tuple[bytes, ...]
    size: int


class FileEncoder:
    """Encodes one storage file, series by series; the order of their keys is the best for the server's readers.

    Memory is that of the encoded file, and about 40 bytes a point of one series. At most 65,535,000 points of a
    series fit.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = [HEADER]
        self._size = len(HEADER)
        self._index: list[tuple[bytes, bytes]] = []

    def add(self, series: str, times: Integers, fields: Sequence[tuple[Field, pa.Array]]) -> None:
        """Add a series that was not added yet: nanoseconds that increase strictly, and a value or null of each field.

        A field without any value is left out. Arrow types are those of ``encode_blocks``. Raises EncodeError for
        a key that storage files cannot hold.
        """
        shared = BlockTimes.encode(times)
        for field, values in fields:
            key = make_key(series, field.column)
            if values.null_count == 0:
                self._add(key, field, shared, values)
            elif values.null_count < len(values):
                present = values.is_valid().to_numpy(zero_copy_only=False)
                self._add(key, field, BlockTimes.encode(times[present]), values.drop_null())

    def finish(self) -> StorageFile:
        """Return the file."""
        index = [entry for _, entry in sorted(self._index)]
        pieces = (*self._pieces, *index, FOOTER.pack(self._size))
        return StorageFile(pieces, self._size + sum(map(len, index)) + FOOTER.size)

    def _add(self, key: bytes, field: Field, times: BlockTimes, values: pa.Array) -> None:
        blocks, ends = encode_blocks(times, field.type, values)
        entries = np.empty(len(ends), INDEX_BLOCK)
        entries["first"], entries["last"] = times.first, times.last
        entries["size"] = np.diff(ends, prepend=0)
        entries["offset"] = self._size + ends - entries["size"]
        head = KEY_LENGTH.pack(len(key)) + key + INDEX_KEY.pack(BLOCK_TYPES[field.type], len(entries))
        self._index.append((key, head + entries.tobytes()))
        self._pieces.append(bytes(blocks))
        self._size += len(blocks)
