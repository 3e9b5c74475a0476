"""Numbers the texts that line protocol repeats: series, measurements and field keys.

They are compared as they are written, with their escapes, and looked up without making Python objects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loader.encoding.arrays import Bytes, Integers, Mask, Words
from loader.encoding.compiled import allocation_free, inlined
from loader.encoding.line_protocol.texts import WORD_SIZE, ByteWords, byte_words

SERIES, MEASUREMENT_NAME, FIELD = 0, 1, 2
"""Owners of names: that of a field is FIELD plus the number of its measurement."""
FULL = -1
_EMPTY = -1
_NUMBERS, _TEXT = 0, 1
_NAMES, _BYTES = 1_024, 65_536
_MIX, _HALF = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(32)


class Names(NamedTuple):
    """Name ``i`` is the bytes ``bounds[i]`` to ``bounds[i + 1]`` of ``text``; there are ``total[0]``.

    ``total[1]`` tells what was missing when there was no room.
    The same bytes with different ``owners`` are different names. ``slots`` is a hash table of numbers, at least half
    empty. ``measurements`` has the measurement of each series, ``followers`` the name that came after each name when it
    was last seen: a guess, which may be a name that no longer exists. A name takes about 60 bytes, and its text.
    """

    slots: Integers
    hashes: Words
    owners: Integers
    measurements: Integers
    followers: Integers
    bounds: Integers
    text: Bytes
    words: ByteWords
    total: Integers


def new_names(names: int = _NAMES, size: int = _BYTES) -> Names:
    """Return a table with room for ``names``, a power of two, of ``size`` bytes together."""
    text = np.zeros(size + WORD_SIZE, np.uint8)
    return Names(
        np.full(2 * names, _EMPTY, np.int64),
        np.zeros(names, np.uint64),
        np.zeros(names, np.int64),
        np.zeros(names, np.int64),
        np.full(names, _EMPTY, np.int64),
        np.zeros(names + 1, np.int64),
        text,
        byte_words(text),
        np.zeros(2, np.int64),
    )


def enlarge(names: Names) -> Names:
    """Return a copy of ``names`` with twice the room for what did not fit: names or text."""
    count, room, size = int(names.total[0]), len(names.hashes), len(names.text) - WORD_SIZE
    larger = new_names(room, 2 * size) if names.total[1] == _TEXT else new_names(2 * room, size)
    larger.hashes[:count] = names.hashes[:count]
    larger.owners[:count] = names.owners[:count]
    larger.measurements[:count] = names.measurements[:count]
    larger.followers[:count] = names.followers[:count]
    larger.bounds[: count + 1] = names.bounds[: count + 1]
    larger.text[: names.bounds[count]] = names.text[: names.bounds[count]]
    larger.total[0] = count
    _fill_slots(larger.slots, larger.hashes, count)
    return larger


@allocation_free
def _fill_slots(slots: Integers, hashes: Words, count: int) -> None:
    mask = np.uint64(len(slots) - 1)
    for number in range(count):
        slot = np.int64(hashes[number] & mask)
        while slots[slot] != _EMPTY:
            slot = (slot + 1) & np.int64(mask)
        slots[slot] = number


@inlined
def same_bytes(words: ByteWords, at: int, others: ByteWords, other: int, size: int) -> bool:
    """Tell whether ``size`` bytes from ``at`` on and from ``other`` on are the same."""
    while size >= 8:
        if words[at]["word"] != others[other]["word"]:
            return False
        at += 8
        other += 8
        size -= 8
    if size > 0:
        different = words[at]["word"] ^ others[other]["word"]
        return bool(different << np.uint64(8 * (8 - size)) == np.uint64(0))
    return True


@inlined
def is_name(names: Names, number: int, owner: int, words: ByteWords, at: int, room: int) -> bool:
    """Tell whether ``number`` is a name of ``owner``, of up to ``room`` bytes, that is written at byte ``at``."""
    if number < 0 or number >= names.total[0] or names.owners[number] != owner:
        return False
    start = names.bounds[number]
    size = names.bounds[number + 1] - start
    return size <= room and same_bytes(names.words, start, words, at, size)


@allocation_free
def find_or_add(names: Names, owner: int, words: ByteWords, start: int, stop: int) -> int:
    """Return the number of the name of ``owner`` at ``start`` to ``stop``, added if it is new; FULL without room."""
    size = stop - start
    mixed = np.uint64(owner + 1) * _MIX ^ np.uint64(size)
    at = start
    while at + 8 <= stop:
        mixed = (mixed ^ words[at]["word"]) * _MIX
        mixed ^= mixed >> _HALF
        at += 8
    if at < stop:
        mixed = (mixed ^ words[at]["word"] << np.uint64(8 * (8 - (stop - at)))) * _MIX
        mixed ^= mixed >> _HALF
    mask = len(names.slots) - 1
    slot = np.int64(mixed & np.uint64(mask))
    while names.slots[slot] != _EMPTY:
        number = names.slots[slot]
        same_size = names.bounds[number + 1] - names.bounds[number] == size
        if same_size and names.hashes[number] == mixed and is_name(names, number, owner, words, start, size):
            return int(number)
        slot = (slot + 1) & mask
    count = names.total[0]
    begin = names.bounds[count]
    if count == len(names.hashes) or begin + size + WORD_SIZE > len(names.text):
        names.total[1] = _NUMBERS if count == len(names.hashes) else _TEXT
        return FULL
    for place in range(0, size, 8):
        names.words[begin + place]["word"] = words[start + place]["word"]
    names.slots[slot] = count
    names.hashes[count] = mixed
    names.owners[count] = owner
    names.followers[count] = _EMPTY
    names.bounds[count + 1] = begin + size
    names.total[0] = count + 1
    return int(count)


@allocation_free
def add_again(
    names: Names,
    words: ByteWords,
    bounds: Integers,
    owners: Integers,
    measurements: Integers,
    known: int,
    kept: Mask,
    moved: Integers,
) -> None:
    """Add again the names that are ``kept``, of those after the first ``known``, which were all forgotten.

    ``words``, ``bounds``, ``owners`` and ``measurements`` are copies of theirs; ``moved`` gets their new numbers.
    """
    for item in range(len(kept)):
        if kept[item]:
            owner = owners[item]
            if owner >= FIELD + known:
                owner = FIELD + moved[owner - FIELD - known]
            moved[item] = find_or_add(names, owner, words, bounds[item], bounds[item + 1])
    for item in range(len(kept)):
        if kept[item] and owners[item] == SERIES:
            measurement = measurements[item]
            names.measurements[moved[item]] = moved[measurement - known] if measurement >= known else measurement


@allocation_free
def forget(names: Names, count: int) -> None:
    """Forget all names except the first ``count``, the last one first, so that each slot is as it was before."""
    mask = len(names.slots) - 1
    for number in range(names.total[0] - 1, count - 1, -1):
        slot = np.int64(names.hashes[number] & np.uint64(mask))
        while names.slots[slot] != number:
            slot = (slot + 1) & mask
        names.slots[slot] = _EMPTY
    names.total[0] = count
