"""Rows that a load moves by nanoseconds, so that no two have one identity: kept beside the manifest, which counts them.

``moves.parquet`` has a line for each of them: the number of its partition in the manifest, its ``row`` there, and by
how many nanoseconds it is moved (``step``), in the order of the dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest, Moves, Partition
from loader.dataset.scratch import Scratch
from loader.dataset.state import open_state, state_path, whole_state
from loader.errors import StageError

Integers: TypeAlias = npt.NDArray[np.int64]

_FILE = "moves.parquet"
_COLUMNS = pa.schema([("partition", pa.int32()), ("row", pa.int64()), ("step", pa.int64())])
_GROUP_ROWS = 131_072
_GROUP_BYTES = 64 * _GROUP_ROWS


def no_moves(scratch: Scratch, partition: Partition) -> Integers:
    """Return a step of zero for each row of ``partition``; raises ConfigError when there is no room."""
    return scratch.zeros(8 * partition.rows).view(np.int64)


def with_moves(manifest: Manifest, steps: Mapping[str, Integers], last: Mapping[str, int]) -> Manifest:
    """Return ``manifest`` with the ``steps`` of the rows of some partitions, which have times up to ``last``.

    Without steps it is the same manifest.
    """
    if not steps:
        return manifest
    partitions = tuple(
        replace(part, moves=steps[part.path], time_max=max(part.time_max, last[part.path]))
        if part.path in steps
        else part
        for part in manifest.partitions
    )
    return replace(manifest, partitions=partitions, moves=_summary(partitions))


def write_moves(root: Path, manifest: Manifest) -> None:
    """Write the moves of ``manifest`` among the loader's own files of ``root``; raises OSError or StageError."""
    with whole_state(root, _FILE) as path, pq.ParquetWriter(path, _COLUMNS, compression="zstd") as file:
        for number, rows, steps in _moved(manifest.partitions):
            file.write_batch(pa.record_batch([np.full(len(rows), number, np.int32), rows, steps], schema=_COLUMNS))


def read_moves(root: Path, manifest: Manifest) -> Manifest:
    """Return ``manifest`` with the moves that were written; memory is a row group.

    Temporary files have 8 bytes for each row of a partition of which some are moved. Raises StageError when they are
    not those that the manifest counts, ConfigError when there is no room.
    """
    if not manifest.moves:
        return manifest
    reader = _Reader(manifest)
    try:
        with open_state(root, _FILE) as opened, pq.ParquetFile(opened) as file:
            _refuse_others(file.metadata, manifest.moves)
            for batch in file.iter_batches(_GROUP_ROWS, use_threads=False):
                reader.take(batch)
    except FileNotFoundError:
        raise _disagreement(root, "is missing") from None
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _disagreement(root, f"cannot be read ({error})") from error
    partitions = tuple(replace(part, moves=reader.steps.get(number)) for number, part in enumerate(manifest.partitions))
    if _summary(partitions) != manifest.moves:
        raise _disagreement(root, "holds other moves than the manifest counts")
    return replace(manifest, partitions=partitions)


def _refuse_others(metadata: pq.FileMetaData, moves: Moves) -> None:
    """Raise ValueError for what nobody has written here: a dataset may come from anybody."""
    if metadata.num_rows != moves.rows:
        raise ValueError(f"{metadata.num_rows:,} rows, where the manifest counts {moves.rows:,}")
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.num_rows > _GROUP_ROWS or group.total_byte_size > _GROUP_BYTES:
            raise ValueError(f"row group {number} has {group.num_rows:,} rows and {group.total_byte_size:,} bytes")


class _Reader:
    """Takes what was written, and refuses what could not have been; ``steps`` are by the numbers of partitions."""

    def __init__(self, manifest: Manifest) -> None:
        self._partitions = manifest.partitions
        self._scratch = Scratch()
        self._last = (-1, -1)
        self.steps: dict[int, Integers] = {}

    def take(self, batch: pa.RecordBatch) -> None:
        """Take the next rows; raises ValueError."""
        if batch.schema != _COLUMNS or any(column.null_count for column in batch.columns):
            raise ValueError("other columns than expected")
        numbers, rows, steps = (column.to_numpy() for column in batch.columns)
        if not 0 < steps.min() <= steps.max() < DAY:
            raise ValueError("steps that are none")
        for number in np.unique(numbers).tolist():
            here = numbers == number
            self._take(number, rows[here], steps[here])

    def _take(self, number: int, rows: Integers, steps: Integers) -> None:
        if not 0 <= number < len(self._partitions):
            raise ValueError(f"no partition {number}")
        partition = self._partitions[number]
        if (number, rows[0]) <= self._last or not (rows[1:] > rows[:-1]).all():
            raise ValueError("rows in another order")
        if not 0 <= rows[0] <= rows[-1] < partition.rows:
            raise ValueError(f"rows that {partition.path} does not have")
        if number not in self.steps:
            self.steps[number] = no_moves(self._scratch, partition)
        self.steps[number][rows] = steps
        self._last = number, int(rows[-1])


def _moved(partitions: tuple[Partition, ...]) -> Iterator[tuple[int, Integers, Integers]]:
    """Yield partition number, rows and steps of what is moved, some at a time."""
    for number, partition in enumerate(partitions):
        if partition.moves is None:
            continue
        for start in range(0, partition.rows, _GROUP_ROWS):
            part = partition.moves[start : start + _GROUP_ROWS]
            rows = np.flatnonzero(part)
            if len(rows):
                yield number, start + rows, part[rows]


def _summary(partitions: tuple[Partition, ...]) -> Moves:
    """Return how many rows are moved, the longest move, and a checksum of all moves."""
    digest = hashlib.sha256()
    total = longest = 0
    for number, rows, steps in _moved(partitions):
        digest.update(f"{number} {len(rows)}\n".encode())
        digest.update(rows.astype("<i8").tobytes() + steps.astype("<i8").tobytes())
        total += len(rows)
        longest = max(longest, int(steps.max()))
    return Moves(total, longest, digest.hexdigest())


def _disagreement(root: Path, what: str) -> StageError:
    return StageError(
        f"{state_path(root, _FILE)}: {what}",
        hint="it says which rows were moved apart: load again with --on-duplicate nudge",
    )
