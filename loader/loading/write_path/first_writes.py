"""The first body into a shard is sent alone, because InfluxDB may lose what arrives at the same time.

InfluxDB 1.x and 2.x make the cache of a shard at the first write after the shard was opened or became idle. A write
of another connection during that instant is acknowledged, and lost: ``Cache.init`` in tsdb/engine/tsm1/cache.go marks
the cache as made before it is, and ``emptyStore.write`` accepts everything and keeps nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import gcd

import numpy as np

from loader.encoding.arrays import Integers
from loader.errors import Retryable
from loader.waiting import SLICE_SECONDS

_DAY = 86_400_000_000_000
_HOUR = 3_600_000_000_000
_MINUTE = 60_000_000_000


class FirstWrites:
    """Decides which bodies may be in flight at the same time: any into shards that have taken one before.

    Shards begin at multiples of their duration from a midnight, and those of a bucket may differ where its shard
    duration was changed. So times are grouped by spans of a day at most, which no shard divides. ``shard_duration`` is
    nanoseconds; an hour is assumed when it is unknown, 0. Memory is one number for each span that has taken a body.
    """

    def __init__(self, shard_duration: int) -> None:
        self._span = max(_MINUTE, gcd(shard_duration or _HOUR, _DAY))
        self._changed = threading.Condition()
        self._begun: set[int] = set()
        self._taking: set[int] = set()

    def spans(self, times: Integers) -> frozenset[int]:
        """Return the spans of ``times``, nanoseconds."""
        first, last = int(times.min()) // self._span, int(times.max()) // self._span
        if last - first < 2:
            return frozenset((first, last))
        numbers = times // self._span
        changes = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        return frozenset((int(numbers[0]), *numbers[changes].tolist()))

    @contextmanager
    def sending(self, spans: frozenset[int], stopping: Callable[[], bool]) -> Iterator[bool]:
        """Wait until a body of ``spans`` may be sent, and yield True to the block that sends it; False on a stop.

        A block that ends without an error has written the body into its shards. After a Retryable error the server may
        have been restarted, so no shard counts as begun.
        """
        first: frozenset[int] = frozenset()
        with self._changed:
            while spans & self._taking and not stopping():
                self._changed.wait(SLICE_SECONDS)
            if free := not spans & self._taking:
                first = spans - self._begun
                self._taking |= first
        taken = False
        try:
            yield free
            taken = free
        except Retryable:
            with self._changed:
                self._begun.clear()
            raise
        finally:
            if first:
                with self._changed:
                    self._taking -= first
                    if taken:
                        self._begun |= first
                    self._changed.notify_all()
