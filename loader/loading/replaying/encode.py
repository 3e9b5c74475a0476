"""Encodes rows of a partition by their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema
from loader.encoding.escaping import LineForm
from loader.encoding.line_protocol.encode import LineEncoder
from loader.encoding.selection import select_points
from loader.loading.known_rows import KnownRows

_PIECE_BYTES = 4 << 20


def encode_rows(
    root: Path, schema: PointSchema, partition: Partition, rows: Sequence[int], known: KnownRows, form: LineForm
) -> dict[int, bytes | RejectedRow | None]:
    """Return the line of each of ``rows`` (ascending) in ``form``, or why it is none.

    It is None where later rows replace all values. Only row groups near these rows are read. Memory is that of one
    batch, see ``read_batches``, and of the lines. Raises StageError and EncodeError.
    """
    encoder = LineEncoder(schema, form)
    found: dict[int, bytes | RejectedRow | None] = dict.fromkeys(rows)
    wanted = np.array(rows, np.int64)
    for chunk in _near(partition.path, rows):
        start = chunk.start
        for batch in read_batches(root, schema, chunk, GROUP_ROWS):
            address = Chunk(partition.path, start, start + batch.num_rows)
            start = address.stop
            mask = np.zeros(address.rows, np.bool_)
            mask[wanted[(wanted >= address.start) & (wanted < address.stop)] - address.start] = True
            if mask.any():
                steps = partition.steps(address.start, address.stop)
                selected = select_points(batch, schema, address, known.superseded(address), steps, form).within(mask)
                found |= {rejected.row: rejected for rejected in selected.rejected}
                for lines in encoder.encode(selected, address.rows, lambda: _PIECE_BYTES):
                    pairs = zip(lines.rows.tolist(), range(len(lines)), strict=True)
                    found |= {row: lines.slice(number, number + 1).removesuffix(b"\n") for row, number in pairs}
    return found


def _near(path: str, rows: Sequence[int]) -> Iterator[Chunk]:
    """Yield chunks that hold ``rows``, of which none has a gap of GROUP_ROWS."""
    start = 0
    for number, row in enumerate(rows):
        if number + 1 == len(rows) or rows[number + 1] - row > GROUP_ROWS:
            yield Chunk(path, rows[start], row + 1)
            start = number + 1
