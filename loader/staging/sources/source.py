"""What a source of points gives to staging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from loader.dataset.schema import PointSchema
from loader.staging.points import ReadTags


@dataclass(frozen=True)
class MeasurementPoints:
    """The points of one measurement, in any order: ``series`` columns, then TIME, ORDER (int64) and fields, by key.

    ORDER is the position of a row in the source, and ``read_tags`` makes tags of the ``series`` columns.
    """

    schema: PointSchema
    series: tuple[str, ...]
    columns: pa.Schema
    batches: Iterator[pa.RecordBatch]
    read_tags: ReadTags


class Source(Protocol):
    """Points of some measurements."""

    @property
    def rows(self) -> int:
        """Rows, or lines, of all of it, as far as that is known."""
        ...

    def measurements(self) -> Iterator[MeasurementPoints]:
        """Yield the points of one measurement after the other."""
        ...

    def address(self, order: int) -> str:
        """Return where a row stands: file and row, or line."""
        ...
