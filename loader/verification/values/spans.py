"""Plans which shards and partitions are compared at a time when all values are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loader.dataset.instant import DAY
from loader.dataset.manifest import Partition
from loader.encoding.tsm.decode.columns import TooManyPoints
from loader.servers.backup import Shard
from loader.servers.frames import day_of
from loader.verification.windows import Window, day_stop, plan_windows

WINDOW_ROWS = 2_000_000
"""Rows of the dataset that are compared at a time; a larger partition is one window."""
WINDOW_DAYS = 366
WINDOW_BYTES = 192 << 20
"""Bytes of the points of a window, on either side, beyond which it is compared in parts."""


@dataclass(frozen=True)
class Span:
    """A shard and the windows within it; without a shard, the server has no points in these windows."""

    shard: Shard | None
    windows: tuple[Window, ...]

    @property
    def rows(self) -> int:
        """Rows of the partitions; one that lies in several spans counts in each."""
        return sum(window.rows for window in self.windows)


def plan_spans(shards: Sequence[Shard], partitions: Sequence[Partition]) -> list[Span]:
    """Return spans in time order that cover the partitions' days; times without shard and partition are left out."""
    if not partitions:
        return []
    start = day_of(min(partition.time_min for partition in partitions))
    stop = day_stop(max(partition.time_max for partition in partitions))
    spans = []
    for shard in shards:
        if shard.stop > start and shard.start < stop:
            spans += _span(None, start, shard.start, partitions)
            spans += _span(shard, max(start, shard.start), min(stop, shard.stop), partitions)
            start = shard.stop
    return spans + _span(None, start, stop, partitions)


def halves(window: Window) -> Iterator[Window]:
    """Yield the halves of ``window``, of whole days if it has several days; a window of one nanosecond stays whole.

    They halve the range of the partitions' times in it; if that is a single time, the window itself.
    """
    first = max(window.start, min((partition.time_min for partition in window.partitions), default=window.start))
    last = min(window.stop, max((partition.time_max + 1 for partition in window.partitions), default=window.stop))
    middle = (first + last) // 2 if last - first > 1 else (window.start + window.stop) // 2
    if middle // DAY > window.start // DAY:
        middle = middle // DAY * DAY
    if middle <= window.start:
        yield window
        return
    for start, stop in ((window.start, middle), (middle, window.stop)):
        yield Window(start, stop, _overlapping(window.partitions, start, stop))


def in_parts(whole: Window, most: int, compare: Callable[[Window, int], None], row_bytes: int) -> None:
    """Call ``compare`` for ``whole``, or for parts of it that are small enough to have no more than ``most`` bytes.

    Parts whose rows, of ``row_bytes`` each, are likely more are not tried: that would read them for nothing.
    """
    waiting = [whole]
    while waiting:
        window = waiting.pop()
        parts = list(halves(window))
        try:
            bound = most if len(parts) > 1 else 0
            if 0 < bound < _likely_rows(window) * row_bytes:
                raise TooManyPoints
            compare(window, bound)
        except TooManyPoints:
            waiting += reversed(parts)


def _likely_rows(window: Window) -> int:
    """Return how many rows ``window`` has if those of each partition are spread evenly over its time."""
    rows = 0
    for partition in window.partitions:
        first, last = max(window.start, partition.time_min), min(window.stop - 1, partition.time_max)
        rows += partition.rows * (last - first + 1) // (partition.time_max - partition.time_min + 1)
    return rows


def _span(shard: Shard | None, start: int, stop: int, partitions: Sequence[Partition]) -> list[Span]:
    within = _overlapping(partitions, start, stop)
    if start >= stop or not (shard or within):
        return []
    windows = plan_windows(within, WINDOW_DAYS, WINDOW_ROWS) or [Window(start, stop, ())]
    starts = [start, *(window.start for window in windows[1:])]
    stops = [*starts[1:], stop]
    return [
        Span(
            shard,
            tuple(
                Window(first, last, window.partitions)
                for first, last, window in zip(starts, stops, windows, strict=True)
            ),
        )
    ]


def _overlapping(partitions: Sequence[Partition], start: int, stop: int) -> tuple[Partition, ...]:
    return tuple(partition for partition in partitions if partition.time_min < stop and partition.time_max >= start)
