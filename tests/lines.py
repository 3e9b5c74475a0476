"""Rows as line protocol, all at once."""

from __future__ import annotations

import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.schema import PointSchema
from loader.encoding.line_protocol.encode import EncodedLines, LineEncoder
from loader.encoding.selection import select_points


def pieces(
    batch: pa.RecordBatch, schema: PointSchema, address: Chunk, most_lines: int = 1 << 30, most_bytes: int = 1 << 30
) -> list[EncodedLines]:
    """Return the pieces of ``batch``, all rows of which are points, by default one."""
    selected = select_points(batch, schema, address)
    assert selected.rejected == ()
    return list(LineEncoder(schema).encode(selected, most_lines, lambda: most_bytes))


def lines_of(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> str:
    """Return all lines."""
    return b"".join(piece.data for piece in pieces(batch, schema, address)).decode()
