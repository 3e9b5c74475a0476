"""Encodes the values of blocks of strings: each with its length before it, compressed together by snappy.

Source: ``tsdb/engine/tsm1/string.go`` of InfluxDB 2.x.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.compiled import compiled
from loader.encoding.tsm.encode.bits import put_bytes, put_uvarint

_SNAPPY = 1 << 4
_SNAPPY_BYTES = 32
"""Bytes that snappy may add to data that it cannot compress, besides a sixth of it."""
_LENGTH_BYTES = 10


def most_string_bytes(rows: int, size: int) -> int:
    """Return how many bytes the values of a block of ``rows`` strings, ``size`` bytes together, need at most."""
    plain = size + _LENGTH_BYTES * rows
    return 1 + _SNAPPY_BYTES + plain + plain // 6


def put_strings(values: pl.Series, out: Bytes, position: int) -> int:
    """Write ``values``, none of which is null, as the values of one block; return the position after them."""
    array = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    # Some of Arrow's buffers are writable: for these the kernel would be compiled again, in the middle of a load.
    offsets.flags.writeable = data.flags.writeable = False
    plain = np.empty(int(offsets[-1] - offsets[0]) + _LENGTH_BYTES * len(values), np.uint8)
    size = _put_plain(offsets, data, plain)
    packed = np.frombuffer(pa.compress(plain[:size], codec="snappy"), np.uint8)
    out[position] = _SNAPPY
    out[position + 1 : position + 1 + len(packed)] = packed
    return position + 1 + len(packed)


@compiled
def _put_plain(offsets: Integers, data: Bytes, out: Bytes) -> int:
    position = 0
    for index in range(len(offsets) - 1):
        start, stop = offsets[index], offsets[index + 1]
        position = put_uvarint(out, position, np.uint64(stop - start))
        position = put_bytes(out, position, data, start, stop)
    return position
