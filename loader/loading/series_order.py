"""Tells quickly that rows lie series by series, each series' times ascending: then no two have one identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loader.dataset.manifest import Partition
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import time_unit
from loader.encoding.selection import can_be_series
from loader.encoding.series import SeriesRuns, find_series, run_begins

MOST_SIZE = 4 << 20
"""Most bytes of an order that is worth keeping: its series' texts are made as a whole, for each shard anew."""
_ENTRY_BYTES = 300
_RUN_ROWS = 32
"""Rows that a run of one series has on average where its name is worth making."""


@dataclass(frozen=True)
class SeriesOrder:
    """Where each series of a partition begins; its ``rows`` lie series by series, and in each they ascend in time.

    ``starts`` has the first row of each series, by the values of its ``tags``.
    """

    rows: int
    tags: tuple[str, ...]
    starts: Mapping[tuple[bytes, ...], int]

    @property
    def size(self) -> int:
        """About the bytes that it takes in memory."""
        return _ENTRY_BYTES * (1 + len(self.starts)) + sum(len(tag) for name in self.starts for tag in name)

    def runs(self, schema: PointSchema) -> SeriesRuns | None:
        """Return the series as runs of rows, with the tags in the order of ``schema``; None if one may have no form."""
        starts = np.fromiter(self.starts.values(), np.int64, len(self.starts))
        columns = {
            tag: pa.array([name[number] for name in self.starts], pa.large_binary()).view(pa.large_string())
            for number, tag in enumerate(self.tags)
        }
        # With a column of times the batch has its rows also where there are no tags.
        firsts = pa.record_batch(
            {schema.time: starts, **{tag: each.dictionary_encode() for tag, each in columns.items()}}
        )
        if not can_be_series(firsts, schema):
            return None
        found = find_series(firsts, schema)
        return SeriesRuns(np.append(starts, self.rows), found.codes, found.texts)


def find_series_order(
    batches: Iterable[pa.RecordBatch], schema: PointSchema, partition: Partition
) -> SeriesOrder | bool | None:
    """Return where the series of ``partition`` begin, whose rows are ``batches``; False when they lie in no such order.

    True when they do, but an order of so many or so long names would take more than MOST_SIZE. None where it takes a
    closer look: where tags are no dictionaries, or there are nulls, times that the manifest does not say of the
    partition, or short runs. Memory is the names of the series.
    """
    former: tuple[bytes, ...] | None = None
    row = last = 0
    begun: dict[tuple[bytes, ...], int] = {}
    for batch in batches:
        if not len(batch):
            continue
        runs = _runs(batch, schema, partition)
        if not isinstance(runs, tuple):
            return runs
        times, starts = runs
        tags = [batch.column(tag) for tag in schema.tags]
        for start, name in zip(starts.tolist(), _names(tags, starts), strict=True):
            if name == former:
                if times[start] <= (times[start - 1] if start else last):
                    return False
            elif name in begun:
                return False
            else:
                begun[name] = row + start
            former = name
        last = int(times[-1])
        row += len(batch)
    order = SeriesOrder(row, schema.tags, begun)
    return order if order.size <= MOST_SIZE else True


def _runs(batch: pa.RecordBatch, schema: PointSchema, partition: Partition) -> tuple[Integers, Integers] | bool | None:
    """Return times, and where runs of one series begin; False where times do not ascend in one, None as above."""
    tags = [batch.column(tag) for tag in schema.tags]
    column = batch.column(schema.time)
    if column.null_count or any(not _is_plain(tag) for tag in tags):
        return None
    times: Integers = column.cast(pa.int64()).to_numpy()
    begins = run_begins([tag.indices.to_numpy() for tag in tags], len(batch))
    starts = np.flatnonzero(begins)
    if len(starts) * _RUN_ROWS > len(batch) + _RUN_ROWS:
        return None
    if not ((times[1:] > times[:-1]) | begins[1:]).all():
        return False
    # In a run that ascends, the first time is the least, and the last the greatest.
    first, last = times[starts].min(), times[np.append(starts[1:] - 1, -1)].max()
    unit = time_unit(column.type, schema)
    within = partition.time_min <= int(first) * unit <= int(last) * unit <= partition.time_max
    return (times, starts) if within else None


def _is_plain(tag: pa.Array) -> bool:
    return pa.types.is_dictionary(tag.type) and not tag.null_count and not tag.dictionary.null_count


def _names(tags: Iterable[pa.DictionaryArray], starts: Integers) -> Iterator[tuple[bytes, ...]]:
    """Yield the tags of the rows ``starts``, as bytes: not all text is UTF-8."""
    chosen = pa.array(starts)
    columns = [tag.dictionary.take(tag.indices.take(chosen)).cast(pa.large_binary()).to_pylist() for tag in tags]
    yield from zip(*columns, strict=True) if columns else [()] * len(starts)
