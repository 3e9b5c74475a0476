"""The time range of the points of a file: from its statistics, or from its times where there are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from loader.dataset.chunk import Chunk
from loader.dataset.instant import NANOSECONDS, TIME_MAX, TIME_MIN
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import PointSchema

Range = tuple[int, int]
_STORED_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


def read_time_range(root: Path, name: str, file: pq.ParquetFile, schema: PointSchema) -> Range | None:
    """Return the first and last time of the points of a file, in nanoseconds, None where no row has a valid time."""
    ranges = list(_stored_ranges(file, schema))
    if not all(found and TIME_MIN <= found[0] <= found[1] <= TIME_MAX for found in ranges):
        ranges = list(_read_ranges(root, name, file.metadata.num_rows, schema))
    found = [each for each in ranges if each]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _stored_ranges(file: pq.ParquetFile, schema: PointSchema) -> Iterator[Range | None]:
    """Yield what the statistics of each row group say, None where they do not."""
    source = schema.source(schema.time)
    number = next(number for number in range(file.metadata.num_columns) if file.schema.column(number).path == source)
    kind = {} if schema.policy.local else json.loads(file.schema.column(number).logical_type.to_json())
    unit = NANOSECONDS.get(schema.time_unit or _STORED_UNITS.get(kind.get("timeUnit", ""), ""))
    for group in range(file.metadata.num_row_groups):
        column = file.metadata.row_group(group).column(number)
        told = column.statistics if column.is_stats_set else None
        if column.physical_type == "INT64" and unit and told and told.has_min_max:
            yield told.min_raw * unit, told.max_raw * unit
        else:
            yield None


def _read_ranges(root: Path, name: str, rows: int, schema: PointSchema) -> Iterator[Range | None]:
    """Yield the range of the times in each batch that InfluxDB can store, None where there are none."""
    times = replace(schema, tags=(), fields=())
    for batch in read_batches(root, times, Chunk(name, 0, rows), GROUP_ROWS):
        column = batch.column(0)
        unit = NANOSECONDS[column.type.unit if pt.is_timestamp(column.type) else schema.time_unit]
        whole = column.cast(pa.int64())
        valid = pc.and_(pc.greater_equal(whole, -(-TIME_MIN // unit)), pc.less_equal(whole, TIME_MAX // unit))
        low, high = pc.min_max(whole.filter(valid)).as_py().values()
        yield None if low is None else (low * unit, high * unit)
