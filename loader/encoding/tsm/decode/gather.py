"""Finds the blocks of fields in the storage files of a shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from loader.dataset.schema import Field, FieldType
from loader.encoding.arrays import Integers, Mask, Places
from loader.encoding.tsm.decode.columns import same_series
from loader.encoding.tsm.decode.fields import Source, StoredField
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.decode.keys import find_keys, find_numbers
from loader.encoding.tsm.layout import BLOCK_TYPES, FIELD_SEPARATOR, INDEX_BLOCK, INDEX_KEY

_KINDS = {number: kind for kind, number in BLOCK_TYPES.items()}
_KEY_REST, _BLOCK_BYTES = INDEX_KEY.size, INDEX_BLOCK.itemsize
_FIRST, _LAST = 2, 3
_Table = list[npt.NDArray[Any]]
"""Columns of blocks: series (Int32), number of the file (Int16), first and last time, place (all Int64)."""
_Deletion = tuple[int, int, int, int]
"""Origin, number of the series, first and last time."""


def gather_fields(sources: Sequence[Source], measurement: str, fields: Sequence[Field]) -> list[StoredField]:
    """Return where the values of each of ``fields`` are in ``sources``, which are in the order of their age.

    Memory is that of ``find_keys``, and for each block of a field 8 bytes, 14 or 22 more where another field does not
    have the same series and times, and some 60 more while they are put in order.
    """
    every, found = find_keys(sources, measurement, fields)
    deletions = _deletions(sources, fields, every)
    stored: list[StoredField] = []
    for which, field in enumerate(fields):
        mine = [keys.fields == which for keys in found]
        chosen = [(keys.stops[mask], keys.series[mask]) for keys, mask in zip(found, mine, strict=True)]
        stored.append(_stored(field.type, sources, every, chosen, deletions.get(which, ()), stored[-1:]))
    return stored


def gather_field(sources: Sequence[Source], measurement: str, field: Field) -> StoredField:
    """Return where the values of ``field`` are, as ``gather_fields`` does for many."""
    return gather_fields(sources, measurement, [field])[0]


def _deletions(
    sources: Sequence[Source], fields: Sequence[Field], every: pl.Series
) -> Mapping[int, Sequence[_Deletion]]:
    """Return what is deleted of each field."""
    wanted = {field.column.encode(): number for number, field in enumerate(fields)}
    texts, ranges = [], []
    for origin, source in enumerate(sources):
        for key, first, last in source.tombstones:
            text, _, name = key.partition(FIELD_SEPARATOR)
            if name in wanted:
                texts.append(text)
                ranges.append((wanted[name], origin, first, last))
    deletions = defaultdict(list)
    numbers = find_numbers(pl.Series(texts, dtype=pl.Binary), every).to_list() if texts else []
    for number, (field, origin, first, last) in zip(numbers, ranges, strict=True):
        if number is not None:
            deletions[field].append((origin, number, first, last))
    return deletions


def _stored(
    kind: FieldType,
    sources: Sequence[Source],
    every: pl.Series,
    chosen: list[tuple[Integers, Places]],
    deletions: Sequence[_Deletion],
    former: Sequence[StoredField],
) -> StoredField:
    """Return a field, of which ``chosen`` are the ends of keys and the series, by file.

    What is equal in the ``former`` field is held once. ``chosen`` is emptied, so that it is not held any longer.
    """
    mistyped: dict[bytes, FieldType] = {}
    present = np.zeros(len(every), np.bool_)
    tables = []
    for origin, source in enumerate(sources):
        stops, series = chosen[origin]
        types = source.file.data[stops]
        right = types == BLOCK_TYPES[kind]
        if not right.all():
            for number, other in zip(series[~right].tolist(), types[~right].tolist(), strict=True):
                if other in _KINDS:
                    mistyped[every[number]] = _KINDS[other]
            stops, series = stops[right], series[right]
        present[series] = True
        tables.append(_blocks(series, origin, source.file, stops))
        source.release()
    chosen.clear()
    held, places = every, np.arange(len(every), dtype=np.int32)
    if not present.all():
        held, places = every.filter(pl.Series(present)), np.cumsum(present, dtype=np.int32) - np.int32(1)
        for table in tables:
            table[0] = places[table[0]]
    deleted = defaultdict(list)
    for origin, number, first, last in deletions:
        if present[number]:
            deleted[origin, int(places[number])].append((first, last))
    columns, mixed = _in_order(tables, len(held))
    for other in former:
        held = other.series if same_series(other.series, held) else held
        shared: _Table = [other.owners, other.origins, other.first, other.last]
        columns[:4] = [old if np.array_equal(old, new) else new for old, new in zip(shared, columns, strict=False)]
    owners, origins, begins, ends, blocks = columns
    return StoredField(kind, sources, held, owners, origins, blocks, begins, ends, mixed, dict(deleted), mistyped)


def _blocks(series: Places, origin: int, file: StoredFile, stops: Integers) -> _Table:
    """Return series, origin, first and last time, and place of the blocks of the keys that end at ``stops``."""
    counts = file.data[stops + 1].astype(np.int64) << 8 | file.data[stops + 2]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(stops + _KEY_REST, counts) + within * _BLOCK_BYTES
    first, last = file.ranges(places)
    # Blocks of one point have one time, which is held once.
    last = first if np.array_equal(first, last) else last
    return [np.repeat(series, counts), np.full(len(places), origin, np.int16), first, last, places]


def _in_order(tables: list[_Table], series: int) -> tuple[_Table, Mask]:
    """Return the blocks in the order of StoredField, and for which of the ``series`` blocks overlap.

    ``tables`` are emptied, so that they are not held twice.
    """
    single = all(first is last for _, _, first, last, _ in tables)
    table: _Table = []
    for number, dtype in enumerate((np.int32, np.int16, np.int64, np.int64, np.int64)):
        shared = single and number == _LAST
        parts = [np.empty(0, dtype), *(part[number] for part in tables)]
        table.append(table[_FIRST] if shared else np.concatenate(parts))
    tables.clear()
    owners, _, first, *_ = table
    if not _ascend(owners, first):
        # Mostly, files are in the order of time.
        order = np.argsort(owners, kind="stable")
        _arrange(table, order if _ascend(owners[order], first[order]) else np.lexsort((first, owners)))
    owners, origins, first, last, _ = table
    mixed = np.zeros(series, np.bool_)
    overlaps = (owners[1:] == owners[:-1]) & (first[1:] <= last[:-1])
    if overlaps.any():
        mixed[owners[1:][overlaps]] = True
        _arrange(table, np.lexsort((first, np.where(mixed[owners], origins, 0), owners)))
    return table, mixed


def _ascend(owners: Integers, times: Integers) -> bool:
    """Tell whether blocks are in the order of their owners, and those of an owner in the order of time."""
    same = owners[1:] == owners[:-1]
    return bool(((owners[1:] > owners[:-1]) | (same & (times[1:] >= times[:-1]))).all())


def _arrange(table: _Table, order: Integers) -> None:
    """Put the columns of ``table`` in ``order``, one after the other."""
    single = table[_FIRST] is table[_LAST]
    for number in range(len(table)):
        table[number] = table[_FIRST] if single and number == _LAST else table[number][order]
