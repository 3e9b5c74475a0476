"""Tells quickly that rows lie series by series, each series' times ascending: then no two have one identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from loader.dataset.manifest import Partition
from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers
from loader.encoding.columns import time_unit
from loader.encoding.series import run_begins

_RUN_ROWS = 32
"""Rows that a run of one series has on average where its name is worth making."""


def lie_in_series_order(batches: Iterable[pa.RecordBatch], schema: PointSchema, partition: Partition) -> bool | None:
    """Tell whether the rows of ``partition``, which are ``batches``, lie in order; None where it takes a closer look.

    That is where tags are no dictionaries, or there are nulls, times that the manifest does not say of the partition,
    or short runs. Memory is the names of the series.
    """
    former: tuple[str, ...] | None = None
    last = 0
    ended: set[tuple[str, ...]] = set()
    for batch in batches:
        if not len(batch):
            continue
        tags = [batch.column(tag) for tag in schema.tags]
        times = _times(batch.column(schema.time), schema, partition)
        if times is None or any(not _is_plain(tag) for tag in tags):
            return None
        begins = run_begins([tag.indices.to_numpy() for tag in tags], len(batch))
        starts = np.flatnonzero(begins)
        if len(starts) * _RUN_ROWS > len(batch) + _RUN_ROWS:
            return None
        if not ((times[1:] > times[:-1]) | begins[1:]).all():
            return False
        for start, name in zip(starts.tolist(), _names(tags, starts), strict=True):
            if name == former:
                if times[start] <= (times[start - 1] if start else last):
                    return False
            elif name in ended:
                return False
            former = name
            ended.add(name)
        last = int(times[-1])
    return True


def _times(column: pa.Array, schema: PointSchema, partition: Partition) -> Integers | None:
    """Return times as they are, None where one is null or not among those that the manifest says."""
    if column.null_count:
        return None
    unit = time_unit(column.type, schema)
    times: Integers = column.cast(pa.int64()).to_numpy()
    within = partition.time_min <= int(times.min()) * unit <= int(times.max()) * unit <= partition.time_max
    return times if within else None


def _is_plain(tag: pa.Array) -> bool:
    return pa.types.is_dictionary(tag.type) and not tag.null_count and not tag.dictionary.null_count


def _names(tags: Iterable[pa.DictionaryArray], starts: Integers) -> Iterator[tuple[str, ...]]:
    """Yield the tags of the rows ``starts``."""
    chosen = pa.array(starts)
    columns = [tag.dictionary.take(tag.indices.take(chosen)).to_pylist() for tag in tags]
    yield from zip(*columns, strict=True) if columns else [()] * len(starts)
