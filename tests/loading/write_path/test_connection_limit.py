"""How many connections a load uses, beside servers that are computed: no time passes here."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.loading.write_path.connection_limit import START, ConnectionLimit, adaptive, fixed
from loader.servers.base import WriteRules

MOST = WriteRules().connections

ANSWERED, SLOW, REFUSED = "answered", "slow", "refused"


@dataclass
class Server:
    """Takes a body at a time, ``capacity`` a second with some chance in it, behind ``latency`` seconds there and back.

    ``run`` sends as many at a time as the limit says, and keeps the limits that it saw.
    """

    limit: ConnectionLimit
    capacity: float
    latency: float = 0.0
    noise: float = 0.3
    crowd: int = 10_000
    now: float = 0.0
    taken: int = 0
    seen: list[int] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    _free: float = 0.0
    _under_way: list[tuple[float, float]] = field(default_factory=list)

    def run(self, seconds: float, *, waiting: bool = True) -> float:
        """Return the bodies a second of the next ``seconds``; those beyond ``crowd`` are refused."""
        end, taken = self.now + seconds, self.taken
        while self.now < end:
            while len(self._under_way) < self.limit.limit:
                begin = max(self.now + self.latency / 2, self._free)
                self._free = begin + self.chance.uniform(1 - self.noise, 1 + self.noise) / self.capacity
                heapq.heappush(self._under_way, (self._free + self.latency / 2, self.now))
            crowded = len(self._under_way) > self.crowd
            self.now, began = heapq.heappop(self._under_way)
            if crowded:
                self.limit = self.limit.refused(began, self.now)
            else:
                self.taken += 1
                self.limit = self.limit.answered(began, self.now, 1, waiting=waiting)
            self.seen.append(self.limit.limit)
        return (self.taken - taken) / seconds


@pytest.mark.parametrize("latency", [0.0, 0.04, 0.2, 1.0])
@pytest.mark.parametrize("capacity", [5.0, 25.0, 100.0])
def test_the_rate_is_near_that_of_the_best_number(capacity: float, latency: float) -> None:
    """Whatever sets the pace, the server or the way to it, what is found is near what the best number brings."""
    server = Server(adaptive(MOST), capacity, latency)
    server.run(30)
    best = min(capacity, MOST / (latency + 1 / capacity))
    assert server.run(60) >= 0.9 * best


def test_a_slow_way_takes_many_connections() -> None:
    """Behind 40 ms a quick server is brought five times as much as by one connection, after a few seconds."""
    server = Server(adaptive(MOST), 250.0, 0.04)
    server.run(10)
    assert server.run(20) >= 5 * Server(fixed(1), 250.0, 0.04).run(20)


def test_a_server_that_sets_the_pace_keeps_few() -> None:
    """More are tried now and then, ever more rarely, and given up."""
    server = Server(adaptive(MOST), 25.0)
    server.run(300)
    assert max(server.seen) <= 8
    assert sum(limit > START for limit in server.seen) < len(server.seen) / 10


def test_few_are_enough_once_the_way_is_quick() -> None:
    """Connections that bring nothing any more are given up."""
    server = Server(adaptive(MOST), 250.0, 0.2)
    server.run(20)
    assert server.limit.limit > 20
    server.capacity, server.latency = 25.0, 0.0
    server.run(300)
    assert server.limit.limit < 10


def test_without_bodies_that_wait_nothing_is_tried() -> None:
    """Where the loader sets the pace, more connections would have nothing to send."""
    server = Server(adaptive(MOST), 250.0, 0.04)
    server.run(60, waiting=False)
    assert set(server.seen) == {START}


def test_a_server_that_refuses_is_sent_less() -> None:
    """Half of the connections are given up, not once for each body that they had sent; then it begins anew."""
    server = Server(adaptive(MOST), 250.0, 0.2, crowd=12)
    server.run(120)
    assert max(server.seen) <= 18
    assert sum(limit > 12 for limit in server.seen) < len(server.seen) / 20
    began = server.now + 1
    limit = server.limit.refused(began, began + 1)
    assert limit.limit == server.limit.limit // 2
    assert limit.refused(began, began + 1.1).limit == limit.limit


def test_a_refusal_of_all_is_survived_by_one() -> None:
    """A server that refuses everything is asked over one connection; when it is well, over as many as before."""
    limit, now = adaptive(MOST), 0.0
    for _ in range(10):
        now += 1
        limit = limit.refused(now, now)
    assert limit.limit == 1
    server = Server(limit, 25.0, now=now)
    server.run(30)
    assert server.limit.limit >= START


def test_slower_answers_that_bring_less_give_up_connections() -> None:
    """A third of them, as soon as a period tells, and never more than load began with."""
    server = Server(adaptive(MOST), 250.0, 0.2)
    server.run(20)
    before = server.limit.limit
    server.capacity = 20.0
    server.seen.clear()
    server.run(10)
    assert START <= server.seen[-1] < before


@pytest.mark.parametrize("number", [1, 2, 50])
def test_a_fixed_number_stays(number: int) -> None:
    """For measuring, neither answers nor refusals change it."""
    server = Server(fixed(number), 250.0, 0.1, crowd=20)
    server.run(20)
    assert set(server.seen) == {number}


@settings(deadline=None)
@given(
    most=st.integers(1, 200),
    events=st.lists(
        st.tuples(st.sampled_from([ANSWERED, SLOW, REFUSED]), st.floats(0, 5), st.integers(0, 10**9), st.booleans()),
        max_size=200,
    ),
)
def test_the_bounds_hold_whatever_happens(most: int, events: list[tuple[str, float, int, bool]]) -> None:
    """There is always one connection, never more than allowed; only a refusal brings a load below where it began."""
    limit, now, refused = adaptive(most), 0.0, False
    assert limit.limit == min(START, most)
    for kind, seconds, size, waiting in events:
        began = now
        now += seconds
        before = limit.limit
        if kind == REFUSED:
            limit, refused = limit.refused(began, now), True
            assert limit.limit <= before
        else:
            limit = limit.answered(began - (60 if kind == SLOW else 0), now, size, waiting=waiting)
        assert 1 <= limit.limit <= most
        assert refused or limit.limit >= min(START, most)
