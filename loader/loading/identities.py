"""Looks for rows of one identity: InfluxDB would keep one point of each such group, and say nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from loader.dataset.chunk import Chunk
from loader.dataset.manifest import Manifest, Partition
from loader.dataset.reader import read_joined
from loader.dataset.schema import PointSchema
from loader.encoding.columns import read_times
from loader.encoding.series import find_series
from loader.errors import ConfigError
from loader.servers.frames import instant

MOST_ROWS = 8_000_000
"""Rows that are sorted at a time, where they are not in order already."""


@dataclass(frozen=True)
class _Identities:
    """Series (numbers) and times (nanoseconds) of the rows at ``address``."""

    address: Chunk
    series: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]


def require_distinct(root: Path, manifest: Manifest, stop: threading.Event | None = None) -> None:
    """Raise ConfigError when two rows of the dataset at ``root`` have the same identity; it names both.

    A dataset whose manifest says so already is not read. Rows in series order, each series' times ascending, and
    partitions one after the other in time are checked as they stream by; others are sorted, some MOST_ROWS rows
    at a time. Memory is bounded by about 40 bytes for each of those, as long as times are spread evenly, and
    the names of the series. Setting ``stop`` ends it early. Raises StageError and EncodeError as reading does.
    """
    if manifest.distinct:
        return
    known: dict[str, int] = {}
    for group in _overlapping([partition for partition in manifest.partitions if partition.rows]):
        if stop and stop.is_set():
            return
        if len(group) > 1 or not _ascends(_identities(root, manifest.schema, group[0], known)):
            _sort(root, manifest.schema, group, known)


def _overlapping(partitions: Sequence[Partition]) -> Iterator[list[Partition]]:
    """Yield groups of partitions that overlap in time."""
    group: list[Partition] = []
    for partition in sorted(partitions, key=lambda partition: partition.time_min):
        if group and partition.time_min > max(other.time_max for other in group):
            yield group
            group = []
        group.append(partition)
    if group:
        yield group


def _identities(root: Path, schema: PointSchema, partition: Partition, known: dict[str, int]) -> Iterator[_Identities]:
    """Yield the identities of a partition in the order of its rows; ``known`` numbers the series."""
    columns = replace(schema, fields=())
    for address, batch in read_joined(root, columns, partition):
        runs = find_series(batch, columns, address)
        numbers = np.array([known.setdefault(text, len(known)) for text in runs.texts.to_pylist()], np.int64)
        times = read_times(batch, schema, address).to_numpy()
        yield _Identities(address, np.repeat(numbers[runs.codes], runs.lengths), times)


def _ascends(parts: Iterator[_Identities]) -> bool:
    """Tell whether each series' rows are together and ascend strictly in time."""
    last_series, last_time = -1, 0
    ended: set[int] = set()
    for part in parts:
        series = np.append(last_series, part.series)
        times = np.append(last_time, part.times)
        begins = series[1:] != series[:-1]
        if not (begins | (times[1:] > times[:-1])).all():
            return False
        begun = part.series[begins].tolist()
        if len(ended) + len(begun) != len(ended := ended | set(begun)):
            return False
        last_series, last_time = series[-1], times[-1]
    return True


def _sort(root: Path, schema: PointSchema, group: Sequence[Partition], known: dict[str, int]) -> None:
    """Raise ConfigError when two rows of ``group`` have the same identity; looks at one slice of time after another."""
    first = min(partition.time_min for partition in group)
    last = max(partition.time_max for partition in group)
    slices = -(-sum(partition.rows for partition in group) // MOST_ROWS)
    bounds = {first + (last - first) * number // slices for number in range(slices)} | {last + 1}
    for start, stop in pairwise(sorted(bounds)):
        parts = []
        for number, partition in enumerate(group):
            if partition.time_min < stop and partition.time_max >= start:
                for part in _identities(root, schema, partition, known):
                    rows = np.flatnonzero((part.times >= start) & (part.times < stop))
                    parts.append((part.series[rows], part.times[rows], number, part.address.start + rows))
        frame = pl.concat(
            [
                pl.DataFrame({"series": series, "time": times, "row": rows}).with_columns(partition=pl.lit(number))
                for series, times, number, rows in parts
            ]
        )
        twice = frame.filter(frame.select(pl.struct("series", "time").is_duplicated()).to_series())
        if twice.height:
            pair = twice.sort("series", "time", "partition", "row").head(2)
            one, other = (f"{group[number].path}, row {row}" for number, row in pair.select("partition", "row").rows())
            text, time = list(known)[pair["series"][0]], pair["time"][0]
            raise ConfigError(
                f"{one} and {other}: the same series {text} and time {instant(time)} ({time}); InfluxDB keeps one of"
                " them, and the restore path needs them distinct",
                hint="make their times or tags differ; by the write path (--via write) the last one written stays",
            )
