"""Turns pending row ranges into payloads: encoded lines that fit one body, and the rows that they account for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.line_protocol.encode import EncodedLines, LineEncoder
from loader.encoding.selection import SelectedRows, select_points
from loader.loading.known_rows import KnownRows


@dataclass(frozen=True)
class Payload:
    """Lines ``start`` to ``stop`` (exclusive) of ``lines``, which with ``rejected`` account for the rows of ``chunk``.

    Rows that have neither a line nor are rejected are replaced by later ones of the same identity.
    """

    chunk: Chunk
    lines: EncodedLines
    start: int
    stop: int
    rejected: tuple[RejectedRow, ...] = ()

    def __len__(self) -> int:
        """Return the number of lines."""
        return self.stop - self.start

    @property
    def size(self) -> int:
        """Size of the body in bytes, before compression."""
        return int(self.lines.offsets[self.stop] - self.lines.offsets[self.start])

    @property
    def body(self) -> bytes:
        """The line protocol."""
        return self.lines.slice(self.start, self.stop)

    @property
    def times(self) -> Integers:
        """The lines' timestamps, in nanoseconds."""
        return self.lines.times[self.start : self.stop]

    @property
    def first_row(self) -> Chunk:
        """The address of the first line's row."""
        row = int(self.lines.rows[self.start])
        return Chunk(self.chunk.partition, row, row + 1)

    def slice(self, start: int, stop: int) -> Payload:
        """Return the payload of the lines ``start`` to ``stop`` (exclusive) of this one, without rejected rows."""
        first, last = self.start + start, self.start + stop
        rows = self.lines.rows
        chunk = Chunk(self.chunk.partition, int(rows[first]), int(rows[last - 1]) + 1)
        return Payload(chunk, self.lines, first, last)

    def before(self, count: int) -> Payload:
        """Return the payload of the first ``count`` lines, fewer than all, and of all rows before the next line's."""
        stop = int(self.lines.rows[self.start + count])
        chunk = Chunk(self.chunk.partition, self.chunk.start, stop)
        rejected = tuple(each for each in self.rejected if each.row < stop)
        return Payload(chunk, self.lines, self.start, self.start + count, rejected)

    def halves(self) -> tuple[Payload, Payload]:
        """Split into two payloads; needs at least two lines."""
        middle = len(self) // 2
        return self.slice(0, middle), self.slice(middle, len(self))


def payloads(
    root: Path,
    schema: PointSchema,
    partition: Partition,
    chunk: Chunk,
    batch_lines: int,
    body_limit: Callable[[], int],
    known: KnownRows,
) -> Iterator[Payload]:
    """Encode ``chunk`` of ``partition``, cut into payloads of at most ``batch_lines`` lines and ``body_limit()`` bytes.

    A line longer than the limit is a payload of its own; a batch without any line is one without lines. Memory is
    bounded by one record batch of at most max(GROUP_ROWS, batch_lines) rows, see ``read_batches``, what its encoder
    needs, and one payload. Raises StageError and EncodeError.
    """
    encoder = LineEncoder(schema)
    row = chunk.start
    # Whole row groups: to prepare a batch costs nearly a millisecond, however few its rows are.
    for batch in read_batches(root, schema, chunk, max(GROUP_ROWS, batch_lines)):
        address = Chunk(chunk.partition, row, row + batch.num_rows)
        row = address.stop
        steps = partition.steps(address.start, address.stop)
        selected = select_points(batch, schema, address, known.superseded(address), steps)
        yield from _cut(selected, address, encoder.encode(selected, batch_lines, body_limit))


def _cut(selected: SelectedRows, address: Chunk, pieces: Iterator[EncodedLines]) -> Iterator[Payload]:
    """Yield a payload for each of ``pieces``; together they account for all rows of ``address``."""
    start, done = address.start, 0
    if not len(selected.rows):
        yield Payload(address, _NO_LINES, 0, 0, selected.rejected)
    for lines in pieces:
        done += len(lines)
        stop = int(selected.rows[done]) if done < len(selected.rows) else address.stop
        first, last = (bisect_left(selected.rejected, bound, key=lambda each: each.row) for bound in (start, stop))
        yield Payload(Chunk(address.partition, start, stop), lines, 0, len(lines), selected.rejected[first:last])
        start = stop


_NO_LINES = EncodedLines(b"", np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
