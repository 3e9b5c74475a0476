"""From pending row ranges to payloads: consecutive encoded lines that fit one body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loader.dataset.chunk import Chunk
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema
from loader.encoding.line_protocol import EncodedLines, LineEncoder


@dataclass(frozen=True)
class Payload:
    """Lines of ``lines``, from ``start`` on, one for each row of ``chunk``, which is their address."""

    chunk: Chunk
    lines: EncodedLines
    start: int = 0

    @property
    def size(self) -> int:
        """Size of the body in bytes, before compression."""
        offsets = self.lines.offsets
        return int(offsets[self.start + self.chunk.rows] - offsets[self.start])

    @property
    def body(self) -> bytes:
        """The line protocol."""
        return self.lines.slice(self.start, self.start + self.chunk.rows)

    def halves(self) -> tuple[Payload, Payload]:
        """Split into two payloads; needs at least two lines."""
        middle = self.chunk.rows // 2
        first = Chunk(self.chunk.partition, self.chunk.start, self.chunk.start + middle)
        second = Chunk(self.chunk.partition, first.stop, self.chunk.stop)
        return Payload(first, self.lines, self.start), Payload(second, self.lines, self.start + middle)


def payloads(
    root: Path, schema: PointSchema, chunk: Chunk, batch_lines: int, body_limit: Callable[[], int]
) -> Iterator[Payload]:
    """Encode ``chunk`` and cut it into payloads of at most ``batch_lines`` lines and ``body_limit()`` bytes.

    A line longer than the limit is a payload of its own. Memory is bounded by one record batch of at most
    max(GROUP_ROWS, batch_lines) rows, what its encoder needs, and one payload. Raises StageError and EncodeError.
    """
    encoder = LineEncoder(schema)
    row = chunk.start
    # Whole row groups: making ready for a batch costs nearly a millisecond, however few its rows are.
    for batch in read_batches(root, schema, chunk, max(GROUP_ROWS, batch_lines)):
        address = Chunk(chunk.partition, row, row + batch.num_rows)
        for lines in encoder.encode(batch, address, batch_lines, body_limit):
            yield Payload(Chunk(chunk.partition, row, row + lines.rows), lines)
            row += lines.rows
