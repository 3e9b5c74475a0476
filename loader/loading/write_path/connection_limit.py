"""How many connections a load uses: more while that brings more, fewer where the server does not keep up. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

START = 3
"""Connections to begin with; only what a server refuses brings a load below them."""
_STEP = 1.5
_WORTH = 0.1
"""Connections are worth it that bring this share of what they would bring if nothing but the way were slow."""
_BUSY = 0.8
_SLOWER = 2.0
_LEAST_SECONDS = 1.0
_ANSWERS = 3
_LONGEST_WAIT = 64


@dataclass(frozen=True)
class Period:
    """The answers of a time with one limit: their number, bytes and seconds, and how many left other bodies waiting."""

    began: float
    answers: int = 0
    size: int = 0
    seconds: float = 0.0
    waiting: int = 0

    def add(self, size: int, seconds: float, *, waiting: bool) -> Period:
        """Return the period with one more answer."""
        return Period(
            self.began, self.answers + 1, self.size + size, self.seconds + seconds, self.waiting + bool(waiting)
        )


@dataclass(frozen=True)
class Pace:
    """What ``limit`` connections brought: bytes a second, and the mean seconds of an answer."""

    limit: int
    rate: float
    latency: float

    def is_worth_it(self, fewer: Pace) -> bool:
        """Tell whether these connections bring so much more than ``fewer`` that they are worth it."""
        return self.rate >= fewer.rate * (1 + _WORTH * (self.limit / fewer.limit - 1))


@dataclass(frozen=True)
class ConnectionLimit:
    """The ``limit`` of connections at a time, at most ``most``; a new value comes of each answer and each refusal.

    Half as many again are tried for a period, of a second and three answers a connection at least, and kept if they are
    worth it; a third fewer are tried in turn, and kept if the others were not. Nothing is tried while bodies do not
    wait for connections, as with ``--rate``. After a trial without success the next one waits, twice as long each time.
    Where answers take twice as long and bring less, a third of the connections is given up. Where the server refuses or
    does not answer, half of them are, down to ``floor``, and for ``hold`` periods, twice as many each time, no more are
    tried than it took. Times are of one clock, in seconds.
    """

    most: int
    limit: int
    least: int
    floor: int = 1
    changed: float = float("-inf")
    period: Period | None = None
    base: Pace | None = None
    rising: bool = True
    wait: int = 0
    patience: int = 1
    ceiling: int = 0
    held: int = 0
    hold: int = 4

    def answered(self, began: float, now: float, size: int, *, waiting: bool) -> Self:
        """Return the limit after the answer to a body of ``size`` bytes; ``waiting`` tells that others waited."""
        if self.most == self.floor:
            return self
        if self.period is None:
            # What was under way before the limit changed tells nothing of it.
            return replace(self, period=Period(now)) if began >= self.changed else self
        period = self.period.add(size, now - began, waiting=waiting)
        elapsed = now - period.began
        if elapsed < _LEAST_SECONDS or period.answers < _ANSWERS * self.limit:
            return replace(self, period=period)
        pace = Pace(self.limit, period.size / elapsed, period.seconds / period.answers)
        busy = period.waiting >= _BUSY * period.answers
        return replace(self, period=Period(now), held=max(0, self.held - 1))._judge(pace, now, busy=busy)

    def refused(self, began: float, now: float) -> Self:
        """Return the limit after a refusal, a timeout or a reset of a body that was sent at ``began``."""
        if began < self.changed:  # it was sent by more connections than there are since
            return self
        if self.most == self.floor:
            return self
        hold = min(2 * self.hold, _LONGEST_WAIT)
        taken = self.base.limit if self.base and self.base.limit < self.limit else self.limit - 1
        moved = self._moved(max(self.floor, self.limit // 2), now)
        return replace(moved, base=None, rising=True, ceiling=taken, held=hold, hold=hold)

    def _judge(self, pace: Pace, now: float, *, busy: bool) -> Self:
        base = self.base
        if self.limit < self.least:  # a refusal is over
            return replace(self._moved(self.limit + 1, now), base=None)
        if base is None:
            return replace(self, base=pace)._tried(now, busy=busy)
        if self.limit > base.limit:
            kept = busy and pace.is_worth_it(base)
            return self._kept(pace, now) if kept else self._given_up(base, now)
        if self.limit < base.limit:
            return self._given_up(base, now) if base.is_worth_it(pace) else self._kept(pace, now)
        if pace.latency > _SLOWER * base.latency and pace.rate < base.rate and self.limit > self.least:
            return replace(self._moved(self._fewer(), now), base=None, wait=self.patience)
        mean = Pace(self.limit, (base.rate + pace.rate) / 2, (base.latency + pace.latency) / 2)
        return replace(self, base=mean)._tried(now, busy=busy)

    def _tried(self, now: float, *, busy: bool) -> Self:
        """Return another limit to try, once the wait for it is over."""
        if self.wait > 0:
            return replace(self, wait=self.wait - 1)
        other = self._more() if self.rising else self._fewer()
        if not busy or other == self.limit:
            return replace(self, rising=not self.rising, wait=self.patience)
        return self._moved(other, now)

    def _kept(self, pace: Pace, now: float) -> Self:
        """Return the limit that was tried, and go on in the same direction."""
        return replace(self, base=pace, patience=1)._tried(now, busy=True)

    def _given_up(self, base: Pace, now: float) -> Self:
        """Return to the limit before the trial; the next one goes the other way."""
        patience = min(2 * self.patience, _LONGEST_WAIT)
        return replace(self._moved(base.limit, now), rising=not self.rising, wait=patience, patience=patience)

    def _more(self) -> int:
        most = max(self.limit, self.ceiling) if self.held else self.most
        return min(most, max(self.limit + 1, int(self.limit * _STEP + 0.5)))

    def _fewer(self) -> int:
        return max(self.least, int(self.limit / _STEP))

    def _moved(self, limit: int, now: float) -> Self:
        return replace(self, limit=limit, changed=now, period=None)


def adaptive(most: int) -> ConnectionLimit:
    """Return the limit of a load that may use ``most`` connections."""
    start = min(START, most)
    return ConnectionLimit(most, start, start)


def fixed(connections: int) -> ConnectionLimit:
    """Return a limit that stays, for measuring."""
    return ConnectionLimit(connections, connections, connections, floor=connections)
