"""The layout of a storage file, for encoding and decoding.

A file is a header, blocks, an index and the offset of the index; big-endian throughout::

    header   4 bytes 0x16D116D1, 1 byte version
    block    4 bytes CRC-32 (IEEE) of what follows; type byte, uvarint length of the timestamps,
             encoded timestamps, encoded values: at most 1,000 points of one field of one series
    index    for each key in byte order: 2 bytes length, key, type byte, 2 bytes number of blocks,
             and for each block in time order: first time, last time, offset, size with its CRC
    footer   8 bytes offset of the index

Source: the diagram in ``tsdb/engine/tsm1/writer.go`` of InfluxDB, the same in 1.8 and 2.x.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import Field, FieldType
from loader.encoding.escaping import KEY_BYTES
from loader.errors import EncodeError

HEADER = b"\x16\xd1\x16\xd1\x01"
BLOCK_POINTS = 1_000
"""Most points of a block; the server's own full blocks have as many."""
CRC_BYTES = 4
KEY_LENGTH = struct.Struct(">H")
"""What comes before a key in the index."""
INDEX_KEY = struct.Struct(">BH")
"""What follows a key in the index: block type, number of blocks."""
INDEX_BLOCK = np.dtype([("first", ">i8"), ("last", ">i8"), ("offset", ">i8"), ("size", ">u4")])
"""A block in the index: first and last time (nanoseconds), offset, size with its CRC (bytes)."""
FOOTER = struct.Struct(">Q")
FIELD_SEPARATOR = b"#!~#"

BLOCK_TYPES: Mapping[FieldType, int] = MappingProxyType(
    {
        FieldType.FLOAT: 0,
        FieldType.INTEGER: 1,
        FieldType.BOOLEAN: 2,
        FieldType.STRING: 3,
        FieldType.UNSIGNED: 4,
    }
)
"""The type byte of a block, by the field's type."""

RAW, PACKED, RUN = 0, 1, 2
"""How timestamps and integers are encoded: eight bytes each, simple8b, or one delta and its count; the high nibble."""


def unstorable(series: pl.Series) -> pl.Series:
    """Tell of each series whether the server, which splits a key at its first separator, would split it elsewhere."""
    separator = FIELD_SEPARATOR.decode()
    # A separator can begin in the series and end in the one behind it: their last and first characters are equal.
    return series.str.contains(separator, literal=True) | series.str.ends_with(separator[:-1])


def may_be_unstorable(series: pa.LargeStringArray) -> bool:
    """Tell whether one of ``series`` may be unstorable, in a tenth of the time where there are few."""
    return bool(pc.any(pc.match_substring(series, FIELD_SEPARATOR[:-1].decode())).as_py())


def check_keys(keys: pl.Series, fields: Sequence[Field]) -> None:
    """Raise EncodeError if one of ``keys``, series and FIELD_SEPARATOR as bytes, has no room for one of ``fields``."""
    if keys.is_empty():
        return
    longest = keys[int(keys.bin.size().arg_max() or 0)]
    field = max((field.column for field in fields), key=lambda name: len(name.encode()))
    size = len(longest) + len(field.encode())
    if size > KEY_BYTES:
        raise EncodeError(
            f"the key of {longest[:100].decode(errors='replace')}… and {field!r} has {size:,} bytes;"
            f" storage files hold {KEY_BYTES:,}",
            hint="shorten tag values, or use the write path",
        )
