"""The symbols that trade, how much each, and at what price.

The built-in table holds approximate public figures, rounded: share of trades relative to the others, price in
US dollars at the start of 2024, and annual volatility. They make the trades look right; they are not market data.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from loader.errors import ConfigError

COLUMNS = ("symbol", "weight", "price", "volatility")


@dataclass(frozen=True)
class Symbol:
    """``weight`` is the share of trades relative to other symbols, ``price`` dollars, ``volatility`` annual."""

    name: str
    weight: float
    price: float
    volatility: float

    def __post_init__(self) -> None:
        """Raise ConfigError for a name or figure that no trade can have."""
        if not self.name.isprintable() or not self.name.strip() or self.name != self.name.strip():
            raise ConfigError(f"symbol {self.name!r}: not a printable name", hint="name symbols like AAPL or BTC/USD")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ConfigError(f"symbol {self.name}: weight {self.weight}", hint="a weight is above 0")
        if not 0.01 <= self.price <= 1e9:
            raise ConfigError(f"symbol {self.name}: price {self.price}", hint="a price is 0.01 to 1e9 dollars")
        if not 0 <= self.volatility <= 5:
            raise ConfigError(f"symbol {self.name}: volatility {self.volatility}", hint="annual, 0 to 5; 0.3 is usual")


_TABLE = """
TSLA 34 248 .55|NVDA 30 495 .52|AAPL 27 192 .23|AMD 24 147 .50|SPY 24 475 .13
QQQ 20 410 .18|AMZN 19 152 .28|MSFT 18 376 .21|META 14 354 .36|GOOGL 13 140 .28
PLTR 12 17 .62|INTC 12 50 .48|BAC 11 34 .24|F 10 12.2 .35|GOOG 10 141 .28
NIO 9 9.1 .65|SOFI 9 10 .60|T 9 16.8 .22|MARA 9 23.5 .95|COIN 8 174 .82
XOM 8 100 .20|BABA 8 77.5 .36|PFE 8 28.8 .25|CCL 7 18.5 .42|WFC 7 49 .26
C 7 51 .25|UBER 7 61.6 .38|AAL 7 13.7 .42|AVGO 7 1116 .45|IWM 7 201 .20
MU 7 85 .46|NFLX 6 487 .32|JPM 6 170 .22|DIS 6 90 .27|CSCO 6 50.5 .18
VZ 6 37.7 .21|KO 6 59 .13|SNAP 6 16.9 .70|RIVN 6 23.5 .70|WMT 6 53 .19
PYPL 6 61.4 .36|CMCSA 5 43.9 .24|BMY 5 51.3 .26|SHOP 5 77.9 .50|ORCL 5 105 .32
CVX 5 149 .20|NKE 5 108 .30|BA 5 260 .32|CRM 5 263 .32|QCOM 5 144 .36
SCHW 5 68.8 .30|DKNG 5 35.3 .45|MRK 4 109 .20|KVUE 4 21.5 .25|NEE 4 60.7 .28
GM 4 35.9 .32|DAL 4 40.2 .34|SLB 4 52 .28|FCX 4 42.6 .36|OXY 4 59.7 .24
CVS 4 79 .32|V 4 260 .17|PG 4 147 .15|TSM 4 104 .36|ABBV 3 155 .22
JNJ 3 157 .15|HD 3 347 .21|PEP 3 170 .16|ADBE 3 597 .36|MA 3 427 .17
UNH 3 526 .28|LLY 3 583 .32|COST 3 660 .20|BX 3 131 .32|GS 2 386 .24
CAT 2 296 .27|IBM 2 164 .22|MCD 2 297 .17|HON 2 210 .17|BRK.B 2 357 .14
"""


def _parse_table() -> tuple[Symbol, ...]:
    rows = (entry.split() for line in _TABLE.split("\n") for entry in line.split("|") if entry)
    return tuple(Symbol(name, *map(float, figures)) for name, *figures in rows)


SYMBOLS = _parse_table()


def parse_symbols(text: str, source: str = "symbols file") -> tuple[Symbol, ...]:
    """Read a CSV with columns symbol, weight, price, volatility; raises ConfigError with ``source`` and the line."""
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(f"{source}: no column {', '.join(missing)}", hint=f"its first line is: {','.join(COLUMNS)}")
    symbols = []
    for row in reader:
        try:
            weight, price, volatility = (float(row[column]) for column in COLUMNS[1:])
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{source}, line {reader.line_num}: {error}", hint="weight, price and volatility are numbers"
            ) from None
        symbols.append(Symbol(row["symbol"], weight, price, volatility))
    if not symbols:
        raise ConfigError(f"{source}: no symbols", hint=f"lines are: {','.join(COLUMNS)}")
    return tuple(symbols)


def pick_symbols(known: Iterable[Symbol], names: Iterable[str] = ()) -> tuple[Symbol, ...]:
    """Return the symbols called ``names``, all when empty, in name order; names not ``known`` get made-up figures.

    Raises ConfigError for a name that comes twice.
    """
    table = list(known)
    by_name = {symbol.name: symbol for symbol in table}
    wanted = list(names)
    picked = [by_name.get(name) or _make_up(name) for name in wanted] if wanted else table
    twice = [name for name, count in Counter(symbol.name for symbol in picked).items() if count > 1]
    if twice:
        raise ConfigError(f"symbol {', '.join(twice)}: named twice", hint="name each symbol once")
    return tuple(sorted(picked, key=lambda symbol: symbol.name.encode()))


def _make_up(name: str) -> Symbol:
    """Invent figures that depend on nothing but the name: weight 5, price 10 to 265, volatility 0.2 to 0.6."""
    digest = hashlib.sha256(name.encode(errors="replace")).digest()
    return Symbol(name, 5.0, 10.0 + digest[0], round(0.2 + digest[1] / 255 * 0.4, 3))
