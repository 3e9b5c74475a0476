"""The blocks of one key: timestamps and values of one field of one series."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loader.dataset.schema import FieldType
from loader.encoding.tsm.bits import Bytes, Integers, Words, put_bytes, put_uvarint
from loader.encoding.tsm.compiled import compiled
from loader.encoding.tsm.layout import BLOCK_POINTS, BLOCK_TYPES, CRC_BYTES
from loader.encoding.tsm.numbers import (
    MOST_BYTES_A_BLOCK,
    MOST_BYTES_A_VALUE,
    put_booleans,
    put_floats,
    put_integers,
)
from loader.encoding.tsm.strings import encode_strings
from loader.encoding.tsm.timestamps import encode_times

_FLOAT = BLOCK_TYPES[FieldType.FLOAT]
_BOOLEAN = BLOCK_TYPES[FieldType.BOOLEAN]
_STRING = BLOCK_TYPES[FieldType.STRING]
_UVARINT_BYTES = 10


@dataclass(frozen=True)
class BlockTimes:
    """The timestamps of a series' blocks, encoded once for all its fields; ``ends`` says where each block's end."""

    times: Integers
    encoded: Bytes
    ends: Integers

    @classmethod
    def encode(cls, times: Integers) -> BlockTimes:
        """Encode ``times``, nanoseconds that increase strictly."""
        return cls(times, *encode_times(times))

    @property
    def first(self) -> Integers:
        """First time of each block."""
        return self.times[::BLOCK_POINTS]

    @property
    def last(self) -> Integers:
        """Last time of each block."""
        return np.append(self.times[BLOCK_POINTS - 1 : -1 : BLOCK_POINTS], self.times[-1])


def encode_blocks(times: BlockTimes, kind: FieldType, values: pa.Array) -> tuple[memoryview, Integers]:
    """Return the blocks of ``values`` (none null, one for each time), CRCs included, and where each ends.

    Arrow types are float64, int64, uint64, bool or large_string, by ``kind``. Memory is bounded by about 20 bytes a
    number, and for strings by their size twice.
    """
    if kind is FieldType.STRING:
        out, ends = _join_strings(times, values)
    else:
        blocks = len(times.ends)
        most = blocks * (CRC_BYTES + 1 + _UVARINT_BYTES + MOST_BYTES_A_BLOCK) + MOST_BYTES_A_VALUE * len(values)
        out, ends = np.empty(len(times.encoded) + most, np.uint8), np.empty(blocks, np.int64)
        _put_blocks(BLOCK_TYPES[kind], _words(kind, values), times.encoded, times.ends, out, ends)
    view = out.data
    start = 0
    for end in ends.tolist():
        view[start : start + CRC_BYTES] = zlib.crc32(view[start + CRC_BYTES : end]).to_bytes(CRC_BYTES)
        start = end
    return view[:start], ends


def _words(kind: FieldType, values: pa.Array) -> Words:
    """Return what the kernels take: bits of floats, zigzag deltas of integers, 0 or 1 of booleans."""
    words: Words
    if kind is FieldType.BOOLEAN:
        words = values.to_numpy(zero_copy_only=False).astype(np.uint64)
    elif kind is FieldType.FLOAT:
        words = values.to_numpy().view(np.uint64)
    else:
        signed = values.to_numpy().view(np.int64)
        deltas = np.empty_like(signed)
        np.subtract(signed[1:], signed[:-1], out=deltas[1:])
        deltas[::BLOCK_POINTS] = signed[::BLOCK_POINTS]
        words = ((deltas << 1) ^ (deltas >> 63)).view(np.uint64)
    words.setflags(write=False)  # as Arrow's are: one type, compiled once
    return words


@compiled
def _put_blocks(kind: int, words: Words, times: Bytes, time_ends: Integers, out: Bytes, ends: Integers) -> None:
    """Write all blocks, with room for their CRCs."""
    position = 0
    time_start = 0
    for block in range(len(time_ends)):
        time_end = time_ends[block]
        out[position + CRC_BYTES] = np.uint8(kind)
        position = put_uvarint(out, position + CRC_BYTES + 1, np.uint64(time_end - time_start))
        position = put_bytes(out, position, times, time_start, time_end)
        start = block * BLOCK_POINTS
        stop = min(start + BLOCK_POINTS, len(words))
        if kind == _FLOAT:
            position = put_floats(words, start, stop, out, position)
        elif kind == _BOOLEAN:
            position = put_booleans(words, start, stop, out, position)
        else:
            position = put_integers(words, start, stop, out, position)
        ends[block] = position
        time_start = time_end


def _join_strings(times: BlockTimes, values: pa.LargeStringArray) -> tuple[Bytes, Integers]:
    """Return the blocks of strings, with room for their CRCs, and where each ends."""
    out = bytearray()
    ends = []
    time_start = 0
    for block, time_end in enumerate(times.ends.tolist()):
        head = np.empty(_UVARINT_BYTES, np.uint8)
        size = put_uvarint(head, 0, np.uint64(time_end - time_start))
        out += bytes(CRC_BYTES) + bytes([_STRING]) + head[:size].tobytes()
        out += times.encoded[time_start:time_end].tobytes()
        out += encode_strings(values.slice(block * BLOCK_POINTS, BLOCK_POINTS))
        ends.append(len(out))
        time_start = time_end
    return np.frombuffer(out, np.uint8), np.array(ends, np.int64)
