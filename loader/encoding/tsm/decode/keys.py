"""Finds the keys of fields in the indexes of storage files, and numbers their series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.dataset.schema import Field
from loader.encoding.arrays import Bytes, Integers, Places
from loader.encoding.compiled import compiled
from loader.encoding.escaping import MEASUREMENT
from loader.encoding.tsm.decode.fields import Source
from loader.encoding.tsm.decode.index import StoredFile
from loader.encoding.tsm.layout import FIELD_SEPARATOR, INDEX_BLOCK, INDEX_KEY, KEY_LENGTH

_HASH, _BANG, _TILDE = FIELD_SEPARATOR[:3]
_COMMA = ord(",")
_LENGTH_BYTES, _KEY_REST, _BLOCK_BYTES = KEY_LENGTH.size, INDEX_KEY.size, INDEX_BLOCK.itemsize


@dataclass(frozen=True)
class Keys:
    """The keys of a file that belong to one of some fields: where they end, and the numbers of field and series."""

    stops: Integers
    fields: Places
    series: Places


def find_keys(sources: Sequence[Source], measurement: str, fields: Sequence[Field]) -> tuple[pl.Series, list[Keys]]:
    """Return the texts of all series (Binary, ascending) that have one of ``fields``, and the keys of each file.

    Series are numbered by their place among the texts. Memory is the texts, 16 bytes more for each series, and 16 bytes
    a key; and as much as that for one file while its keys are found.
    """
    head = MEASUREMENT.escape(measurement).encode()
    names = [field.column.encode() for field in fields]
    ends = np.cumsum([0, *map(len, names)])
    flat = [np.frombuffer(text, np.uint8) for text in (head, b"".join(names))]
    found: list[Keys] = []
    parts: list[pl.Series] = []
    ascending = True
    for source in sources:
        keys, part, ascends = _find_keys(source.file, flat[0], flat[1], ends)
        # Files often have the same series.
        parts.append(parts[-1] if parts and part.equals(parts[-1]) else part)
        ascending = ascending and ascends
        found.append(keys)
        source.release()
    distinct = {id(part): part for part in parts}
    if len(distinct) == 1 and ascending:
        return parts[0], found
    every = pl.concat([pl.Series(dtype=pl.Binary), *distinct.values()]).unique().sort()
    numbers = {key: find_numbers(part, every).to_numpy() for key, part in distinct.items()}
    numbered = [replace(keys, series=numbers[id(part)][keys.series]) for keys, part in zip(found, parts, strict=True)]
    return every, numbered


def find_numbers(texts: pl.Series, every: pl.Series) -> pl.Series:
    """Return the position (Int32) of each of ``texts`` in ``every``, null where it is not there."""
    known = pl.DataFrame({"text": every, "number": pl.int_range(len(every), dtype=pl.Int32, eager=True)})
    return pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")["number"]


def _find_keys(file: StoredFile, head: Bytes, names: Bytes, ends: Integers) -> tuple[Keys, pl.Series, bool]:
    """Return the keys of ``file``, the texts of their series, and whether these ascend strictly."""
    stops, starts = np.empty(file.keys, np.int64), np.empty(file.keys, np.int64)
    fields, series = np.empty(file.keys, np.int32), np.empty(file.keys, np.int32)
    bounds = np.zeros(file.keys + 1, np.int64)
    place = file.start, file.stop
    keys, number, ascends = _match(file.data, *place, head, names, ends, stops, fields, series, starts, bounds)
    bounds = bounds[: number + 1]
    text = np.empty(bounds[-1], np.uint8)
    _copy(file.data, starts, bounds, text)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(text)]
    texts = pl.Series(pa.LargeBinaryArray.from_buffers(pa.large_binary(), number, buffers), dtype=pl.Binary)
    return Keys(_first(stops, keys), _first(fields, keys), _first(series, keys)), texts, bool(ascends)


def _first(numbers: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return the first ``size`` of ``numbers``, and hold no others."""
    return numbers if len(numbers) == size else numbers[:size].copy()


@compiled
def _match(
    data: Bytes,
    at: Any,
    end: int,
    head: Bytes,
    names: Bytes,
    ends: Integers,
    stops: Integers,
    fields: Places,
    series: Places,
    starts: Integers,
    bounds: Integers,
) -> Any:
    """Find the keys of fields in the index from ``at`` to ``end``: where they end, the numbers of field and series.

    Returns the number of keys, that of their series, and whether the texts of these ascend strictly. Text ``i`` is that
    at ``starts[i]``, and its bytes are ``bounds[i + 1] - bounds[i]``; it is another one than the text before.
    A key is of a field if its series is in the measurement ``head``, and the name behind the first separator is that of
    the field: name ``i`` is ``names[ends[i]:ends[i + 1]]``.
    """
    count = len(ends) - 1
    keys = number = guess = 0
    ascends = True
    start: Any = at
    stop: Any = at
    while at < end:
        start = at + _LENGTH_BYTES
        stop = start + (np.int64(data[at]) << 8 | np.int64(data[at + 1]))
        at = stop + _KEY_REST + (np.int64(data[stop + 1]) << 8 | np.int64(data[stop + 2])) * _BLOCK_BYTES
        middle = _find_separator(data, start, stop)
        behind = start + len(head)
        if (
            middle < behind
            or _compare(data, start, behind, head, 0, len(head)) != 0
            or (middle > behind and data[behind] != _COMMA)
        ):
            continue
        name = middle + len(FIELD_SEPARATOR)
        for step in range(count):
            # Mostly, the next key is of the next field.
            field = guess + step
            if field >= count:
                field -= count
            if _compare(data, name, stop, names, ends[field], ends[field + 1]) == 0:
                order = -1
                if number:
                    former = starts[number - 1]
                    length = bounds[number] - bounds[number - 1]
                    order = _compare(data, former, former + length, data, start, middle)
                    ascends = ascends and order <= 0
                if order != 0:
                    starts[number] = start
                    bounds[number + 1] = bounds[number] + middle - start
                    number += 1
                stops[keys], fields[keys], series[keys] = stop, field, number - 1
                keys += 1
                guess = field + 1 if field + 1 < count else 0
                break
    return keys, number, ascends


@compiled
def _find_separator(data: Bytes, start: int, stop: int) -> int:
    """Return where the first separator begins, -1 where there is none."""
    for at in range(start, stop - 3):
        if data[at] == _HASH and data[at + 1] == _BANG and data[at + 2] == _TILDE and data[at + 3] == _HASH:
            return at
    return -1


@compiled
def _compare(left: Bytes, at: int, stop: int, right: Bytes, place: int, end: int) -> int:
    """Return 0 if the bytes of both are equal, less if the left ones are less, more if they are more."""
    while at < stop and place < end:
        if left[at] != right[place]:
            return -1 if left[at] < right[place] else 1
        at += 1
        place += 1
    return (stop - at) - (end - place)


@compiled
def _copy(data: Bytes, starts: Integers, bounds: Integers, out: Bytes) -> None:
    """Copy the bytes from each of ``starts`` on to ``out``, from ``bounds[i]`` to ``bounds[i + 1]``."""
    for number in range(len(bounds) - 1):
        for place in range(bounds[number + 1] - bounds[number]):
            out[bounds[number] + place] = data[starts[number] + place]
