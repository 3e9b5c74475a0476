"""Which rows are trades, and the numbers of their series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.staging.candles import trades
from loader.staging.candles.plan import CandlePlan
from loader.staging.candles.trades import SeriesNumbers, read_trades
from tests.tables import MOMENT, write_tables

PRICE, AMOUNT = Field("price", FieldType.FLOAT), Field("amount", FieldType.INTEGER)
PLAN = CandlePlan(PointSchema("m", ("s", "t"), (PRICE, AMOUNT), "time", "ns"), PRICE, AMOUNT, ("s", "t"), 1)


@pytest.mark.parametrize("cells", [1, 1 << 20])
def test_numbers_of_series(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each combination of tags has one number across batches; null and empty are the same, and sort first."""
    monkeypatch.setattr(trades, "_MOST_CELLS", cells)
    series = SeriesNumbers()
    plain = pa.array(["b", None, "a", "b"])
    coded = pa.array(["x", "y", "", "x"]).dictionary_encode()
    assert series.find([plain, coded], 4).tolist() == [*([numbers := series.find([plain, coded], 4).tolist()][0])]
    assert numbers[0] == numbers[3]
    assert [series.names[number] for number in numbers] == [("b", "x"), ("", "y"), ("a", ""), ("b", "x")]
    assert series.find([pa.array([None]), pa.array(["y"])], 1).tolist() == [numbers[1]]
    order = sorted(range(3), key=series.ranks().__getitem__)
    assert [series.names[number] for number in order] == [("", "y"), ("a", ""), ("b", "x")]
    assert series.find([pa.nulls(2, pa.string()), pa.nulls(2, pa.string())], 2).tolist() == [3, 3]


def test_no_tags() -> None:
    """Without tags all rows are of one series."""
    series = SeriesNumbers()
    assert (series.find([], 3).tolist(), series.names, series.ranks().tolist()) == ([0, 0, 0], [()], [0])


def test_rows_that_are_no_trades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without a price, amount or time, and with NaN or infinities, are left out and counted."""
    monkeypatch.setattr(trades, "TRADE_ROWS", 1)
    rows = 8
    prices = [1.0, None, float("nan"), float("inf"), 2.0, 3.0, 4.0, 5.0]
    amounts = [1, 1, 1, 1, None, 1, 1, 1]
    times = [*(MOMENT + np.arange(5)).tolist(), None, -(2**63), MOMENT + 7]
    table = pa.table(
        {"s": ["a"] * rows, "t": ["b"] * rows, "price": prices, "amount": amounts, "time": pa.array(times, pa.int64())}
    )
    (partition,) = write_tables(tmp_path, PLAN.source, {"x.parquet": table}).partitions
    found = list(read_trades(tmp_path, PLAN, partition, SeriesNumbers()))
    assert [(each.rows, each.frame["price"].to_list()) for each in found] == [(rows, [1.0, 5.0])]


def test_batches_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come in pieces of about TRADE_ROWS, in their order; the last one may be shorter."""
    monkeypatch.setattr(trades, "GROUP_ROWS", 3)
    monkeypatch.setattr(trades, "TRADE_ROWS", 6)
    times = MOMENT + np.arange(10)
    table = pa.table({"s": ["a"] * 10, "t": ["b"] * 10, "price": np.ones(10), "amount": range(10), "time": times})
    (partition,) = write_tables(tmp_path, PLAN.source, {"x.parquet": table}).partitions
    found = list(read_trades(tmp_path, PLAN, partition, SeriesNumbers()))
    assert [each.frame["amount"].to_list() for each in found] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]
