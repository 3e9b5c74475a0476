"""What a load knows of the rows before it sends the first: which values it leaves out, and where series begin."""

from __future__ import annotations

import numpy as np

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Partition
from loader.dataset.scratch import Scratch
from loader.encoding.arrays import Bytes, Integers, Mask
from loader.loading.series_order import SeriesOrder

MOST_ORDER_BYTES = 32 << 20


class KnownRows:
    """Tells which values are superseded by a later row of the same identity, and in which order some partitions lie.

    Superseded values are left out, so that the order in which rows are sent does not matter. ``rows_superseded`` counts
    the rows that lose all values, ``values_superseded`` all such values, ``values_in_folds`` those where the
    mapping takes two local times for one; ``examples`` names a few pairs of rows.
    A partition with superseded values takes a bit for each row and field, in a temporary file without a name. Orders
    take MOST_ORDER_BYTES; those that would take more are forgotten.
    """

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._bits: dict[str, Bytes] = {}
        self._orders: dict[str, SeriesOrder] = {}
        self._order_bytes = 0
        self.rows_superseded = 0
        self.values_superseded = 0
        self.values_in_folds = 0
        self.examples: list[str] = []

    def add_superseded(self, partition: Partition, rows: Integers, values: Mask, whole: Mask) -> None:
        """Add ``values``, a mask of ``rows`` and fields; ``whole`` tells which rows have all values replaced.

        Raises ConfigError when there is no room for a temporary file.
        """
        if not values.any():
            return
        bits = self._bits.get(partition.path)
        if bits is None:
            width = -(-partition.rows // 8)
            bits = self._scratch.zeros(values.shape[1] * width).reshape(values.shape[1], width)
            self._bits[partition.path] = bits
        for field in np.flatnonzero(values.any(axis=0)).tolist():
            chosen = rows[values[:, field]]
            np.bitwise_or.at(bits[field], chosen >> 3, (1 << (chosen & 7)).astype(np.uint8))
        self.rows_superseded += int(np.count_nonzero(whole))
        self.values_superseded += int(np.count_nonzero(values))

    def superseded(self, chunk: Chunk) -> Mask | None:
        """Return a mask of the rows of ``chunk`` and the fields, None when nothing in its partition is replaced."""
        bits = self._bits.get(chunk.partition)
        if bits is None:
            return None
        first = chunk.start >> 3
        found = np.unpackbits(bits[:, first : -(-chunk.stop // 8)], axis=1, bitorder="little").view(np.bool_)
        mask: Mask = found[:, chunk.start - 8 * first : chunk.stop - 8 * first].T
        return mask

    def add_order(self, partition: Partition, order: SeriesOrder) -> None:
        """Remember the order of ``partition``, if all its rows were seen and there is room."""
        if order.rows == partition.rows and self._order_bytes + order.size <= MOST_ORDER_BYTES:
            self._orders[partition.path] = order
            self._order_bytes += order.size

    def order(self, partition: Partition) -> SeriesOrder | None:
        """Return in which order the series of ``partition`` lie, None when it is not known."""
        return self._orders.get(partition.path)
