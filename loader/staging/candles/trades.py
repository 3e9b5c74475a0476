"""Reads the trades of a dataset: its rows that have a time, a price and, if one is named, an amount."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.encoding.arrays import Integers
from loader.encoding.columns import DTYPES, read_valid_times
from loader.staging.candles.plan import CandlePlan

Names: TypeAlias = tuple[str, ...]
TRADE_ROWS = 4 * GROUP_ROWS
"""Rows after which trades are aggregated; each takes 32 bytes."""
_MOST_CELLS = 1 << 20
"""Combinations of tags for which a table is made; of more, those that occur are sorted."""


@dataclass(frozen=True)
class Trades:
    """The trades among ``rows`` consecutive rows: ``series`` (a number), ``time``, ``price`` and perhaps ``amount``."""

    rows: int
    frame: pl.DataFrame


class SeriesNumbers:
    """Numbers the series by their tags, in the order in which they come; memory is that of their names."""

    def __init__(self) -> None:
        self.names: list[Names] = []
        """The tags of each series, "" where it has no such tag."""
        self._numbers: dict[Names, int] = {}

    def find(self, columns: Sequence[pa.Array], rows: int) -> Integers:
        """Return the number of the series of each of ``rows`` rows, whose tags are in ``columns``."""
        codes = np.zeros(rows, np.int64)
        names: list[Names] = [()]
        for column in columns:
            more, texts = _coded(column)
            codes = codes * len(texts) + more
            cells = len(names) * len(texts)
            if cells <= _MOST_CELLS:
                found = np.flatnonzero(np.bincount(codes, minlength=cells))
                table = np.zeros(cells, np.int64)
                table[found] = np.arange(len(found))
                codes = table[codes]
            else:
                found, codes = np.unique(codes, return_inverse=True)
            names = [(*names[cell // len(texts)], texts[cell % len(texts)]) for cell in found.tolist()]
        numbers: Integers = np.array([self._number(name) for name in names], np.int64)[codes]
        return numbers

    def ranks(self) -> Integers:
        """Return the position of each series in series order, which is that of its tags."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        return ranks

    def _number(self, name: Names) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number


def read_trades(root: Path, plan: CandlePlan, partition: Partition, series: SeriesNumbers) -> Iterator[Trades]:
    """Yield the trades of ``partition``, about TRADE_ROWS at a time, in its order.

    Prices and amounts that are null, NaN or infinite make no trade, and neither do times that InfluxDB does not store.
    Memory is that of ``read_batches``, and of TRADE_ROWS trades. Raises StageError and EncodeError as it does.
    """
    held: list[pl.DataFrame] = []
    rows = start = 0
    for batch in read_batches(root, plan.columns, partition.whole, GROUP_ROWS):
        held.append(_trades(plan, batch, partition.steps(start, start + len(batch)), series))
        rows += len(batch)
        start += len(batch)
        if rows >= TRADE_ROWS:
            yield Trades(rows, pl.concat(held))
            held, rows = [], 0
    if held:
        yield Trades(rows, pl.concat(held))


def _trades(plan: CandlePlan, batch: pa.RecordBatch, steps: Integers | None, series: SeriesNumbers) -> pl.DataFrame:
    times, valid = read_valid_times(batch, plan.columns, steps)
    tags = [batch.column(tag) for tag in plan.by]
    columns: dict[str, Integers | pl.Series] = {"series": series.find(tags, len(batch)), "time": times}
    for role, field in (("price", plan.price), ("amount", plan.amount)):
        if field:
            columns[role] = pl.Series(batch.column(field.column)).cast(DTYPES[field.type])
    frame = pl.DataFrame(columns)
    for role in frame.columns[2:]:
        if frame[role].dtype.is_float() and not frame[role].is_finite().all(ignore_nulls=True):
            frame = frame.with_columns(pl.when(pl.col(role).is_finite()).then(pl.col(role)))
    if not valid.all():
        frame = frame.filter(pl.Series(valid))
    return frame.drop_nulls()


def _coded(column: pa.Array) -> tuple[Integers, list[str]]:
    """Return a column of text as numbers, and the text of each number; null is ""."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = [text or "" for text in column.dictionary.to_pylist()]
    codes = pc.cast(column.indices, pa.int64())
    if codes.null_count or not texts:
        codes = codes.fill_null(len(texts))
        texts.append("")
    numbers: Integers = codes.to_numpy()
    return numbers, texts
