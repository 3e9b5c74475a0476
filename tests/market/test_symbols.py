"""Symbols: the built-in table, a user's file, and names that neither holds."""

from __future__ import annotations

import pytest

from loader.errors import ConfigError
from loader.market.symbols import SYMBOLS, Symbol, parse_symbols, pick_symbols


def test_built_in_table_has_50_to_100_common_symbols():
    """The built-in table holds common symbols once each, with no one of them dominating."""
    names = [symbol.name for symbol in SYMBOLS]
    assert 50 <= len(names) <= 100
    assert len(set(names)) == len(names)
    assert {"AAPL", "MSFT", "NVDA", "TSLA", "SPY", "BRK.B"} <= set(names)
    assert max(symbol.weight for symbol in SYMBOLS) < 0.1 * sum(symbol.weight for symbol in SYMBOLS)


def test_picks_are_sorted_by_name():
    """Symbols come in name order, which is the order of rows in a partition."""
    assert [symbol.name for symbol in pick_symbols(SYMBOLS, ["TSLA", "BRK.B", "AAPL"])] == ["AAPL", "BRK.B", "TSLA"]
    assert [symbol.name for symbol in pick_symbols(SYMBOLS)] == sorted(symbol.name for symbol in SYMBOLS)


def test_new_names_get_figures_that_depend_on_the_name_only():
    """A name that the table lacks is made up, the same way each time."""
    first = pick_symbols(SYMBOLS, ["ZZZ1"])[0]
    assert first == pick_symbols(SYMBOLS, ["AAPL", "ZZZ1"])[1]
    assert 10 <= first.price <= 265
    assert first.price != pick_symbols(SYMBOLS, ["ZZZ2"])[0].price


def test_a_name_given_twice_is_refused():
    """One series may not be staged twice over."""
    with pytest.raises(ConfigError, match="AAPL: named twice"):
        pick_symbols(SYMBOLS, ["AAPL", "AAPL"])


def test_symbols_are_read_from_csv():
    """Columns may come in any order, with spaces after commas, and others beside them."""
    text = "price, symbol, volatility, weight, note\n1.5, AB, 0.3, 2, x\n20, CD, 0.4, 1, y\n"
    assert parse_symbols(text) == (Symbol("AB", 2.0, 1.5, 0.3), Symbol("CD", 1.0, 20.0, 0.4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column symbol, weight, price, volatility"),
        ("symbol,weight,price\nA,1,1\n", "no column volatility"),
        ("symbol,weight,price,volatility\n", "no symbols"),
        ("symbol,weight,price,volatility\nA,1,1,0.1\nB,1,dear,0.1\n", "line 3: could not convert"),
        ("symbol,weight,price,volatility\nA,1\n", "line 2"),
        ("symbol,weight,price,volatility\n ,1,1,0.1\n", "not a printable name"),
        ('symbol,weight,price,volatility\n"A\nB",1,1,0.1\n', "not a printable name"),
        ("symbol,weight,price,volatility\nA ,1,1,0.1\n", "not a printable name"),
        ("symbol,weight,price,volatility\nA,0,1,0.1\n", "A: weight 0.0"),
        ("symbol,weight,price,volatility\nA,inf,1,0.1\n", "A: weight inf"),
        ("symbol,weight,price,volatility\nA,1,0.001,0.1\n", "A: price 0.001"),
        ("symbol,weight,price,volatility\nA,1,nan,0.1\n", "A: price nan"),
        ("symbol,weight,price,volatility\nA,1,1,-1\n", "A: volatility -1.0"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(text, message):
    """Each mistake in a symbols file has a message that names it, and a hint."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse_symbols(text)
    assert caught.value.hint
