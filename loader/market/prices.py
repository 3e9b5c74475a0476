"""How many trades each session and symbol gets, and where prices open and close.

Everything is drawn from (seed, symbol), so a symbol's prices do not depend on the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loader.market.calendar import Session
from loader.market.symbols import Symbol

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class SymbolDay:
    """``rows`` trades of one symbol in one session, from ``opens`` to ``closes`` dollars."""

    name: str
    rows: int
    opens: float
    closes: float
    volatility: float


@dataclass(frozen=True)
class SessionPlan:
    """Everything that determines the trades of one session."""

    session: Session
    seed: int
    symbols: tuple[SymbolDay, ...]

    @property
    def rows(self) -> int:
        """Trades of all symbols."""
        return sum(symbol.rows for symbol in self.symbols)


def make_generator(seed: int, name: str, number: int) -> np.random.Generator:
    """Return the generator of stream ``number`` of ``name``; streams are independent of each other."""
    entropy = (seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:16]), number)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def plan_sessions(
    sessions: Sequence[Session], symbols: Sequence[Symbol], trades: int, seed: int
) -> tuple[SessionPlan, ...]:
    """Spread exactly ``trades`` trades over ``sessions`` and ``symbols``; sessions without trades are left out."""
    length = np.array([session.stop - session.start for session in sessions], dtype=np.float64)
    busy = np.exp(make_generator(seed, "", 0).normal(0.0, 0.15, len(sessions)))
    session_rows = apportion(trades, length * busy)
    daily = [_walk_days(sessions, symbol, seed) for symbol in symbols]
    plans = []
    for index, (session, rows) in enumerate(zip(sessions, session_rows.tolist(), strict=True)):
        shares = np.array([weights[index] for weights, _ in daily])
        plan = tuple(
            SymbolDay(symbol.name, count, float(path[index]), float(path[index + 1]), symbol.volatility)
            for symbol, count, (_, path) in zip(symbols, apportion(rows, shares).tolist(), daily, strict=True)
            if count
        )
        if plan:
            plans.append(SessionPlan(session, seed, plan))
    return tuple(plans)


def _walk_days(sessions: Sequence[Session], symbol: Symbol, seed: int) -> tuple[Floats, Floats]:
    """Return a symbol's weight in each session, and its price before the first and after each session."""
    draws = make_generator(seed, symbol.name, 0).standard_normal((2, len(sessions)))
    variance = symbol.volatility**2 * np.array([session.years for session in sessions])
    steps = np.sqrt(variance) * draws[0] - variance / 2
    path = symbol.price * np.exp(np.concatenate(([0.0], np.cumsum(steps))))
    return symbol.weight * np.exp(0.25 * draws[1]), np.clip(path, 0.01, 1e9)


def apportion(total: int, weights: NDArray[Any]) -> Integers:
    """Split ``total`` into whole parts in proportion to ``weights``, by largest remainder: the sum is exact."""
    quota = weights / weights.sum() * total
    parts: Integers = np.floor(quota).astype(np.int64)
    rest = total - int(parts.sum())
    parts[np.argsort(parts - quota, kind="stable")[:rest]] += 1
    return parts
