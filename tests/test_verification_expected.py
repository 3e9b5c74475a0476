"""What the dataset says, compared with a slow and obvious count."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from loader.dataset.schema import trades_schema
from loader.verification import reading
from loader.verification.expected import Expected, summarise
from tests.points import DAY, trades, write_dataset


def summary(root: Path, rows: pl.DataFrame, picks: list[int]) -> Expected:
    """Return what ``rows``, as one partition, say."""
    manifest = write_dataset(root, trades_schema(), rows, partition_days=10_000_000)
    part = manifest.partitions[0]
    return summarise(root, manifest.schema, [part], {part.path: picks}, 10)


@pytest.mark.parametrize("batch_rows", [1, 7, 20, 1_000])
@pytest.mark.parametrize("order", [["symbol", "side", "timestamp"], ["timestamp"]])
def test_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_rows: int, order: list[str]) -> None:
    """Cells and picks are the same whatever the batches, the order of rows, and the days in a partition."""
    monkeypatch.setattr(reading, "BATCH_ROWS", batch_rows)
    rows = trades(days=2, points=9).sort(order)
    found = summary(tmp_path, rows, [0, 6, 7, 50])
    assert found.superseded == 0
    cells = {(cell["t0"], cell["t1"], cell["day"]): cell for cell in found.cells.iter_rows(named=True)}
    assert len(cells) == found.cells.height == 12
    for (symbol, side, day), cell in cells.items():
        same = rows.filter(symbol=symbol, side=side).filter(pl.col("timestamp") // DAY * DAY == day)
        assert cell["count0"] == cell["count1"] == 9
        assert cell["sum1"] == sum(same["amount"].to_list())
        assert cell["sum0"] == pytest.approx(sum(same["price"].to_list()), rel=1e-12)
        assert cell["min0"] == min(same["price"].to_list())
        assert cell["max1"] == max(same["amount"].to_list())
    assert sorted(found.picked["time"]) == sorted(rows["timestamp"][index] for index in (0, 6, 7, 50))


@pytest.mark.parametrize("batch_rows", [1, 3, 1_000])
def test_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_rows: int) -> None:
    """Of rows with one identity the last counts, near or far from the others."""
    monkeypatch.setattr(reading, "BATCH_ROWS", batch_rows)
    rows = trades(symbols=("AAPL",), days=1, points=4)
    last = rows.head(1).with_columns(price=pl.lit(7.0))
    found = summary(tmp_path, pl.concat([rows.head(1), rows, last]), list(range(10)))
    assert found.superseded == 4
    assert found.cells["count0"].to_list() == [4, 4]
    assert found.picked.height == 8
    assert found.cells.filter(t1="buy")["min0"].item() == 7.0


def test_integer_sums_wrap(tmp_path: Path) -> None:
    """A sum beyond 64 bits wraps, as it does on the server."""
    rows = trades(symbols=("AAPL",), days=1, points=2).with_columns(amount=pl.lit(2**63 - 1))
    assert summary(tmp_path, rows, []).cells["sum1"].to_list() == [-2, -2]
