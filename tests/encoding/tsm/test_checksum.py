"""Checksums of blocks."""

from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.encoding.tsm.checksum import checksum, checksum_by_tables


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 9), st.integers(0, 9))
def test_as_zlib(data: bytes, before: int, after: int) -> None:
    """A checksum is that of zlib, wherever the bytes begin and end."""
    start, stop = min(before, len(data)), max(min(before, len(data)), len(data) - after)
    for function in (checksum, checksum_by_tables):
        assert int(function(np.frombuffer(data, np.uint8), start, stop)) == zlib.crc32(data[start:stop])
