"""Counts rows that have no value of any field, by footers and a sample: such rows cannot be points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loader.dataset.own_files import open_parquet


def count_fieldless(root: Path, names: Sequence[str], fields: Sequence[str], sample: pa.Table) -> tuple[int, int]:
    """Return the least and the most rows of the files ``names`` that have no value of any of ``fields``.

    Footers say how many nulls each column of a row group has, not in which rows; ``sample`` are rows of these files.
    Memory is one footer. Raises ConfigError for a file that is no Parquet.
    """
    seen = sampled_fieldless(sample, fields)
    least = most = rows = 0
    for name in names:
        with open_parquet(root / name) as file:
            leaves = Counter(file.metadata.schema.column(number).path for number in range(file.metadata.num_columns))
            there = [name for name in fields if name in leaves]
            plain = all(leaves[name] == 1 for name in there)
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                nulls = _nulls(group, {*there}) if plain else []
                known = [each for each in nulls if each is not None]
                rows += group.num_rows
                most += min([group.num_rows, *known])
                if len(known) == len(there):
                    least += max(0, group.num_rows - sum(group.num_rows - each for each in known))
    if rows == len(sample):
        return seen, seen
    return max(least, seen), most


def sampled_fieldless(sample: pa.Table, fields: Sequence[str]) -> int:
    """Return how many rows of ``sample`` have no value of any of ``fields``."""
    empty = pa.repeat(pa.scalar(value=True), len(sample))
    for name in {*fields} & {*sample.column_names}:
        empty = pc.and_(empty, sample.column(name).is_null())
    return int(empty.true_count if isinstance(empty, pa.Array) else sum(chunk.true_count for chunk in empty.chunks))


def _nulls(group: pq.RowGroupMetaData, fields: set[str]) -> list[int | None]:
    """Return how many nulls each of ``fields`` has in a row group, None where it does not say."""
    chunks = [group.column(number) for number in range(group.num_columns)]
    return [
        chunk.statistics.null_count if chunk.is_stats_set and chunk.statistics.has_null_count else None
        for chunk in chunks
        if chunk.path_in_schema in fields
    ]
