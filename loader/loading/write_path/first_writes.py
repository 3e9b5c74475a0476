"""The first body into a shard is sent alone, because InfluxDB may lose what arrives at the same time.

InfluxDB 1.x and 2.x make the cache of a shard at the first write after the shard was opened or became idle. A write
of another connection during that instant is acknowledged, and lost: ``Cache.init`` in tsdb/engine/tsm1/cache.go marks
the cache as made before it is, and ``emptyStore.write`` accepts everything and keeps nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import gcd
from time import monotonic

import numpy as np

from loader.dataset.instant import DAY
from loader.encoding.arrays import Integers
from loader.errors import Retryable
from loader.waiting import SLICE_SECONDS

_HOUR = DAY // 24
_MINUTE = _HOUR // 60
_QUIET_SECONDS = 5.0
"""After so long without a body, the server may have been restarted, which a connection made anew does not tell."""


class FirstWrites:
    """Tells senders which bodies may be on their way together: any, into shards that took one a moment ago.

    Shards begin at multiples of their duration from a midnight. Times are told apart by spans of a day at most that
    no shard of the bucket's rule divides; nor do those of an earlier rule of whole days. ``shard_duration`` is
    nanoseconds, or 0 where it is unknown, and then an hour. Memory is one number for each span that has taken a body.
    With ``alone`` false, for servers without shards, any bodies may be on their way together.
    """

    def __init__(self, shard_duration: int, *, alone: bool = True) -> None:
        self._alone = alone
        self._span = max(_MINUTE, gcd(shard_duration or _HOUR, DAY))
        self._changed = threading.Condition()
        # When each span took its last body, and how often the server was away.
        self._taken: dict[int, float] = {}
        self._epoch = 0
        # The bodies on their way, by span; and the spans of which one of them is the first.
        self._on_way: Counter[int] = Counter()
        self._first: set[int] = set()

    def spans(self, times: Integers) -> frozenset[int]:
        """Return the spans of ``times``, nanoseconds; none where bodies need not be alone."""
        if not self._alone:
            return frozenset()
        first, last = int(times.min()) // self._span, int(times.max()) // self._span
        if last - first < 2:
            return frozenset((first, last))
        numbers = times // self._span
        changes = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        return frozenset((int(numbers[0]), *numbers[changes].tolist()))

    @contextmanager
    def sending(self, spans: frozenset[int], stopping: Callable[[], bool]) -> Iterator[bool]:
        """Wait until a body of ``spans`` may be sent, and yield True to the block that sends it; False on a stop.

        A block that ends without an error has brought the body into its shards. After one that may be tried again
        the server may be another than before, so each shard's next body is its first.
        """
        with self._changed:
            while self._is_in_the_way(spans):
                if stopping():
                    free = False
                    break
                self._changed.wait(SLICE_SECONDS)
            else:
                free = True
                epoch = self._epoch
                first = {span for span in spans if not self._is_begun(span)}
                self._first |= first
                self._on_way.update(spans)
        if not free:
            yield False
            return
        try:
            yield True
        except Retryable:
            with self._changed:
                self._epoch += 1
                self._taken.clear()
            raise
        else:
            with self._changed:
                if epoch == self._epoch:
                    self._taken.update(dict.fromkeys(spans, monotonic()))
        finally:
            with self._changed:
                self._first -= first
                self._on_way.subtract(spans)
                self._on_way += Counter()  # without those that are none
                self._changed.notify_all()

    def _is_begun(self, span: int) -> bool:
        taken = self._taken.get(span)
        return taken is not None and monotonic() - taken < _QUIET_SECONDS

    def _is_in_the_way(self, spans: frozenset[int]) -> bool:
        """Tell whether a body on its way is the first of one of ``spans``, or another would have to be."""
        return any(span in self._first or (span in self._on_way and not self._is_begun(span)) for span in spans)
