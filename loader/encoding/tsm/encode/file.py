"""Encodes storage files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.keys import most_block_bytes, most_index_bytes, most_shared_bytes, put_keys
from loader.encoding.tsm.encode.order import RowOrder
from loader.encoding.tsm.encode.rows import Rows
from loader.encoding.tsm.encode.strings import TextBlocks, put_text_blocks
from loader.encoding.tsm.layout import BLOCK_POINTS, BLOCK_TYPES, FOOTER, HEADER

_PIECE = 1 << 18


@dataclass(frozen=True)
class StorageFile:
    """A whole storage file of ``size`` bytes, in ``pieces`` that are valid until its workspace is used again.

    ``points`` and ``values`` tell of each measurement how many points it has, and how many of them have each field.
    """

    pieces: tuple[memoryview, ...]
    size: int
    points: tuple[int, ...]
    values: tuple[tuple[int, ...], ...]


def encode_file(measurements: Sequence[Rows], workspace: Workspace) -> StorageFile:
    """Encode the rows of ``measurements`` as one file.

    Keys are in byte order, in the index as in the file, but for strings, whose blocks come first. Of rows of one series
    and time, the last value of each field is taken. A field without any value is left out. Memory is that of
    ``workspace``, four bytes a row, and the keys of all series. At most 65,535,000 points of a series fit. Raises
    EncodeError for a key that storage files cannot hold.
    """
    position = len(HEADER)
    size = position + sum(
        rows.size + rows.index_size for rows in measurements
    )  # so that little of the file is copied when it grows
    workspace.content.reserve(size)[:position] = np.frombuffer(HEADER, np.uint8)
    parts = []
    for rows in measurements:
        keys, order = rows.series()
        texts = put_text_blocks(rows, order, workspace.content, position)
        position = texts.stop
        parts.append(_Keys(rows, keys, order, texts, workspace))
    most = position + sum(part.most_content for part in parts)
    content = workspace.content.reserve(most, kept=position)
    index = workspace.index.reserve(sum(part.most_index for part in parts))
    entry = 0
    for number, first, last in _by_key([part.keys for part in parts]):
        position, entry = parts[number].put(first, last, content, position, index, entry)
    index_size = entry + FOOTER.size
    footer = np.frombuffer(FOOTER.pack(position), np.uint8)
    index = workspace.index.reserve(index_size, kept=entry)
    index[entry:index_size] = footer
    pieces = (*_pieces(content, position), *_pieces(index, index_size))
    return StorageFile(
        pieces,
        position + index_size,
        tuple(part.order.points for part in parts),
        tuple(tuple(part.counts.tolist()) for part in parts),
    )


class _Keys:
    """The keys of one measurement, which are written in order."""

    def __init__(self, rows: Rows, keys: pl.Series, order: RowOrder, texts: TextBlocks, workspace: Workspace) -> None:
        self.keys = keys
        self.order = order
        self.counts = texts.counts
        self._rows = rows
        self._texts = texts
        self._bytes, self._ends = _flat(keys)
        self._names, self._name_ends = _flat(pl.Series([field.column for field in rows.fields], dtype=pl.String))
        self._kinds = np.array([BLOCK_TYPES[field.type] for field in rows.fields], np.int64)
        sizes = np.diff(order.bounds)
        self._times = workspace.times.reserve(most_shared_bytes(int(sizes.max(initial=0))))
        numbers = len(rows.fields) - len(rows.strings)
        blocks = int((-(-sizes // BLOCK_POINTS)).sum())
        self.most_content = most_block_bytes(rows.height * numbers, blocks * numbers)
        self.most_index = most_index_bytes(
            len(keys), len(self._bytes), len(rows.fields), len(self._names), blocks * len(rows.fields)
        )
        self._text_at = self._text_key = 0

    def put(self, first: int, last: int, content: Bytes, position: int, index: Bytes, entry: int) -> tuple[int, int]:
        """Write series ``first`` to ``last`` (exclusive); return where to go on in ``content`` and ``index``."""
        places = np.array([position, entry, self._text_at, self._text_key], np.int64)
        put_keys(
            self.order.rows,
            self.order.bounds,
            self.order.repeated,
            self._rows.times,
            self._rows.words,
            self._rows.present,
            self._kinds,
            self._bytes,
            self._ends,
            self._names,
            self._name_ends,
            self._texts.entries,
            self._texts.blocks,
            first,
            last,
            self._times,
            content,
            index,
            places,
            self.counts,
        )
        position, entry, self._text_at, self._text_key = places.tolist()
        return position, entry


def _by_key(measurements: Sequence[pl.Series]) -> Iterator[tuple[int, int, int]]:
    """Yield which measurement is next in the order of all keys, and the series (from, to) that it has there."""
    if len(measurements) == 1:  # mostly; nothing needs to be copied then
        yield 0, 0, len(measurements[0])
        return
    keys = pl.concat(measurements) if measurements else pl.Series(dtype=pl.Binary)
    owners = np.repeat(np.arange(len(measurements)), [len(each) for each in measurements])[keys.arg_sort().to_numpy()]
    begins = np.flatnonzero(np.append(True, owners[1:] != owners[:-1])) if len(owners) else owners
    written = [0] * len(measurements)
    for start, stop in zip(begins.tolist(), [*begins[1:].tolist(), len(owners)], strict=False):
        owner = int(owners[start])
        yield owner, written[owner], written[owner] + stop - start
        written[owner] += stop - start


def _flat(texts: pl.Series) -> tuple[Bytes, Integers]:
    """Return the bytes of all ``texts``, and 0 and where each ends."""
    array = texts.cast(pl.Binary).to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data_buffer or b"", np.uint8), offsets


def _pieces(data: Bytes, size: int) -> Iterator[memoryview]:
    view = data.data
    return (view[start : min(start + _PIECE, size)] for start in range(0, size, _PIECE))
