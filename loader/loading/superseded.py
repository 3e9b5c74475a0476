"""Values that a later row of the same identity replaces: a load leaves them out, so its order does not matter."""

from __future__ import annotations

import numpy as np

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Partition
from loader.dataset.scratch import Scratch
from loader.encoding.arrays import Bytes, Integers, Mask


class Superseded:
    """Tells for each row and field whether a later row replaces the value.

    ``rows`` counts the rows whose values are all replaced, ``values`` all values that are replaced; ``examples`` names
    a few pairs of such rows. A partition with replaced values takes a bit for each row and field, in a temporary file
    without a name.
    """

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._bits: dict[str, Bytes] = {}
        self.rows = 0
        self.values = 0
        self.examples: list[str] = []

    def add(self, partition: Partition, rows: Integers, values: Mask, whole: Mask) -> None:
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
        self.rows += int(np.count_nonzero(whole))
        self.values += int(np.count_nonzero(values))

    def within(self, chunk: Chunk) -> Mask | None:
        """Return a mask of the rows of ``chunk`` and the fields, None when nothing in its partition is replaced."""
        bits = self._bits.get(chunk.partition)
        if bits is None:
            return None
        first = chunk.start >> 3
        found = np.unpackbits(bits[:, first : -(-chunk.stop // 8)], axis=1, bitorder="little").view(np.bool_)
        mask: Mask = found[:, chunk.start - 8 * first : chunk.stop - 8 * first].T
        return mask
