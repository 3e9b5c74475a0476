"""Which bodies may be on their way together."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.errors import PartialWrite, Retryable
from loader.loading.write_path import first_writes
from loader.loading.write_path.first_writes import FirstWrites

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EPOCH = 719_162 * DAY
"""Nanoseconds from the first midnight of the year 1, at a multiple of which shards begin, to 1970."""
DURATIONS = (0, HOUR, 90 * MINUTE, 5 * HOUR, 12 * HOUR, DAY, 36 * HOUR, 7 * DAY, 30 * DAY)


def never() -> bool:
    """Tell that the load goes on."""
    return False


def free(writes: FirstWrites, *spans: int) -> bool:
    """Tell whether a body of ``spans`` could be sent now; it is, if so."""
    with writes.sending(frozenset(spans), lambda: True) as now:
        return now


@given(st.sampled_from(DURATIONS), st.lists(st.integers(TIME_MIN, TIME_MAX), min_size=1, max_size=50))
@example(HOUR, [0, DAY, 0, DAY, 2 * DAY, 2 * DAY])
def test_a_span_lies_within_a_shard(duration: int, times: list[int]) -> None:
    """Times of one span are in one shard, whether of the rule of today or of a day; nothing else is a span."""
    writes = FirstWrites(duration)
    alone = [writes.spans(np.array([time])) for time in times]
    assert writes.spans(np.array(times)) == frozenset().union(*alone)
    for size in {duration or HOUR, *([DAY] if not duration % DAY else [])}:
        shards: dict[int, set[int]] = {}
        for moment, spans in zip(times, alone, strict=True):
            shards.setdefault(min(spans), set()).add((moment + EPOCH) // size)
        assert all(len(found) == 1 for found in shards.values())


def test_no_duration_makes_spans_without_end() -> None:
    """A server that calls its shards a nanosecond long costs no number for each row."""
    assert len(FirstWrites(1).spans(np.arange(0, 10 * MINUTE, 1_000_000))) == 10


def test_the_first_body_of_a_span_is_alone() -> None:
    """Until it has arrived others wait, and those of other spans do not; then all may go together."""
    writes = FirstWrites(DAY)
    with writes.sending(frozenset({1, 2}), never) as first:
        assert first
        assert not free(writes, 2)
        assert not free(writes, 2, 3)
        assert free(writes, 3)
    with writes.sending(frozenset({1}), never), writes.sending(frozenset({2, 3}), never) as together:
        assert together
        assert free(writes, 1, 2, 3)


def test_who_waits_goes_next() -> None:
    """A body that had to wait is sent when the first one has arrived."""
    writes = FirstWrites(DAY)
    order: list[str] = []

    def send() -> None:
        with writes.sending(frozenset({1}), never) as now:
            order.append(f"second {now}")

    with ThreadPoolExecutor(1) as pool:
        with writes.sending(frozenset({1}), never):
            second = pool.submit(send)
            assert not threading.Event().wait(0.3)
            order.append("first")
        second.result(10)
    assert order == ["first", "second True"]


@pytest.mark.parametrize("error", [PartialWrite("planted", status=400, rest_stored=True), Retryable("planted")])
def test_what_failed_was_not_the_first(error: Exception) -> None:
    """After a first body that was not taken, the next one is the first."""
    writes = FirstWrites(DAY)
    with pytest.raises(type(error)), writes.sending(frozenset({1}), never):
        raise error
    with writes.sending(frozenset({1}), never) as now:
        assert now
        assert not free(writes, 1)


def test_a_server_that_was_away_begins_again() -> None:
    """After a body that may be tried again, every shard's next body is its first."""
    writes = FirstWrites(DAY)
    assert free(writes, 1)
    with writes.sending(frozenset({1}), never):
        assert free(writes, 1)
    with pytest.raises(Retryable), writes.sending(frozenset({2}), never):
        raise Retryable("planted")
    with writes.sending(frozenset({1}), never):
        assert not free(writes, 1)


def test_what_was_sent_to_the_server_before_is_no_first_of_the_next() -> None:
    """A body on its way while the server goes away is waited for, and makes no shard of the next one begun."""
    writes = FirstWrites(DAY)
    assert free(writes, 1)
    with writes.sending(frozenset({1}), never):
        with pytest.raises(Retryable), writes.sending(frozenset({1, 2}), never):
            raise Retryable("planted")
        assert not free(writes, 1)
        assert free(writes, 2)
    with writes.sending(frozenset({1}), never):
        assert not free(writes, 1)


def test_a_span_that_was_quiet_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What took its last body some seconds ago has its next one alone."""
    writes = FirstWrites(DAY)
    assert free(writes, 1)
    now = time.monotonic()
    monkeypatch.setattr(first_writes, "monotonic", lambda: now + 6)
    with writes.sending(frozenset({1}), never):
        assert not free(writes, 1)
    with writes.sending(frozenset({1}), never):
        assert free(writes, 1)


def test_many_senders_and_faults() -> None:
    """However bodies overlap and fail, a first one is alone in its spans, and nothing is on its way at the end."""
    writes = FirstWrites(DAY)
    lock = threading.Lock()
    on_way: Counter[int] = Counter()
    begun: set[int] = set()
    wrong: list[frozenset[int]] = []

    def send(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(150):
            spans = frozenset(draw.sample(range(4), draw.randint(1, 3)))
            with suppress(PartialWrite), writes.sending(spans, never):
                with lock:
                    if any(on_way[span] and span not in begun for span in spans):
                        wrong.append(spans)
                    on_way.update(spans)
                time.sleep(draw.random() / 5_000)
                with lock:
                    on_way.subtract(spans)
                    if draw.random() < 0.2:
                        raise PartialWrite("planted", status=400, rest_stored=True)
                    begun.update(spans)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert not wrong
    assert not writes._on_way
    assert not writes._first
