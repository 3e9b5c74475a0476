"""Turns pending row ranges into payloads: encoded lines that fit one body, and the rows that they account for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from loader.dataset.batches import BATCH_BYTES, join_batches
from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import FieldType, PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.escaping import USUAL_FORM, LineForm
from loader.encoding.line_protocol.encode import BYTES_A_VALUE, EncodedLines, LineEncoder
from loader.encoding.selection import SelectedRows, select_points
from loader.loading.known_rows import KnownRows
from loader.loading.row_set import RowSet

WINDOW_BYTES = 128 << 20
"""Most bytes that the encoder takes for the values of a window, unless a batch that is read alone has more."""


@dataclass(frozen=True)
class Payload:
    """Lines ``start`` to ``stop`` (exclusive) of ``lines``, whose rows are in ``chunk``.

    It accounts for the rows of its lines, for those of ``rejected``, and for those replaced by later ones of the same
    identity: for all rows of ``chunk`` or, where other payloads have lines of other rows of it, for the rows of its
    lines and those numbered ``lineless``.
    """

    chunk: Chunk
    lines: EncodedLines
    start: int
    stop: int
    rejected: tuple[RejectedRow, ...] = ()
    lineless: Integers | None = None

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
    def line_rows(self) -> Integers:
        """The numbers of the lines' rows."""
        return self.lines.rows[self.start : self.stop]

    @property
    def rows(self) -> RowSet:
        """The rows that it accounts for."""
        if self.lineless is None:
            return RowSet(self.chunk)
        return RowSet(self.chunk, np.concatenate([self.lineless, self.lines.rows[self.start : self.stop]]))

    @property
    def skipped(self) -> int:
        """How many of these rows have no line because later rows set all their values."""
        return self.rows.count - len(self) - len(self.rejected)

    @property
    def first_row(self) -> Chunk:
        """The address of the first line's row."""
        row = int(self.lines.rows[self.start])
        return Chunk(self.chunk.partition, row, row + 1)

    def slice(self, start: int, stop: int) -> Payload:
        """Return the payload of the lines ``start`` to ``stop`` (exclusive) of this one, without any other rows."""
        first, last = self.start + start, self.start + stop
        rows = self.lines.rows[first:last]
        chunk = Chunk(self.chunk.partition, int(rows.min()), int(rows.max()) + 1)
        return Payload(chunk, self.lines, first, last, lineless=None if self.lineless is None else NO_ROWS)

    def before(self, count: int) -> Payload:
        """Return the payload of the first ``count`` lines, fewer than all.

        It accounts for all rows before the next line's or, where lines are not in that order, for those without a line.
        """
        if self.lineless is not None:
            return replace(self, stop=self.start + count)
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
    done: Callable[[Chunk], Mask | None] = lambda chunk: None,
    form: LineForm = USUAL_FORM,
) -> Iterator[Payload]:
    """Encode ``chunk`` of ``partition``, cut into payloads of at most ``batch_lines`` lines and ``body_limit()`` bytes.

    ``form`` is that of the server.

    Rows of a series are brought together within a window, a batch of at most max(GROUP_ROWS, batch_lines) rows, or
    fewer of many fields, see ``LineEncoder.encode``. ``done`` tells which rows of a window are acknowledged already;
    these are left out. A line longer than the limit is a payload of its own; a window without any line is one without
    lines. Memory is bounded by one window twice, see ``join_batches``, what its encoder needs, which is WINDOW_BYTES
    and what ``read_batches`` bounds, and one payload. Raises StageError and EncodeError.
    """
    encoder = LineEncoder(schema, form)
    row = chunk.start
    most = max(GROUP_ROWS, batch_lines)
    # To prepare a window costs nearly a millisecond, however few its rows are; and a server gains by long ones.
    window = min(most, WINDOW_BYTES // (BYTES_A_VALUE * max(1, len(schema.fields))))
    # Tags are texts once for each series, strings once for each row.
    size = BATCH_BYTES if any(field.type is FieldType.STRING for field in schema.fields) else 2 * BATCH_BYTES
    for batch in join_batches(read_batches(root, schema, chunk, most), window, size):
        address = Chunk(chunk.partition, row, row + batch.num_rows)
        row = address.stop
        steps = partition.steps(address.start, address.stop)
        selected = select_points(batch, schema, address, known.superseded(address), steps, form)
        earlier = done(address)
        if earlier is not None:
            selected = selected.within(~earlier)
        yield from _cut(selected, address, earlier, encoder.encode(selected, batch_lines, body_limit))


def _cut(
    selected: SelectedRows, address: Chunk, earlier: Mask | None, pieces: Iterator[EncodedLines]
) -> Iterator[Payload]:
    """Yield a payload for each of ``pieces``; all rows of ``address`` but ``earlier`` ones are accounted for."""
    first = next(pieces, _NO_LINES)
    scattered = first.gathered or earlier is not None
    pieces = chain([first], pieces)
    del first  # otherwise it would be held until the last one is sent
    yield from _scattered(selected, address, earlier, pieces) if scattered else _ranges(selected, address, pieces)


def _scattered(
    selected: SelectedRows, address: Chunk, earlier: Mask | None, pieces: Iterable[EncodedLines]
) -> Iterator[Payload]:
    """Yield payloads of sets of rows; the first accounts for all rows that have no line."""
    rest = np.ones(address.rows, np.bool_) if earlier is None else ~earlier
    rest[selected.rows - address.start] = False
    rejected, lineless = selected.rejected, address.start + np.flatnonzero(rest)
    for lines in pieces:
        yield Payload(address, lines, 0, len(lines), rejected, lineless)
        rejected, lineless = (), NO_ROWS


def _ranges(selected: SelectedRows, address: Chunk, pieces: Iterable[EncodedLines]) -> Iterator[Payload]:
    """Yield payloads of row ranges."""
    start, done = address.start, 0
    for lines in pieces:
        done += len(lines)
        stop = int(selected.rows[done]) if done < len(selected.rows) else address.stop
        first, last = (bisect_left(selected.rejected, bound, key=lambda each: each.row) for bound in (start, stop))
        yield Payload(Chunk(address.partition, start, stop), lines, 0, len(lines), selected.rejected[first:last])
        start = stop


NO_ROWS = np.zeros(0, np.int64)
_NO_LINES = EncodedLines(b"", np.zeros(1, np.int64), NO_ROWS, NO_ROWS)
