"""Asks InfluxDB 3 in windows of time, because it reads a limited number of files for one query.

Only a condition on time leaves files out. The server says how many files there are, and of which times; a window that
has too many after all, because another limit is set or files were added, is halved.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import polars as pl

from loader.dataset.instant import DAY, instant
from loader.encoding.arrays import Integers
from loader.errors import ServerError
from loader.servers.base import AggregateQuery, PointsQuery, Send, Target, TooManyFiles, WindowQuery
from loader.servers.tables import find_columns, find_extents

MOST_FILES = 400
"""Files of a window; the server allows 432 unless it is told otherwise, and may get some meanwhile."""
Query = TypeVar("Query", AggregateQuery, PointsQuery, WindowQuery)


@dataclass(frozen=True)
class _Table:
    """The columns of a measurement, and first and last times of its files, each in ascending order."""

    columns: frozenset[str]
    firsts: Integers
    lasts: Integers


@dataclass(frozen=True)
class FileWindows:
    """Knows the tables of ``target``; each is asked for once. Memory is 16 bytes a file."""

    target: Target
    _tables: dict[str, _Table] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, send: Send, query: Query, ask: Callable[[Query], pl.DataFrame]) -> list[pl.DataFrame]:
        """Return the answers of ``ask`` for the parts of ``query``, in the order of time; raises ServerError."""
        table = self._table(send, query.schema.measurement)
        waiting = [
            replace(query, start=start, stop=stop, columns=table.columns)
            for start, stop in reversed(list(plan_parts(table.firsts, table.lasts, query.start, query.stop)))
        ]
        answers = []
        while waiting:
            part = waiting.pop()
            try:
                answers.append(ask(part))
            except TooManyFiles:
                waiting += reversed(_halves(part))
        return answers

    def _table(self, send: Send, measurement: str) -> _Table:
        with self._lock:
            if measurement not in self._tables:
                columns = find_columns(send, self.target, measurement)
                extents = find_extents(send, self.target, measurement)
                self._tables[measurement] = _Table(frozenset(columns), np.sort(extents[:, 0]), np.sort(extents[:, 1]))
            return self._tables[measurement]


def plan_parts(firsts: Integers, lasts: Integers, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of ``start`` <= time < ``stop`` that have at most MOST_FILES files, by their times (ascending).

    Where more files have one time, a part is a day.
    """
    while start < stop:
        earlier = int(np.searchsorted(lasts, start))
        end = earlier + MOST_FILES
        until = min(stop, int(firsts[end])) if end < len(firsts) else stop
        if until <= start:
            until = min(stop, (start // DAY + 1) * DAY)
        yield start, until
        start = until


def _halves(part: Query) -> list[Query]:
    middle = (part.start + part.stop) // 2
    if middle == part.start:
        raise ServerError(
            f"query: the server has more files of {instant(part.start)} than it reads for one query",
            status=500,
            hint="restart it with a larger --query-file-limit",
        )
    return [replace(part, stop=middle), replace(part, start=middle)]
