"""Encodes the blocks of strings: each string with its length before it, compressed together by snappy.

Source: ``tsdb/engine/tsm1/string.go`` of InfluxDB 2.x.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loader.encoding.arrays import Bytes, Integers, Mask, Places, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.encode.bits import put_bytes, put_uvarint
from loader.encoding.tsm.encode.buffer import Buffer
from loader.encoding.tsm.encode.keys import STRING, next_block, put_head
from loader.encoding.tsm.encode.order import RowOrder
from loader.encoding.tsm.encode.rows import Rows
from loader.encoding.tsm.encode.timestamps import put_times
from loader.encoding.tsm.layout import BLOCK_POINTS, CRC_BYTES

_SNAPPY = b"\x10"
_ENTRY = struct.Struct(">qqqI")
_SCRATCH_BYTES = 1 << 20
_MOST_BLOCKS = 1_000
_LENGTH_BYTES = 10
_HEAD_BYTES = 32 + 8 * BLOCK_POINTS


@dataclass(frozen=True)
class TextBlocks:
    """Blocks of strings that are in a file: ``entries`` of the index, how many each key has, where the last one ends.

    ``counts`` is the number of values of each field.
    """

    entries: Bytes
    blocks: Integers
    stop: int
    counts: Integers


def put_text_blocks(rows: Rows, order: RowOrder, content: Buffer, position: int) -> TextBlocks:
    """Write the blocks of all strings of ``rows`` to ``content`` from ``position`` on, by series and field.

    Of rows of equal time, the last one that has a value is taken. Memory is twice that of a block, or _SCRATCH_BYTES.
    """
    fields = rows.strings
    counts = np.zeros(len(rows.fields), np.int64)
    blocks = np.zeros((len(order.bounds) - 1) * len(fields), np.int64)
    entries: list[bytes] = []
    # The series and the field that are next, and from which of its rows on.
    state = np.array([0, 0, order.bounds[0]])
    scratch: Bytes = np.empty(_SCRATCH_BYTES, np.uint8)
    found = np.empty((_MOST_BLOCKS, 4), np.int64)
    series = len(order.bounds) - 1 if len(fields) else 0
    while state[0] < series:
        number = _put_plain(
            order.rows,
            order.bounds,
            rows.times,
            rows.words,
            rows.present,
            fields,
            len(rows.fields),
            rows.texts,
            state,
            blocks,
            counts,
            scratch,
            found,
        )
        if number < 0:  # the next block alone needs more
            scratch = np.empty(-number, np.uint8)
            continue
        start = 0
        for times_stop, plain_stop, first, last in found[:number].tolist():
            packed = pa.compress(scratch[times_stop:plain_stop], codec="snappy", asbytes=True)
            body = scratch[start + CRC_BYTES : times_stop].tobytes() + _SNAPPY + packed
            size = CRC_BYTES + len(body)
            target = content.reserve(position + size, kept=position).data
            target[position : position + CRC_BYTES] = zlib.crc32(body).to_bytes(CRC_BYTES)
            target[position + CRC_BYTES : position + size] = body
            entries.append(_ENTRY.pack(first, last, position, size))
            position += size
            start = plain_stop
    return TextBlocks(np.frombuffer(b"".join(entries), np.uint8), blocks, position, counts)


@compiled
def _put_plain(
    rows: Places,
    bounds: Integers,
    times: Integers,
    words: Words,
    present: Mask,
    strings: Integers,
    fields: int,
    texts: Bytes,
    state: Integers,
    blocks: Integers,
    counts: Integers,
    out: Bytes,
    found: Integers,
) -> int:
    """Write the next blocks to ``out``, not compressed, as many as there is room for; return how many.

    ``found`` tells of each where its times and its strings end, and its first and last time. ``state`` is the next
    series and field of strings, and where its rows go on, and is moved on. Returns the bytes that are needed, negative,
    if no block has room.
    """
    deltas = np.empty(BLOCK_POINTS, np.uint64)
    block_times = np.empty(BLOCK_POINTS, np.int64)
    block_rows = np.empty(BLOCK_POINTS, np.int32)
    own = np.empty(9 + 8 * BLOCK_POINTS, np.uint8)
    nulls = present.shape[1] > 0
    position = number = needed = 0
    series, place, at = state[0], state[1], state[2]
    while series < len(bounds) - 1:
        field = strings[place]
        begin, end = 1 + field, 1 + fields + place
        after, count = next_block(rows, at, bounds[series + 1], times, present[field], nulls, block_times, block_rows)
        if not count:
            place += 1
            if place == len(strings):
                series, place = series + 1, 0
            at = bounds[series]
            continue
        needed = _HEAD_BYTES
        for index in range(count):
            needed += _LENGTH_BYTES + int(words[end, block_rows[index]] - words[begin, block_rows[index]])
        if number == len(found) or position + needed > len(out):
            break
        size = put_times(block_times.view(np.uint64), 0, count, deltas, own, 0)
        position = put_head(STRING, own, 0, size, out, position)
        found[number, 0] = position
        for index in range(count):
            start, stop = words[begin, block_rows[index]], words[end, block_rows[index]]
            position = put_uvarint(out, position, stop - start)
            position = put_bytes(out, position, texts, int(start), int(stop))
        found[number, 1] = position
        found[number, 2], found[number, 3] = block_times[0], block_times[count - 1]
        number += 1
        blocks[series * len(strings) + place] += 1
        counts[field] += count
        at = after
    state[0], state[1], state[2] = series, place, at
    return number if number else -needed
