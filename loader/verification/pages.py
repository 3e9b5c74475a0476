"""Reads the sizes of the pages of a Parquet file from their headers."""

from __future__ import annotations

import os
from typing import BinaryIO

_INTEGER_FIELD = 0x15
"""In Thrift's compact protocol: the next field, of type i32."""
_HEADER = 32


def first_page_size(file: BinaryIO, offset: int) -> int:
    """Return the uncompressed bytes of the page whose header is at ``offset``, 0 when the header cannot be read."""
    header = os.pread(file.fileno(), _HEADER, offset)
    at, number = 0, 0
    # The header begins with the page's kind and its size.
    for _ in range(2):
        if header[at : at + 1] != bytes([_INTEGER_FIELD]):
            return 0
        at += 1
        number = shift = 0
        while at < len(header):
            byte = header[at]
            number |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
    return number >> 1
