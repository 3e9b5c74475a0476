"""Storage files of a few points: encoded, taken apart, and decoded again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.dataset.schema import Field, FieldType
from loader.encoding.series import SeriesRuns
from loader.encoding.tsm.decode.blocks import part_blocks
from loader.encoding.tsm.decode.fields import Source
from loader.encoding.tsm.decode.gather import gather_field
from loader.encoding.tsm.decode.index import StoredFile, read_file
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.file import encode_file
from loader.encoding.tsm.encode.rows import Rows
from loader.encoding.tsm.layout import INDEX_BLOCK, INDEX_KEY, KEY_LENGTH

SIZES = (1, 2, 999, 1_000, 1_001, 2_001)
"""Numbers of points around those of whole blocks."""
EVERY_TIME = -(2**63), 2**63 - 1
ARROW = {
    FieldType.FLOAT: pa.float64(),
    FieldType.INTEGER: pa.int64(),
    FieldType.UNSIGNED: pa.uint64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.STRING: pa.large_string(),
}
Fields = Mapping[str, tuple[FieldType, Sequence[Any]]]
"""Type and values, some of them None, of each field."""


def encode(series: Mapping[str, tuple[Sequence[int], Fields]]) -> bytes:
    """Return a file of times and fields of each series."""
    workspace = Workspace()
    kinds = {name: kind for _, fields in series.values() for name, (kind, _) in fields.items()}
    rows = Rows([Field(name, kinds[name]) for name in sorted(kinds, key=str.encode)], workspace)
    for text, (times, fields) in series.items():
        none = [None] * len(times)
        columns = [_joined(kind, fields[name][1] if name in fields else none) for name, kind in sorted(kinds.items())]
        runs = SeriesRuns(np.array([0, len(times)]), np.array([0]), pa.array([text], pa.large_string()))
        rows.add(np.array(times, np.int64), columns, runs)
    file = encode_file([rows], workspace)
    content = b"".join(file.pieces)
    assert file.size == len(content)
    return content


def _joined(kind: FieldType, values: Sequence[Any]) -> pl.Series:
    """Return values as loads have them, joined of several arrays."""
    array = pl.Series(pa.array(values, ARROW[kind]))
    return pl.concat([array[:1], array[1:]])


@dataclass(frozen=True)
class Index:
    """The index of ``file``, with where the entries of blocks are, and the number of blocks of each key."""

    file: StoredFile
    keys: list[bytes]
    counts: list[int]
    places: npt.NDArray[np.int64]

    @property
    def offsets(self) -> list[int]:
        """Where the blocks begin."""
        return self.file.extents(self.places)[0].tolist()


def index(content: bytes) -> Index:
    """Return the index of a file."""
    file = read_file("1.tsm", np.frombuffer(content, np.uint8))
    keys, counts, places = [], [], []
    at = file.start
    while at < file.stop:
        (length,) = KEY_LENGTH.unpack_from(content, at)
        stop = at + KEY_LENGTH.size + length
        keys.append(content[at + KEY_LENGTH.size : stop])
        counts.append(INDEX_KEY.unpack_from(content, stop)[1])
        at = stop + INDEX_KEY.size + counts[-1] * INDEX_BLOCK.itemsize
        places += range(stop + INDEX_KEY.size, at, INDEX_BLOCK.itemsize)
    assert (len(keys), len(places)) == (file.keys, file.blocks)
    return Index(file, keys, counts, np.array(places, np.int64))


def decode(content: bytes, name: str, kind: FieldType) -> dict[str, tuple[list[int], list[Any]]]:
    """Return times and values of a field in each series of measurement m: numbers as bits, strings as bytes."""
    column = gather_field([Source(index(content).file)], "m", Field(name, kind)).read(*EVERY_TIME).column
    values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values.to_pylist()
    bounds = column.bounds.tolist()
    return {
        text.decode(): (column.times[start:stop].tolist(), values[start:stop])
        for text, start, stop in zip(column.series.to_list(), bounds, bounds[1:], strict=False)
    }


def bits(kind: FieldType, values: Sequence[Any]) -> list[Any]:
    """Return ``values`` as ``decode`` does."""
    if kind is FieldType.STRING:
        return [value.encode() for value in values]
    array = np.array(values, ARROW[kind].to_pandas_dtype())
    return array.view(np.uint8 if kind is FieldType.BOOLEAN else np.uint64).tolist()


def encode_one(kind: FieldType, values: Sequence[Any], times: Sequence[int] | None = None) -> bytes:
    """Return a file of one field; timestamps are 0, 1, 2, … unless given."""
    return encode({"m": (range(len(values)) if times is None else times, {"v": (kind, values)})})


def assert_comes_back(kind: FieldType, values: Sequence[Any], times: Sequence[int] | None = None) -> None:
    """Have ``values`` encoded and decoded, bit for bit."""
    found = decode(encode_one(kind, values, times), "v", kind)
    assert found == {"m": (list(range(len(values)) if times is None else times), bits(kind, values))}


def parts(content: bytes, kind: FieldType) -> list[tuple[str, str]]:
    """Return timestamps and values of each block of a file of one field, encoded, in hexadecimal."""
    found = part_blocks(index(content).file, index(content).places, kind)
    spans = zip(found.times_at, found.times_sizes, found.values_at, found.values_sizes, strict=True)
    return [
        (content[time : time + time_size].hex(" "), content[value : value + value_size].hex(" "))
        for time, time_size, value, value_size in spans
    ]
