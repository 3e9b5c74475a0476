"""One body at a time is the first into a shard, because InfluxDB may lose what arrives beside it.

InfluxDB 1.x and 2.x make the memory of a shard at the first write that it gets since it was opened or fell idle. A
write of another connection that comes during that instant is acknowledged, and goes nowhere: ``Cache.init`` in
tsdb/engine/tsm1/cache.go marks the memory as made before it is, and ``emptyStore.write`` takes all and keeps nothing.
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
    """Tells senders which bodies may be on their way together: any, into shards that have taken one before.

    Shards begin at multiples of their duration from a midnight, and those of a bucket may differ where its rule was
    changed. So times are told apart by spans of a day at most that no shard divides: ``shard_duration`` in nanoseconds,
    or an hour when it is 0, unknown. Memory is one number for each span that has taken a body.
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
        """Wait until a body of ``spans`` may be sent, which the block does; False when the load stops before.

        A block that ends without an error has brought the body into its shards. After one that may be tried again
        the server may be another than before, so no shard counts as begun.
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
