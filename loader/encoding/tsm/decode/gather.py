"""Finds the blocks of fields in the storage files of a shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from loader.dataset.schema import Field, FieldType
from loader.encoding.arrays import Integers, Mask
from loader.encoding.escaping import MEASUREMENT
from loader.encoding.tsm.decode.fields import Source, StoredField
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.layout import BLOCK_TYPES, FIELD_SEPARATOR


def gather_fields(sources: Sequence[Source], measurement: str, fields: Sequence[Field]) -> list[StoredField]:
    """Return where the values of each of ``fields`` are in ``sources``, which are in the order of their age."""
    head = MEASUREMENT.escape(measurement).encode()
    kinds = {number: kind for kind, number in BLOCK_TYPES.items()}
    wanted = {FIELD_SEPARATOR + field.column.encode(): number for number, field in enumerate(fields)}
    found: list[list[tuple[bytes, int, int]]] = [[] for _ in fields]
    mistyped: list[dict[bytes, FieldType]] = [{} for _ in fields]
    deletions: list[list[tuple[bytes, int, int, int]]] = [[] for _ in fields]
    for origin, source in enumerate(sources):
        for number, key in enumerate(source.file.keys):
            text, separator, name = key.partition(FIELD_SEPARATOR)
            which = wanted.get(separator + name)
            if which is not None and (text == head or text.startswith(head + b",")):
                kind = kinds.get(int(source.file.types[number]))
                if kind is fields[which].type:
                    found[which].append((text, origin, number))
                elif kind:
                    mistyped[which][text] = kind
        for key, first, last in source.tombstones:
            text, separator, name = key.partition(FIELD_SEPARATOR)
            which = wanted.get(separator + name)
            if which is not None:
                deletions[which].append((text, origin, first, last))
    return [
        _stored(field.type, sources, found[which], deletions[which], mistyped[which])
        for which, field in enumerate(fields)
    ]


def gather_field(sources: Sequence[Source], measurement: str, field: Field) -> StoredField:
    """Return where the values of ``field`` are, as ``gather_fields`` does for many."""
    return gather_fields(sources, measurement, [field])[0]


def _stored(
    kind: FieldType,
    sources: Sequence[Source],
    found: Sequence[tuple[bytes, int, int]],
    deletions: Sequence[tuple[bytes, int, int, int]],
    mistyped: Mapping[bytes, FieldType],
) -> StoredField:
    series = sorted({text for text, _, _ in found})
    numbers = {text: number for number, text in enumerate(series)}
    deleted = defaultdict(list)
    for text, origin, first, last in deletions:
        if text in numbers:
            deleted[origin, numbers[text]].append((first, last))
    owners = np.array([numbers[text] for text, _, _ in found], np.int64)
    origins, keys = (np.array([entry[part] for entry in found], np.int64) for part in (1, 2))
    tables = [
        _blocks(owners[origins == origin], origin, source.file, keys[origins == origin])
        for origin, source in enumerate(sources)
    ]
    table, mixed = _in_order(np.concatenate([np.empty((5, 0), np.int64), *tables], axis=1), len(series))
    owners, origins, blocks, first, last = table
    return StoredField(kind, sources, series, owners, origins, blocks, first, last, mixed, dict(deleted), mistyped)


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
