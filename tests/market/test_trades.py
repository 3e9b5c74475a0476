"""The trades of a session look like trades."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from loader.market.calendar import Session, list_sessions
from loader.market.prices import SessionPlan, SymbolDay, plan_sessions
from loader.market.symbols import SYMBOLS, Symbol
from loader.market.trades import SCHEMA, make_trades

SESSIONS = list_sessions("XNYS", date(2024, 1, 2), date(2024, 1, 4))
PLANS = plan_sessions(SESSIONS, sorted(SYMBOLS, key=lambda symbol: symbol.name), 600_000, 1)


def frame(plan: SessionPlan) -> pl.DataFrame:
    """Return a plan's trades, with tags as text and time as integer nanoseconds."""
    trades = pl.DataFrame(make_trades(plan))
    return trades.with_columns(pl.col("symbol", "side").cast(pl.String), pl.col("timestamp").cast(pl.Int64))


@pytest.fixture(scope="module")
def trades() -> pl.DataFrame:
    """Return some 200,000 trades of one session."""
    return frame(PLANS[0])


def test_columns_and_rows(trades):
    """The columns have their types, and the rows are as many as planned, for each symbol."""
    assert make_trades(PLANS[0]).schema == SCHEMA
    assert trades.null_count().sum_horizontal().item() == 0
    counts = dict(trades.group_by("symbol").len().iter_rows())
    assert counts == {symbol.name: symbol.rows for symbol in PLANS[0].symbols}


def test_rows_are_in_series_order(trades):
    """Rows are sorted by symbol, side and time."""
    assert trades.equals(trades.sort("symbol", "side", "timestamp"))
    assert set(trades["side"]) == {"buy", "sell"}


def test_times_increase_strictly_within_a_series_and_stay_in_the_session(trades):
    """No two trades of a series share a timestamp, and none lies outside the session."""
    gaps = trades.select(pl.col("timestamp").diff().over("symbol", "side"))["timestamp"]
    assert gaps.min() > 0
    assert trades["timestamp"].min() >= SESSIONS[0].start
    assert trades["timestamp"].max() < SESSIONS[0].stop


def test_times_stay_strict_in_a_session_with_hardly_more_nanoseconds_than_trades():
    """Where trades crowd, times still increase strictly and stay in the session."""
    session = Session(date(2024, 1, 2), 1_000, 13_000, curvature=0.6, years=1 / 252)
    times = frame(SessionPlan(session, 1, (SymbolDay("A", 10_000, 10.0, 10.0, 0.2),)))["timestamp"].sort()
    assert times.diff().min() > 0
    assert times[0] >= 1_000
    assert times[-1] < 13_000


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_trades(rows):
    """A symbol may have a trade or two."""
    plan = replace(PLANS[0], symbols=(SymbolDay("A", rows, 10.0, 11.0, 0.2),))
    assert frame(plan).height == rows


def test_activity_follows_a_u(trades):
    """The first and last half hours are busier than those at noon, by half at least."""
    start, stop = SESSIONS[0].start, SESSIONS[0].stop
    counts = np.histogram(trades["timestamp"].to_numpy(), bins=13, range=(start, stop))[0]
    noon = counts[5:8].mean()
    assert counts[0] > 1.5 * noon
    assert counts[-1] > 1.5 * noon
    assert counts[0] > counts[1] > counts[3]
    assert counts[-1] > counts[-2] > counts[-4]


def test_activity_round_the_clock_is_level():
    """A day of the calendar 24/7 has no open and no close."""
    session = list_sessions("24/7", date(2024, 1, 2), date(2024, 1, 2))[0]
    plan = plan_sessions([session], SYMBOLS[:3], 120_000, 1)[0]
    counts = np.histogram(frame(plan)["timestamp"].to_numpy(), bins=24, range=(session.start, session.stop))[0]
    assert counts.min() > 0.9 * counts.max()


def test_sides_come_in_runs_and_balance(trades):
    """In time order a trade has the side of the one before it four times in five; both sides are as frequent."""
    busiest = trades.filter(pl.col("symbol") == "TSLA").sort("timestamp")
    same = (busiest["side"] == busiest["side"].shift()).mean()
    assert 0.75 < same < 0.85
    assert 0.45 < (trades["side"] == "buy").mean() < 0.55


def test_amounts_are_heavy_tailed_whole_shares_with_round_lots(trades):
    """Amounts cluster at round lots, odd lots are common, and few trades make much of the volume."""
    amount = trades["amount"]
    share = {value: (amount == value).mean() for value in (100, 200, 150, 500, 450)}
    assert amount.min() >= 1
    assert amount.max() <= 100_000
    assert share[100] > 0.2
    assert share[200] > 20 * share[150]
    assert share[500] > 20 * share[450]
    assert 0.3 < (amount < 100).mean() < 0.7
    blocks = amount.filter((amount > 100) & (amount % 100 != 0))
    assert 0.02 < (blocks > 1_000).mean() < 0.15  # a power law: ten times the size, a fixed part of the number
    assert (amount > 10_000).sum() > 10
    largest = amount.sort(descending=True)[: len(amount) // 100]
    assert largest.sum() > 0.2 * amount.sum()
    assert amount.quantile(0.999) > 20 * amount.median()


def test_prices_are_whole_cents(trades):
    """Each price is the float nearest to a whole number of cents, at least one."""
    prices = trades["price"].unique().to_list()
    assert all(price == float(f"{price:.2f}") for price in prices)
    assert min(prices) >= 0.01


def test_prices_never_fall_below_one_cent_within_a_day():
    """A penny stock trades at a cent or above."""
    plan = replace(PLANS[0], symbols=(SymbolDay("PENNY", 10_000, 0.01, 0.02, 5.0),))
    assert frame(plan)["price"].min() == 0.01


def test_prices_walk_from_open_to_close_and_on_into_the_next_day():
    """First trades are at the open, last ones at the close, and so the next day begins where this one ended."""
    days = [frame(plan).sort("timestamp") for plan in PLANS]
    for symbol in ("AAPL", "TSLA", "F", "LLY"):
        prices = [day.filter(pl.col("symbol") == symbol)["price"] for day in days]
        planned = next(day for day in PLANS[0].symbols if day.name == symbol)
        slack = 0.02 + 0.01 * planned.opens
        assert abs(prices[0][0] - planned.opens) < slack
        assert abs(prices[0][-1] - planned.closes) < 0.02
        assert abs(prices[1][0] - prices[0][-1]) < slack
        assert abs(prices[2][0] - prices[1][-1]) < slack


def test_wilder_symbols_move_more_within_a_day():
    """The range of a day's prices grows with the symbol's volatility, and steps are small beside it."""
    names = [Symbol(name, 1, 100, volatility) for name, volatility in (("A", 0.1), ("B", 0.4), ("C", 1.6))]
    sessions = list_sessions("XNYS", date(2024, 1, 1), date(2024, 1, 31))
    ranges = np.zeros(3)
    for plan in plan_sessions(sessions, names, 100_000, 1):
        ranges += [
            group["price"].max() - group["price"].min()
            for _, group in frame(plan).group_by("symbol", maintain_order=True)
        ]
    assert ranges[0] * 2 < ranges[1]
    assert ranges[1] * 2 < ranges[2]


def test_same_plan_same_trades():
    """Trades depend on the plan alone; another seed or day has others."""
    assert make_trades(PLANS[1]).equals(make_trades(PLANS[1]))
    other = frame(replace(PLANS[1], seed=2))
    assert not frame(PLANS[1])["timestamp"].equals(other["timestamp"])


def test_a_symbol_trades_alike_in_any_company():
    """A symbol's trades of a day do not depend on which others trade."""
    alone = replace(PLANS[0], symbols=PLANS[0].symbols[5:6])
    assert frame(alone).equals(frame(PLANS[0]).filter(pl.col("symbol") == PLANS[0].symbols[5].name))
