"""Encodes all keys of consecutive series: the blocks of each field, and the entries of the index."""

from __future__ import annotations

import numpy as np

from loader.dataset.schema import FieldType
from loader.encoding.arrays import Bytes, Integers, Mask, Places, Words
from loader.encoding.compiled import compiled
from loader.encoding.tsm.checksum import checksum
from loader.encoding.tsm.encode.bits import put_bytes, put_uvarint, put_word
from loader.encoding.tsm.encode.numbers import (
    MOST_BYTES_A_BLOCK,
    MOST_BYTES_A_VALUE,
    put_booleans,
    put_floats,
    put_integers,
)
from loader.encoding.tsm.encode.timestamps import put_times
from loader.encoding.tsm.layout import BLOCK_POINTS, BLOCK_TYPES, CRC_BYTES, INDEX_BLOCK, INDEX_KEY, KEY_LENGTH

FLOAT = BLOCK_TYPES[FieldType.FLOAT]
BOOLEAN = BLOCK_TYPES[FieldType.BOOLEAN]
STRING = BLOCK_TYPES[FieldType.STRING]
ENTRY_BYTES = INDEX_BLOCK.itemsize
_HEAD_BYTES = KEY_LENGTH.size + INDEX_KEY.size
_TIME_BYTES = 8
_TIMES_BYTES = 9
_SIZE_BYTES = 4
_BYTE = 0xFF


def most_block_bytes(values: int, blocks: int) -> int:
    """Return how many bytes ``blocks`` blocks of ``values`` numbers need at most."""
    head = CRC_BYTES + 1 + _TIMES_BYTES + 10 + MOST_BYTES_A_BLOCK
    return values * (_TIME_BYTES + MOST_BYTES_A_VALUE) + blocks * head


def most_index_bytes(series: int, series_bytes: int, fields: int, field_bytes: int, blocks: int) -> int:
    """Return how many bytes the index of ``series`` series, each with ``fields`` fields, needs at most."""
    return series_bytes * fields + series * (field_bytes + fields * _HEAD_BYTES) + blocks * ENTRY_BYTES


def most_shared_bytes(points: int) -> int:
    """Return how many bytes ``put_keys`` needs at most to keep the times of a series of ``points`` points."""
    return _TIME_BYTES * points + (_TIMES_BYTES + _SIZE_BYTES) * -(-points // BLOCK_POINTS)


@compiled
def put_keys(
    rows: Places,
    bounds: Integers,
    repeated: Mask,
    times: Integers,
    words: Words,
    present: Mask,
    kinds: Integers,
    keys: Bytes,
    key_ends: Integers,
    names: Bytes,
    name_ends: Integers,
    texts: Bytes,
    text_blocks: Integers,
    first: int,
    last: int,
    shared: Bytes,
    content: Bytes,
    index: Bytes,
    places: Integers,
    counts: Integers,
) -> None:
    """Write the blocks and the index of series ``first`` to ``last`` (exclusive), key by key.

    Series ``i`` has rows ``rows[bounds[i]:bounds[i + 1]]`` in time order, some of equal time where ``repeated``; a
    later one of equal time replaces the value of an earlier one. The bytes of its key end at ``key_ends[i + 1]``, those
    of a field's name at ``name_ends[field + 1]``. ``words`` and ``present`` are those of ``Rows``; ``kinds`` are
    types of blocks. Blocks of strings are in ``content`` already: ``texts`` has their entries, and ``text_blocks`` how
    many each key has. ``shared`` has room for the encoded times of the longest series.

    ``places`` is where to go on in content, index, texts and text blocks, and is moved on; ``counts`` of values of each
    field are added to. A field without values is left out.
    """
    deltas = np.empty(BLOCK_POINTS, np.uint64)
    block_times = np.empty(BLOCK_POINTS, np.int64)
    block_rows = np.empty(BLOCK_POINTS, np.int32)
    block_words = np.empty(BLOCK_POINTS, np.uint64)
    own = np.empty(_TIME_BYTES * BLOCK_POINTS + _TIMES_BYTES, np.uint8)
    position, entry, text, text_key = places[0], places[1], places[2], places[3]
    nulls = present.shape[1] > 0
    for series in range(first, last):
        start, stop = bounds[series], bounds[series + 1]
        encoded = False
        for field in range(len(kinds)):
            kind = kinds[field]
            head = entry
            entry = _put_key(keys, key_ends, series, names, name_ends, field, kind, index, entry)
            blocks, entries = 0, entry
            if kind == STRING:
                blocks = text_blocks[text_key]
                size = blocks * ENTRY_BYTES
                text_key += 1
                entry = put_bytes(index, entry, texts, text, text + size)
                text += size
            else:
                whole = not repeated[series] and not (nulls and _lacks_some(present[field], rows, start, stop))
                if whole and not encoded:  # the times of a series are encoded once for all its fields
                    _put_all_times(times, rows, start, stop, block_times, deltas, shared)
                    encoded = True
                time_at, at = 0, start
                while at < stop:
                    if whole:
                        number = min(BLOCK_POINTS, stop - at)
                        _take(rows, at, number, block_rows)
                        at += number
                        time_stop = time_at + _SIZE_BYTES + _get_size(shared, time_at)
                        end = put_head(kind, shared, time_at + _SIZE_BYTES, time_stop, content, position)
                        time_at = time_stop
                    else:
                        at, number = next_block(rows, at, stop, times, present[field], nulls, block_times, block_rows)
                        if not number:
                            break
                        size = put_times(block_times.view(np.uint64), 0, number, deltas, own, 0)
                        end = put_head(kind, own, 0, size, content, position)
                    _gather(words[1 + field], block_rows, number, block_words)
                    end = _put_values(kind, block_words, number, deltas, content, position, end)
                    first_time, last_time = times[block_rows[0]], times[block_rows[number - 1]]
                    entry = _put_entry(index, entry, first_time, last_time, position, end)
                    blocks += 1
                    counts[field] += number
                    position = end
            entry = _close_key(index, head, entries, entry, blocks)
    places[0], places[1], places[2], places[3] = position, entry, text, text_key


@compiled
def _take(rows: Places, start: int, number: int, block_rows: Places) -> None:
    for place in range(number):
        block_rows[place] = rows[start + place]


@compiled
def _gather(words: Words, block_rows: Places, number: int, block_words: Words) -> None:
    for place in range(number):
        block_words[place] = words[block_rows[place]]


@compiled
def _put_key(
    keys: Bytes,
    key_ends: Integers,
    series: int,
    names: Bytes,
    name_ends: Integers,
    field: int,
    kind: int,
    index: Bytes,
    entry: int,
) -> int:
    """Write a key, its type, and room for the number of its blocks; return the position after it."""
    size = key_ends[series + 1] - key_ends[series] + name_ends[field + 1] - name_ends[field]
    index[entry] = np.uint8(size >> 8)
    index[entry + 1] = np.uint8(size & _BYTE)
    entry = put_bytes(index, entry + 2, keys, key_ends[series], key_ends[series + 1])
    entry = put_bytes(index, entry, names, name_ends[field], name_ends[field + 1])
    index[entry] = np.uint8(kind)
    return entry + 3


@compiled
def _lacks_some(present: Mask, rows: Places, start: int, stop: int) -> bool:
    """Tell whether a value of ``rows[start:stop]`` is null."""
    place = start
    while place < stop and present[rows[place]]:
        place += 1
    return place < stop


@compiled
def _close_key(index: Bytes, head: int, entries: int, entry: int, blocks: int) -> int:
    """Write the number of blocks of the key at ``head``, before its ``entries``; without any, there is no key."""
    if not blocks:
        return head
    index[entries - 2] = np.uint8(blocks >> 8)
    index[entries - 1] = np.uint8(blocks & _BYTE)
    return entry


@compiled
def next_block(
    rows: Places,
    at: int,
    stop: int,
    times: Integers,
    present: Mask,
    nulls: bool,
    block_times: Integers,
    block_rows: Places,
) -> tuple[int, int]:
    """Gather the next points of ``rows[at:stop]`` that have a value, at most a block.

    Returns where to go on, and how many there are. Of rows of equal time, the last one that has a value is taken.
    """
    number = 0
    while at < stop:
        row = rows[at]
        if not nulls or present[row]:
            if number and times[row] == block_times[number - 1]:
                block_rows[number - 1] = row
            elif number == BLOCK_POINTS:
                break
            else:
                block_times[number] = times[row]
                block_rows[number] = row
                number += 1
        at += 1
    return at, number


@compiled
def put_head(kind: int, times: Bytes, start: int, stop: int, out: Bytes, position: int) -> int:
    """Write what comes before the values of a block, with room for its CRC; return the position after it."""
    out[position + CRC_BYTES] = np.uint8(kind)
    position = put_uvarint(out, position + CRC_BYTES + 1, np.uint64(stop - start))
    return put_bytes(out, position, times, start, stop)


@compiled
def _put_values(kind: int, words: Words, number: int, deltas: Words, content: Bytes, block: int, position: int) -> int:
    """Write the values of the block that begins at ``block``, and its CRC; return the position after it."""
    if kind == FLOAT:
        position = put_floats(words, 0, number, content, position)
    elif kind == BOOLEAN:
        position = put_booleans(words, 0, number, content, position)
    else:
        position = put_integers(words, 0, number, deltas, content, position)
    _put_size(content, block, np.uint64(checksum(content, block + CRC_BYTES, position)))
    return position


@compiled
def _put_entry(index: Bytes, entry: int, first: int, last: int, start: int, stop: int) -> int:
    """Write the entry of the block from ``start`` to ``stop``; return the position after it."""
    entry = put_word(index, entry, np.uint64(first))
    entry = put_word(index, entry, np.uint64(last))
    entry = put_word(index, entry, np.uint64(start))
    return _put_size(index, entry, np.uint64(stop - start))


@compiled
def _put_all_times(
    times: Integers, rows: Places, start: int, stop: int, block_times: Integers, deltas: Words, out: Bytes
) -> None:
    """Write the encoded times of all blocks of a series, the size of each before it."""
    position, at = 0, start
    while at < stop:
        number = min(BLOCK_POINTS, stop - at)
        for place in range(number):
            block_times[place] = times[rows[at + place]]
        end = put_times(block_times.view(np.uint64), 0, number, deltas, out, position + _SIZE_BYTES)
        _put_size(out, position, np.uint64(end - position - _SIZE_BYTES))
        position = end
        at += number


@compiled
def _put_size(out: Bytes, position: int, word: np.uint64) -> int:
    """Write the lower four bytes of ``word``, big-endian; return the position after them."""
    place = np.uint64(position)
    out[place] = np.uint8(word >> np.uint64(24) & np.uint64(_BYTE))
    out[place + np.uint64(1)] = np.uint8(word >> np.uint64(16) & np.uint64(_BYTE))
    out[place + np.uint64(2)] = np.uint8(word >> np.uint64(8) & np.uint64(_BYTE))
    out[place + np.uint64(3)] = np.uint8(word & np.uint64(_BYTE))
    return position + _SIZE_BYTES


@compiled
def _get_size(out: Bytes, position: int) -> int:
    """Read what ``_put_size`` wrote."""
    size = 0
    for place in range(position, position + _SIZE_BYTES):
        size = size << 8 | int(out[place])
    return size
