"""How trades are spread over sessions and symbols, and how prices move from day to day."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loader.market.calendar import list_sessions
from loader.market.prices import apportion, plan_sessions
from loader.market.symbols import SYMBOLS, Symbol, pick_symbols

YEAR = list_sessions("24/7", date(2024, 1, 1), date(2024, 12, 30))


@given(st.integers(0, 10**9), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300))
def test_apportioned_parts_add_up(total, weights):
    """The parts add up to the total, and each is within one of its exact share."""
    parts = apportion(total, np.array(weights))
    exact = np.array(weights) / sum(weights) * total
    assert parts.sum() == total
    assert (parts >= 0).all()
    assert (abs(parts - exact) < 1 + 1e-6 * exact).all()


def test_exactly_as_many_trades_as_asked():
    """Any number of trades is met exactly, also one below the number of sessions."""
    for trades in (1, 100, 366, 12_345, 300_000_000):
        plans = plan_sessions(YEAR, SYMBOLS, trades, 1)
        assert sum(plan.rows for plan in plans) == trades
        assert all(symbol.rows > 0 for plan in plans for symbol in plan.symbols)


def test_short_sessions_have_fewer_trades():
    """A session that closes early has about its share of trades."""
    sessions = list_sessions("XNYS", date(2024, 7, 1), date(2024, 7, 5))
    rows = {str(plan.session.day): plan.rows for plan in plan_sessions(sessions, SYMBOLS, 10**6, 3)}
    assert rows["2024-07-03"] < 0.8 * min(count for day, count in rows.items() if day != "2024-07-03")


def test_shares_follow_the_weights():
    """Over a year each symbol's share of trades is near its weight."""
    rows: dict[str, int] = {}
    for plan in plan_sessions(YEAR, SYMBOLS, 50_000_000, 1):
        for symbol in plan.symbols:
            rows[symbol.name] = rows.get(symbol.name, 0) + symbol.rows
    total = sum(symbol.weight for symbol in SYMBOLS)
    for symbol in SYMBOLS:
        assert abs(rows[symbol.name] / 50_000_000 / (symbol.weight / total) - 1) < 0.1


def test_prices_are_continuous_over_days():
    """The first session opens at the symbol's level, and each other one where the one before it closed."""
    plans = plan_sessions(YEAR, SYMBOLS, 10**6, 1)
    for index, symbol in enumerate(SYMBOLS):
        assert plans[0].symbols[index].opens == symbol.price
        for before, after in pairwise(plans):
            assert before.symbols[index].closes == after.symbols[index].opens


def test_daily_moves_have_the_volatility_of_the_symbol():
    """The annual volatility that the daily moves show is that of the table."""
    symbols = [Symbol("CALM", 1, 100, 0.1), Symbol("USUAL", 1, 100, 0.3), Symbol("WILD", 1, 100, 0.9)]
    plans = plan_sessions(YEAR, symbols, 10**5, 7)
    for index, symbol in enumerate(symbols):
        moves = [np.log(plan.symbols[index].closes / plan.symbols[index].opens) for plan in plans]
        assert abs(np.std(moves) * 365**0.5 / symbol.volatility - 1) < 0.15


def test_a_symbol_does_not_depend_on_the_others():
    """A symbol's prices are the same in whatever company."""
    alone = plan_sessions(YEAR, pick_symbols(SYMBOLS, ["MSFT"]), 10**5, 1)
    among = plan_sessions(YEAR, pick_symbols(SYMBOLS, ["AAPL", "MSFT"]), 10**5, 1)
    assert [p.symbols[0].closes for p in alone] == [p.symbols[1].closes for p in among]


def test_seeds_differ():
    """Another seed is another year."""
    assert plan_sessions(YEAR, SYMBOLS, 10**5, 1)[5].symbols != plan_sessions(YEAR, SYMBOLS, 10**5, 2)[5].symbols


def test_prices_never_fall_below_one_cent():
    """Even a wild penny stock stays at a cent or above."""
    plans = plan_sessions(YEAR, [Symbol("PENNY", 1, 0.01, 5.0)], 10**5, 1)
    assert min(plan.symbols[0].closes for plan in plans) == 0.01
