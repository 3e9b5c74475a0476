"""Rows on their way into a storage file: what they take, and how series are numbered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.schema import Field, FieldType
from loader.encoding.series import SeriesRuns
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.rows import Rows


def add(rows: Rows, names: Sequence[str]) -> int:
    """Add a row of each series; return by how many bytes ``rows`` grew."""
    before = rows.size + rows.index_size
    number = np.arange(len(names))
    texts = pa.array(names, pa.large_string())
    rows.add(number, [pl.Series(number, dtype=pl.Int64)], SeriesRuns(np.arange(len(names) + 1), number, texts))
    return rows.size + rows.index_size - before


def test_names_of_series_are_held_once() -> None:
    """A series that comes again, in another order and beside new ones, keeps its number; its text counts once."""
    rows = Rows((Field("v", FieldType.INTEGER),), Workspace())
    short, long = "m,t=a", "m,t=" + "b" * 10_000
    assert add(rows, [short, long]) > 20_000  # in memory, and in the index of the file
    assert add(rows, [long, short]) < 100
    assert 20_000 > add(rows, [short, "m,t=" + "c" * 5_000, long, short]) > 10_000
    keys, order = rows.series()
    assert [len(key) for key in keys] == [9, 10_008, 5_008]
    found = [order.rows[start:stop].tolist() for start, stop in zip(order.bounds, order.bounds[1:], strict=False)]
    assert [sorted(each) for each in found] == [[0, 3, 4, 7], [1, 2, 6], [5]]
