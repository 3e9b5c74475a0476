"""Finds the blocks of fields in the storage files of a shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.schema import Field, FieldType
from loader.encoding.arrays import Bytes, Integers, Mask
from loader.encoding.compiled import compiled
from loader.encoding.escaping import MEASUREMENT
from loader.encoding.tsm.decode.fields import Source, StoredField
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.layout import BLOCK_TYPES, FIELD_SEPARATOR

_KINDS = {number: kind for kind, number in BLOCK_TYPES.items()}
_HASH, _BANG, _TILDE = FIELD_SEPARATOR[:3]
_COMMA = ord(",")


@dataclass(frozen=True)
class _Keys:
    """The keys of a file that belong to one of the fields: number of the key, of the field, and of the series."""

    keys: Integers
    fields: Integers
    series: Integers


def gather_fields(sources: Sequence[Source], measurement: str, fields: Sequence[Field]) -> list[StoredField]:
    """Return where the values of each of ``fields`` are in ``sources``, which are in the order of their age.

    Memory is 40 bytes a key, and the texts of all series.
    """
    head = MEASUREMENT.escape(measurement).encode()
    names = [field.column.encode() for field in fields]
    ends = np.cumsum([0, *map(len, names)])
    flat = [np.frombuffer(text, np.uint8) for text in (head, b"".join(names))]
    found, texts = [], [pl.Series(dtype=pl.Binary)]
    for source in sources:
        keys, part = _find_keys(source.file, flat[0], flat[1], ends)
        found.append(keys)
        texts.append(part)
    every = pl.concat(texts).unique().sort()
    numbers = [_numbers(part, every) for part in texts[1:]]
    numbered = [replace(keys, series=mine[keys.series]) for keys, mine in zip(found, numbers, strict=True)]
    series = every.to_list()
    deletions = _deletions(sources, names, series)
    return [
        _stored(field.type, which, sources, series, numbered, deletions.get(which, []))
        for which, field in enumerate(fields)
    ]


def gather_field(sources: Sequence[Source], measurement: str, field: Field) -> StoredField:
    """Return where the values of ``field`` are, as ``gather_fields`` does for many."""
    return gather_fields(sources, measurement, [field])[0]


def _find_keys(file: StoredFile, head: Bytes, names: Bytes, ends: Integers) -> tuple[_Keys, pl.Series]:
    """Return the keys of ``file`` in the measurement ``head`` and one of the fields, and the texts of their series."""
    number = len(file.types)
    fields, series_stops, begins = np.empty(number, np.int64), np.empty(number, np.int64), np.empty(number, np.bool_)
    _match(file.data, file.key_starts, file.key_stops, head, names, ends, fields, series_stops, begins)
    keys = np.flatnonzero(fields >= 0)
    firsts = keys[begins[keys]]
    starts, stops = file.key_starts[firsts], series_stops[firsts]
    bounds = np.append(0, np.cumsum(stops - starts))
    text = np.empty(bounds[-1], np.uint8)
    _copy(file.data, starts, bounds, text)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(text)]
    texts = pl.Series(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(firsts), buffers), dtype=pl.Binary)
    return _Keys(keys, fields[keys], np.cumsum(begins[keys]) - 1), texts


def _numbers(texts: pl.Series, every: pl.Series) -> Integers:
    """Return the position of each of ``texts`` in ``every``."""
    known = pl.DataFrame({"text": every, "number": pl.int_range(len(every), eager=True)})
    found: Integers = (
        pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")["number"].to_numpy()
    )
    return found


def _deletions(
    sources: Sequence[Source], names: Sequence[bytes], series: Sequence[bytes]
) -> dict[int, list[tuple[int, int, int, int]]]:
    """Return origin, number of the series, first and last time of what is deleted of each field."""
    deletions = defaultdict(list)
    if any(source.tombstones for source in sources):
        wanted = {name: number for number, name in enumerate(names)}
        numbers = {text: number for number, text in enumerate(series)}
        for origin, source in enumerate(sources):
            for key, first, last in source.tombstones:
                text, _, name = key.partition(FIELD_SEPARATOR)
                if name in wanted and text in numbers:
                    deletions[wanted[name]].append((origin, numbers[text], first, last))
    return deletions


def _stored(
    kind: FieldType,
    which: int,
    sources: Sequence[Source],
    series: list[bytes],
    found: Sequence[_Keys],
    deletions: Sequence[tuple[int, int, int, int]],
) -> StoredField:
    mine = [keys.fields == which for keys in found]
    right = [
        mask & (source.file.types[keys.keys] == BLOCK_TYPES[kind])
        for mask, keys, source in zip(mine, found, sources, strict=True)
    ]
    mistyped = {}
    for mask, ours, keys, source in zip(mine, right, found, sources, strict=True):
        for place in np.flatnonzero(mask & ~ours).tolist():
            other = _KINDS.get(int(source.file.types[keys.keys[place]]))
            if other:
                mistyped[series[keys.series[place]]] = other
    present = np.zeros(len(series), np.bool_)
    for mask, keys in zip(right, found, strict=True):
        present[keys.series[mask]] = True
    # Fields that are in all series share the list, so that it is compared at once.
    held = series if present.all() else [series[number] for number in np.flatnonzero(present).tolist()]
    places = np.cumsum(present) - 1
    tables = [
        _blocks(places[keys.series[mask]], origin, source.file, keys.keys[mask])
        for origin, (mask, keys, source) in enumerate(zip(right, found, sources, strict=True))
    ]
    deleted = defaultdict(list)
    for origin, number, first, last in deletions:
        if present[number]:
            deleted[origin, int(places[number])].append((first, last))
    table, mixed = _in_order(np.concatenate([np.empty((5, 0), np.int64), *tables], axis=1), len(held))
    owners, origins, blocks, first, last = table
    return StoredField(kind, sources, held, owners, origins, blocks, first, last, mixed, dict(deleted), mistyped)


def _blocks(owners: Integers, origin: int, file: StoredFile, keys: Integers) -> Integers:
    """Return an array with rows owner, origin, number, first and last time of the blocks of ``keys`` of a file."""
    starts, counts = file.bounds[keys], file.bounds[keys + 1] - file.bounds[keys]
    blocks = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    return np.stack(
        [np.repeat(owners, counts), np.full_like(blocks, origin), blocks, file.first[blocks], file.last[blocks]]
    )


def _in_order(table: Integers, series: int) -> tuple[Integers, Mask]:
    """Return the blocks in the order of StoredField, and for which of the ``series`` blocks overlap."""
    owners, origins, _, first, last = table = table[:, np.lexsort((table[3], table[0]))]
    mixed = np.zeros(series, np.bool_)
    mixed[owners[1:][(owners[1:] == owners[:-1]) & (first[1:] <= last[:-1])]] = True
    age = np.where(mixed[owners], origins, 0)
    return table[:, np.lexsort((first, age, owners))], mixed


@compiled
def _match(
    data: Bytes,
    starts: Integers,
    stops: Integers,
    head: Bytes,
    names: Bytes,
    ends: Integers,
    fields: Integers,
    series_stops: Integers,
    begins: Mask,
) -> None:
    """Set for each key the number of its field, -1 for none of these, where its series ends, and if that is a new one.

    A key is of a field if its series is in the measurement ``head``, and the name behind the first separator is that of
    the field: name ``i`` is ``names[ends[i]:ends[i + 1]]``.
    """
    count = len(ends) - 1
    guess = former_start = former_stop = 0
    for key in range(len(fields)):
        start, stop = starts[key], stops[key]
        middle = _find_separator(data, start, stop)
        fields[key], series_stops[key], begins[key] = -1, middle, False
        behind = start + len(head)
        if (
            middle < behind
            or not _equal(data, start, head, 0, len(head))
            or (middle > behind and data[behind] != _COMMA)
        ):
            continue
        name = middle + len(FIELD_SEPARATOR)
        for step in range(count):
            # Mostly, the next key is of the next field.
            number = guess + step
            if number >= count:
                number -= count
            if ends[number + 1] - ends[number] == stop - name and _equal(data, name, names, ends[number], stop - name):
                same = former_stop - former_start == middle - start
                begins[key] = not (same and _equal(data, start, data, former_start, middle - start))
                former_start, former_stop = start, middle
                fields[key] = number
                guess = number + 1 if number + 1 < count else 0
                break


@compiled
def _find_separator(data: Bytes, start: int, stop: int) -> int:
    """Return where the first separator begins, -1 where there is none."""
    for at in range(start, stop - 3):
        if data[at] == _HASH and data[at + 1] == _BANG and data[at + 2] == _TILDE and data[at + 3] == _HASH:
            return at
    return -1


@compiled
def _equal(left: Bytes, left_at: int, right: Bytes, right_at: int, size: int) -> bool:
    """Tell whether ``size`` bytes of both are equal."""
    place = 0
    while place < size and left[left_at + place] == right[right_at + place]:
        place += 1
    return place == size


@compiled
def _copy(data: Bytes, starts: Integers, bounds: Integers, out: Bytes) -> None:
    """Copy the bytes from each of ``starts`` on to ``out``, from ``bounds[i]`` to ``bounds[i + 1]``."""
    for number in range(len(starts)):
        for place in range(bounds[number + 1] - bounds[number]):
            out[bounds[number] + place] = data[starts[number] + place]
