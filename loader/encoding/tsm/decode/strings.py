"""Decodes strings of blocks: compressed by snappy, each with a varint of its length before it.

Source: ``batch_string.go`` of InfluxDB.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.compiled import compiled
from loader.encoding.tsm.decode.words import uvarint

_SNAPPY = 1
_EXPANSION = 32
"""Snappy cannot expand data more than this: an element of three bytes stands for 64."""


def decode_strings(data: Bytes, at: int, size: int, lengths: Integers) -> Bytes | None:
    """Return the bytes of all strings of one block and fill their ``lengths``; None when it is damaged.

    ``lengths`` has as many elements as the block should have strings.
    """
    stop = at + size
    if size < 2 or int(data[at]) >> 4 != _SNAPPY:
        return None
    length, begin = uvarint(data, at + 1, stop)
    if begin < 0 or int(length) > size * _EXPANSION:
        return None
    try:
        plain = pa.decompress(data[at + 1 : stop].tobytes(), int(length), codec="snappy")
    except (OSError, pa.ArrowException):
        return None
    content = np.frombuffer(plain, np.uint8)
    texts = np.empty(len(content), np.uint8)
    written = _part(content, lengths, texts)
    return None if written < 0 else texts[:written]


@compiled
def _part(content: Bytes, lengths: Integers, texts: Bytes) -> int:
    """Separate strings from their lengths; return the bytes written to ``texts``, -1 when ``content`` is damaged."""
    at, written, stop = 0, 0, len(content)
    for number in range(len(lengths)):
        length, begin = uvarint(content, at, stop)
        if begin < 0 or length > np.uint64(stop - begin):
            return -1
        at = begin + np.int64(length)
        for position in range(begin, at):
            texts[written] = content[position]
            written += 1
        lengths[number] = at - begin
    return written if at == stop else -1
