"""Encodes the blocks of one key: timestamps and values of one field of one series."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from loader.dataset.schema import FieldType
from loader.encoding.arrays import Bytes, Integers, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.encode.bits import put_bytes, put_uvarint
from loader.encoding.tsm.encode.buffer import Buffer
from loader.encoding.tsm.encode.numbers import (
    MOST_BYTES_A_BLOCK,
    MOST_BYTES_A_VALUE,
    put_booleans,
    put_floats,
    put_integers,
)
from loader.encoding.tsm.encode.strings import most_string_bytes, put_strings
from loader.encoding.tsm.encode.timestamps import encode_times, most_time_bytes
from loader.encoding.tsm.layout import BLOCK_POINTS, BLOCK_TYPES, CRC_BYTES

_FLOAT = BLOCK_TYPES[FieldType.FLOAT]
_BOOLEAN = BLOCK_TYPES[FieldType.BOOLEAN]
_STRING = BLOCK_TYPES[FieldType.STRING]
_UVARINT_BYTES = 10


@dataclass(frozen=True)
class BlockTimes:
    """The timestamps of a series, encoded once for all its fields; ``ends`` are where those of each block end."""

    times: Integers
    encoded: Bytes
    ends: Integers

    @classmethod
    def encode(cls, times: Integers, scratch: Buffer) -> BlockTimes:
        """Encode ``times``, strictly increasing nanoseconds, into ``scratch``, which must then stay as it is."""
        out = scratch.reserve(most_time_bytes(len(times)))
        return cls(times, out, encode_times(times, out))

    @property
    def first(self) -> Integers:
        """First time of each block."""
        return self.times[::BLOCK_POINTS]

    @property
    def last(self) -> Integers:
        """Last time of each block."""
        return np.append(self.times[BLOCK_POINTS - 1 : -1 : BLOCK_POINTS], self.times[-1])


def encode_blocks(times: BlockTimes, kind: FieldType, values: pl.Series, out: Buffer, position: int) -> Integers:
    """Write the blocks of ``values`` (none null, one for each time), CRCs included; return where each ends.

    ``values`` have the type of DTYPES for ``kind``. They are written to ``out`` from ``position`` on. Besides ``out``,
    memory is bounded by the numbers, or by the strings of one block, twice.
    """
    blocks = len(times.ends)
    # The first block is at the position, and each other block begins where the one before it ends.
    ends = np.empty(blocks + 1, np.int64)
    ends[0] = position
    heads = int(times.ends[-1]) + blocks * (CRC_BYTES + 1 + _UVARINT_BYTES)
    if kind is FieldType.STRING:
        size = int(values.str.len_bytes().sum())
        most = heads + blocks * most_string_bytes(BLOCK_POINTS, 0) + most_string_bytes(0, size)
        target = out.reserve(position + most, kept=position)
        _put_string_blocks(values, times, target, ends)
    else:
        most = heads + blocks * MOST_BYTES_A_BLOCK + MOST_BYTES_A_VALUE * len(values)
        target = out.reserve(position + most, kept=position)
        _put_blocks(BLOCK_TYPES[kind], _words(kind, values), times.encoded, times.ends, target, ends)
    view = target.data
    bounds = ends.tolist()
    for start, end in pairwise(bounds):
        view[start : start + CRC_BYTES] = zlib.crc32(view[start + CRC_BYTES : end]).to_bytes(CRC_BYTES)
    return ends[1:]


def _words(kind: FieldType, values: pl.Series) -> Words:
    """Return ``values`` as the kernels take them: bit patterns of numbers, 0 or 1 for booleans."""
    numbers = values.to_numpy()
    words: Words = numbers.astype(np.uint64) if kind is FieldType.BOOLEAN else numbers.view(np.uint64)
    words.setflags(write=False)  # most arrays are read-only: with a single type, kernels are compiled once
    return words


@compiled
def _put_blocks(kind: int, words: Words, times: Bytes, time_ends: Integers, out: Bytes, ends: Integers) -> None:
    """Write all blocks, with room for their CRCs, from ``ends[0]`` on; set ``ends`` to where each ends."""
    deltas = np.empty(BLOCK_POINTS, np.uint64)
    position = ends[0]
    time_start = 0
    for block in range(len(time_ends)):
        position = _put_head(kind, times, time_start, time_ends[block], out, position)
        time_start = time_ends[block]
        start = block * BLOCK_POINTS
        stop = min(start + BLOCK_POINTS, len(words))
        if kind == _FLOAT:
            position = put_floats(words, start, stop, out, position)
        elif kind == _BOOLEAN:
            position = put_booleans(words, start, stop, out, position)
        else:
            position = put_integers(words, start, stop, deltas, out, position)
        ends[block + 1] = position


@compiled
def _put_head(kind: int, times: Bytes, start: int, stop: int, out: Bytes, position: int) -> int:
    """Write what comes before the values of a block, with room for its CRC; return the position after it."""
    out[position + CRC_BYTES] = np.uint8(kind)
    position = put_uvarint(out, position + CRC_BYTES + 1, np.uint64(stop - start))
    return put_bytes(out, position, times, start, stop)


def _put_string_blocks(values: pl.Series, times: BlockTimes, out: Bytes, ends: Integers) -> None:
    """Write blocks as ``_put_blocks`` does."""
    position = int(ends[0])
    time_start = 0
    for block, time_end in enumerate(times.ends.tolist()):
        position = _put_head(_STRING, times.encoded, time_start, time_end, out, position)
        position = put_strings(values.slice(block * BLOCK_POINTS, BLOCK_POINTS), out, position)
        ends[block + 1] = position
        time_start = time_end
