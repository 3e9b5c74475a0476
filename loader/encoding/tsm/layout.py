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
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from loader.dataset.schema import FieldType
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


def is_storable(series: str) -> bool:
    """Tell whether the server, which splits a key at its first separator, splits keys of ``series`` behind it."""
    text = series.encode()
    return (text + FIELD_SEPARATOR).find(FIELD_SEPARATOR) == len(text)


def make_key(series: str, field: str) -> bytes:
    """Return the key of ``field`` in ``series``, which is measurement and tags as in line protocol, tags by key.

    Raises EncodeError for a key that is too long, or that the server, which splits it at the first separator, would
    not split between series and field.
    """
    text = series.encode()
    key = text + FIELD_SEPARATOR + field.encode()
    if len(key) > KEY_BYTES:
        raise EncodeError(
            f"the key of {series[:100]}… and {field!r} has {len(key):,} bytes; storage files hold {KEY_BYTES:,}",
            hint="shorten tag values, or use the write path",
        )
    if not is_storable(series):
        raise EncodeError(
            f"the series {series!r} holds {FIELD_SEPARATOR.decode()!r}, or ends with the beginning of it",
            hint="storage files use it to part series and field: take it out of names and tag values",
        )
    return key
