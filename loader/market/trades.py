"""The trades of one session, as an Arrow table: same plan, same trades.

Memory: about 30 bytes a trade of the session, and 100 bytes a trade of its busiest symbol.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loader.market.calendar import Session
from loader.market.prices import Floats, Integers, SessionPlan, SymbolDay, make_generator

SIDES = ("buy", "sell")
SCHEMA = pa.schema(
    [
        pa.field("symbol", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("side", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("price", pa.float64(), nullable=False),
        pa.field("amount", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("ns", "UTC"), nullable=False),
    ]
)
# A trade takes the other side than the one before it with this chance in 256: runs of 5 on average.
_TURN = 51


def make_trades(plan: SessionPlan) -> pa.Table:
    """Return the trades of ``plan`` in the order (symbol, side, time); times increase strictly in a symbol."""
    prices = np.empty(plan.rows, dtype=np.float64)
    amounts = np.empty(plan.rows, dtype=np.int64)
    times = np.empty(plan.rows, dtype=np.int64)
    lengths: list[int] = []
    start = 0
    for symbol in plan.symbols:
        stop = start + symbol.rows
        lengths += _fill(plan, symbol, prices[start:stop], amounts[start:stop], times[start:stop])
        start = stop
    names = [symbol.name for symbol in plan.symbols]
    sides = np.tile(np.arange(2, dtype=np.int32), len(names))
    codes = np.repeat(np.arange(len(names), dtype=np.int32), 2)
    return pa.table(
        [
            pa.DictionaryArray.from_arrays(np.repeat(codes, lengths), pa.array(names)),
            pa.DictionaryArray.from_arrays(np.repeat(sides, lengths), pa.array(SIDES)),
            pa.array(prices),
            pa.array(amounts),
            pa.array(times).view(pa.timestamp("ns", "UTC")),
        ],
        schema=SCHEMA,
    )


def _fill(plan: SessionPlan, symbol: SymbolDay, prices: Floats, amounts: Integers, times: Integers) -> tuple[int, int]:
    """Draw one symbol's trades into the given slices, buys before sells; return how many of each."""
    rng = make_generator(plan.seed, symbol.name, plan.session.day.toordinal())
    time = _draw_times(rng, plan.session, symbol.rows)
    sell = _draw_sides(rng, symbol.rows)
    cents = _draw_cents(rng, plan.session, symbol, sell)
    amount = _amounts()[rng.integers(0, 1 << 16, symbol.rows, dtype=np.uint16)]
    order = np.concatenate((np.flatnonzero(~sell), np.flatnonzero(sell)))
    times[:] = time[order]
    amounts[:] = amount[order]
    np.divide(cents[order], 100.0, out=prices)
    sells = int(np.count_nonzero(sell))
    return symbol.rows - sells, sells


def _draw_times(rng: np.random.Generator, session: Session, rows: int) -> Integers:
    """Draw strictly increasing nanoseconds in the session: sorted uniforms through the inverse of its activity.

    Gaps are drawn first and one nanosecond is added per trade, so what increases weakly increases strictly.
    """
    spacings = rng.standard_exponential(rows + 1)
    uniform = np.cumsum(spacings)
    uniform /= uniform[-1]
    uniform = uniform[:-1]
    share = session.curvature * uniform * (3.0 - 2.0 * uniform) + (1.0 - session.curvature)
    share *= uniform
    share *= session.stop - session.start - rows - 1
    offsets = np.maximum.accumulate(share.astype(np.int64))
    return offsets + np.arange(session.start, session.start + rows)


def _draw_sides(rng: np.random.Generator, rows: int) -> NDArray[np.bool_]:
    """Draw which trades are sells: a chain that turns with a fixed chance, so that sides come in runs."""
    turns = rng.integers(0, 256, rows, dtype=np.uint8)
    flips = turns < _TURN
    flips[0] = turns[0] & 1
    return np.logical_xor.accumulate(flips)


def _draw_cents(rng: np.random.Generator, session: Session, symbol: SymbolDay, sell: NDArray[np.bool_]) -> Floats:
    """Draw prices in whole cents, at least 1: a bridge from open to close, buys half a spread above sells."""
    opens, closes = symbol.opens * 100, symbol.closes * 100
    walk = np.cumsum(rng.standard_normal(symbol.rows))
    ramp = np.arange(1, symbol.rows + 1) / symbol.rows
    walk -= walk[-1] * ramp
    walk *= opens * symbol.volatility * (session.years / symbol.rows) ** 0.5
    walk += ramp * (closes - opens)
    walk += opens + 0.5
    walk -= sell
    np.rint(walk, out=walk)
    return np.maximum(walk, 1.0, out=walk)


@cache
def _amounts() -> Integers:
    """Return 65,536 amounts to draw from: odd lots, round lots, and a tail of blocks up to 100,000 shares."""
    rng = make_generator(0, "amounts", 0)
    odd = np.minimum(rng.geometric(0.04, 33_000), 99)
    lots = np.repeat(
        [100, 200, 300, 400, 500, 1_000, 2_000, 5_000, 10_000], [18_000, 4_500, 1_800, 1_000, 1_300, 900, 200, 100, 36]
    )
    tail = np.minimum(100 * (1.0 - rng.random((1 << 16) - len(odd) - len(lots))) ** -0.8, 100_000)
    table = np.concatenate((odd, lots, tail.astype(np.int64)))
    table.setflags(write=False)
    return table
