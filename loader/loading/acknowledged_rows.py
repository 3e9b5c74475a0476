"""The rows that a load has acknowledged, in its ledger: ranges, and bits of those that are no range yet.

Rows that are sent in another order than that of their partition come in sets, each from a chunk, a window of rows.
Until the whole chunk is acknowledged they are bits, in cells of CELL_ROWS rows: cell ``i`` of a partition is its rows
from ``i`` times CELL_ROWS on, and is there while any of its bits is set. No row is in a range and in a cell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Partition
from loader.encoding.arrays import Integers, Mask
from loader.loading.ledger_values import check_bits, check_count, check_ranges
from loader.loading.row_set import RowSet

CELL_ROWS = 131_072
_CELL_BYTES = CELL_ROWS // 8


class AcknowledgedRows:
    """The acknowledged rows of one load.

    Memory is about 300 KiB for each cell of the chunk that is added or asked for.
    """

    def __init__(self, database: sqlite3.Connection, load: int) -> None:
        self._database = database
        self._load = load

    def add(self, rows: RowSet) -> None:
        """Add ``rows``, within a transaction of the caller."""
        if rows.numbers is None or self._add_bits(rows.chunk, rows.numbers):
            self._add_range(rows.chunk)

    def pending(self, partition: Partition) -> list[Chunk]:
        """Return the chunks of ``partition`` that are no acknowledged ranges, in order; ``mask`` tells more of them."""
        gaps, row = [], 0
        acknowledged = self._database.execute(
            "SELECT start, stop FROM acknowledged WHERE load = ? AND partition = ? ORDER BY start",
            (self._load, partition.path),
        )
        for start, stop in check_ranges(acknowledged, partition.rows):
            if start > row:
                gaps.append(Chunk(partition.path, row, start))
            row = stop
        if row < partition.rows:
            gaps.append(Chunk(partition.path, row, partition.rows))
        return gaps

    def mask(self, chunk: Chunk) -> Mask | None:
        """Return which rows of ``chunk``, which is pending, are acknowledged all the same; None for none of them."""
        mask: Mask = np.concatenate([self._read(chunk.partition, cell)[_within(chunk, cell)] for cell in _cells(chunk)])
        return mask if mask.any() else None

    def count_scattered(self, chunk: Chunk) -> int:
        """Return how many rows of ``chunk``, which is pending, are acknowledged all the same."""
        cells = self._database.execute(
            "SELECT cell, bits FROM scattered WHERE load = ? AND partition = ? AND cell BETWEEN ? AND ?",
            (self._load, chunk.partition, *_ends(chunk)),
        )
        within = (_unpack(bits)[_within(chunk, check_count("the number of a cell", cell))] for cell, bits in cells)
        return sum(int(np.count_nonzero(bits)) for bits in within)

    def _add_bits(self, chunk: Chunk, numbers: Integers) -> bool:
        """Set the bits of the rows ``numbers``; if those of all rows of ``chunk`` are set, clear them, return True."""
        cells = {cell: self._read(chunk.partition, cell) for cell in _cells(chunk)}
        for cell, bits in cells.items():
            first = cell * CELL_ROWS
            bits[numbers[(numbers >= first) & (numbers < first + CELL_ROWS)] - first] = True
        complete = all(bits[_within(chunk, cell)].all() for cell, bits in cells.items())
        for cell, bits in cells.items():
            if complete:
                bits[_within(chunk, cell)] = False
            self._write(chunk.partition, cell, bits)
        return complete

    def _add_range(self, chunk: Chunk) -> None:
        touching = (self._load, chunk.partition, chunk.stop, chunk.start)
        start, stop = self._database.execute(
            "SELECT min(start), max(stop) FROM acknowledged "
            "WHERE load = ? AND partition = ? AND start <= ? AND stop >= ?",
            touching,
        ).fetchone()
        self._database.execute(
            "DELETE FROM acknowledged WHERE load = ? AND partition = ? AND start <= ? AND stop >= ?", touching
        )
        merged = (
            chunk.start if start is None else min(start, chunk.start),
            chunk.stop if stop is None else max(stop, chunk.stop),
        )
        self._database.execute("INSERT INTO acknowledged VALUES (?, ?, ?, ?)", (self._load, chunk.partition, *merged))

    def _read(self, partition: str, cell: int) -> Mask:
        row = self._database.execute(
            "SELECT bits FROM scattered WHERE load = ? AND partition = ? AND cell = ?", (self._load, partition, cell)
        ).fetchone()
        return _unpack(row[0]) if row else np.zeros(CELL_ROWS, np.bool_)

    def _write(self, partition: str, cell: int, bits: Mask) -> None:
        if bits.any():
            self._database.execute(
                "INSERT OR REPLACE INTO scattered VALUES (?, ?, ?, ?)",
                (self._load, partition, cell, np.packbits(bits).tobytes()),
            )
        else:
            self._database.execute(
                "DELETE FROM scattered WHERE load = ? AND partition = ? AND cell = ?", (self._load, partition, cell)
            )


def count_acknowledged(database: sqlite3.Connection, load: int) -> int:
    """Return how many rows the write path has acknowledged of ``load``."""
    (ranges,) = database.execute(
        "SELECT coalesce(sum(stop - start), 0) FROM acknowledged WHERE load = ?", (load,)
    ).fetchone()
    cells = database.execute("SELECT bits FROM scattered WHERE load = ?", (load,))
    scattered = sum(int.from_bytes(check_bits(bits, _CELL_BYTES)).bit_count() for (bits,) in cells)
    return check_count("the number of acknowledged rows", ranges) + scattered


def forget_acknowledged(database: sqlite3.Connection, condition: str, values: Sequence[str | int]) -> None:
    """Forget which rows are acknowledged where ``condition`` holds of ``load`` and ``partition``, with ``values``."""
    for table in ("acknowledged", "scattered"):
        database.execute(f"DELETE FROM {table} WHERE {condition}", values)


def _unpack(bits: Any) -> Mask:
    """Return the bits of a cell as the ledger has them; raises sqlite3.DatabaseError for what is none."""
    return np.unpackbits(np.frombuffer(check_bits(bits, _CELL_BYTES), np.uint8)).view(np.bool_)


def _cells(chunk: Chunk) -> Iterator[int]:
    """Yield the numbers of the cells in which ``chunk`` has rows."""
    first, last = _ends(chunk)
    yield from range(first, last + 1)


def _ends(chunk: Chunk) -> tuple[int, int]:
    """Return the numbers of the first cell in which ``chunk`` has rows, and the last."""
    return chunk.start // CELL_ROWS, (chunk.stop - 1) // CELL_ROWS


def _within(chunk: Chunk, cell: int) -> slice:
    """Return which bits of a cell are of rows of ``chunk``."""
    first = cell * CELL_ROWS
    return slice(max(0, chunk.start - first), min(CELL_ROWS, chunk.stop - first))
