"""Candles of any trades are those of a slow computation, in whatever order and pieces they come."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.instant import DAY, TIME_MIN
from loader.errors import StageError
from loader.staging.candles.aggregate import aggregate, finish, merge_parts, merge_sorted
from tests.candles import assert_same, slow_candles

KEYS = ["series"]
MINUTE = 60_000_000_000
TRADES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(-3 * MINUTE, 3 * MINUTE) | st.sampled_from([-MINUTE, 0, MINUTE - 1, MINUTE]),
        st.sampled_from([-0.0, 0.0, 1.5, -2.25]) | st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
        st.integers(-5, 1_000),
    ),
    min_size=1,
    max_size=60,
)


def frame(trades: list[tuple[str, int, float, int]], amount: type[pl.DataType] = pl.Int64) -> pl.DataFrame:
    """Return trades as columns."""
    columns = {"series": pl.String, "time": pl.Int64, "price": pl.Float64, "amount": amount}
    return pl.DataFrame(trades, schema=columns, orient="row")


@settings(max_examples=150, deadline=None)
@given(TRADES, st.lists(st.integers(1, 60), min_size=1, max_size=6), st.booleans())
def test_any_trades(trades: list[tuple[str, int, float, int]], sizes: list[int], ordered: bool) -> None:
    """Order, ties, negative times, zero volumes and the pieces in which trades come change nothing."""
    trades = sorted(trades) if ordered else trades
    pieces, start = [], 0
    for size in [*sizes, len(trades)]:
        if trades[start : start + size]:
            pieces.append(aggregate(frame(trades[start : start + size]), KEYS, MINUTE))
        start += size
    whole = finish(merge_parts(pl.concat(pieces), KEYS), KEYS)
    found = {((row.pop("series"),), row.pop("start")): row for row in whole.iter_rows(named=True)}
    assert_same(found, slow_candles([((series,), *rest) for series, *rest in trades], MINUTE))
    assert "-0.0" not in str([row["open"] for row in found.values()])


def test_long_runs_are_not_merged_at_once() -> None:
    """Rows in series order give a part for each run; rows in time order are merged, and the candles are the same."""
    trades = [(series, time, float(time % 7), 1) for series in "ab" for time in range(40)]
    by_series = aggregate(frame([*trades, *trades]), KEYS, MINUTE)
    by_time = aggregate(frame(sorted([*trades, *trades], key=lambda trade: trade[1])), KEYS, MINUTE)
    assert (by_series.height, by_time.height) == (4, 2)
    assert merge_parts(by_series, KEYS).equals(by_time)


def test_no_amounts() -> None:
    """Without amounts there is neither volume nor VWAP."""
    prices = frame([("a", 1, 2.0, 0), ("a", 2, 1.0, 0)]).drop("amount")
    found = finish(merge_parts(aggregate(prices, KEYS, DAY), KEYS), KEYS)
    assert found.rows(named=True) == [
        {"series": "a", "start": 0, "open": 2.0, "high": 2.0, "low": 1.0, "close": 1.0, "count": 2}
    ]


@pytest.mark.parametrize("times", [(1, 2, 3, 4), (1, 1, 1, 1)])
def test_volumes_that_do_not_fit(times: tuple[int, ...]) -> None:
    """A volume beyond 64 bits is an error that names the candle, and no wrong number."""
    trades = frame([("a", time, 1.0, 2**62) for time in times])
    with pytest.raises(StageError, match=r"at 1970-01-01T00:00:00[.]000000000Z is beyond 64 bits"):
        merge_parts(aggregate(trades, KEYS, DAY), KEYS)
    floats = trades.with_columns(amount=pl.lit(1.5e308))
    with pytest.raises(StageError, match="is beyond what a float can hold"):
        finish(merge_parts(aggregate(floats, KEYS, DAY), KEYS), KEYS)


def test_the_first_window() -> None:
    """A window that begins before the first time of InfluxDB has no candle; the next one has."""
    with pytest.raises(StageError, match=r"1677-09-21.* would begin before the first time"):
        aggregate(frame([("a", TIME_MIN, 1.0, 1)]), KEYS, DAY)
    assert aggregate(frame([("a", -(-TIME_MIN // DAY) * DAY, 1.0, 1)]), KEYS, DAY).height == 1


def test_sorted_parts() -> None:
    """Parts of one candle are merged across frames, also when a frame has nothing else, or nothing."""
    trades = frame([("a", 1, 1.0, 1), ("a", 2, 2.0, 1), ("a", 3, 3.0, 1), ("a", MINUTE, 4.0, 1)])
    parts = [aggregate(trades[number : number + 1], KEYS, MINUTE) for number in range(4)]
    found = pl.concat(merge_sorted([parts[0], parts[0].clear(), *parts[1:]], KEYS))
    assert found["count"].to_list() == [3, 1]
    assert list(merge_sorted([], KEYS)) == []
