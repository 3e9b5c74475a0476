"""The interface between sources of points and staging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from loader.dataset.schema import PointSchema
from loader.encoding.folds import Folds
from loader.staging.points import ReadTags


@dataclass(frozen=True)
class MeasurementPoints:
    """The points of one measurement, in any order: ``series`` columns, then TIME, ORDER (int64) and fields, by key.

    ORDER is the position of a row in the source; ``read_tags`` returns the tags that the ``series`` columns stand for.
    """

    schema: PointSchema
    series: tuple[str, ...]
    columns: pa.Schema
    batches: Iterator[pa.RecordBatch]
    read_tags: ReadTags


class Source(Protocol):
    """A source of points of one or more measurements."""

    @property
    def rows(self) -> int:
        """The number of all rows, or of lines that are points."""
        ...

    @property
    def merged_folds(self) -> Folds:
        """Where two local times became one time, because the mapping chose so."""
        ...

    def measurements(self) -> Iterator[MeasurementPoints]:
        """Yield the points of one measurement after another."""
        ...

    def address(self, order: int) -> str:
        """Return where a row is: its file, and its row or line there."""
        ...
