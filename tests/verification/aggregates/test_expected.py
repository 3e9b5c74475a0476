"""What the dataset says, compared with a slow and obvious count."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.manifest import Partition
from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.verification import reading
from loader.verification.aggregates import expected
from loader.verification.aggregates.expected import Expected, series_points, summarise
from tests.points import DAY, trades, write_dataset


def summary(root: Path, rows: pl.DataFrame, picks: list[int]) -> Expected:
    """Return what ``rows``, as one partition, say."""
    manifest = write_dataset(root, trades_schema(), rows, partition_days=10_000_000)
    part = manifest.partitions[0]
    return summarise(root, manifest.schema, [part], {part.path: picks})


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


SPARSE = PointSchema("m", ("t",), (Field("a", FieldType.INTEGER), Field("s", FieldType.STRING)), "time")
Row = tuple[str, int | None, str | None, int]


def random_rows(seed: int, order: str) -> list[Row]:
    """Return rows of SPARSE with few series, times and nulls, so that many have one identity."""
    chance = random.Random(seed)
    rows: list[Row] = [
        (chance.choice("xy"), chance.choice([None, 1, 2, 3]), chance.choice([None, "", "s"]), chance.randrange(30))
        for _ in range(60)
    ]
    rows = [row if row[1:3] != (None, None) else (row[0], 4, None, row[3]) for row in rows]
    if order == "time":
        rows.sort(key=lambda row: row[3])
    if order == "series":
        rows = sorted({(row[0], row[3]): row for row in rows}.values(), key=lambda row: (row[0], row[3]))
    return rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", ["none", "time", "series"])
@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize(("batch_rows", "merged_bytes"), [(7, 1_500), (7, 700), (1_000, 1 << 30)])
def test_rows_of_one_identity(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    order: str,
    files: int,
    batch_rows: int,
    merged_bytes: int,
) -> None:
    """Whatever the order of rows, files and batches, the last value of each field counts, once."""
    monkeypatch.setattr(reading, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(expected, "MERGED_BYTES", merged_bytes)
    rows = random_rows(seed, order)
    partitions = []
    for number in range(files):
        part = rows[number::files]
        columns = list(zip(*part, strict=True))
        path = tmp_path / f"{number}.parquet"
        kinds = (pa.string(), pa.int64(), pa.string(), pa.timestamp("ns"))
        arrays = {name: pa.array(list(c), kind) for name, c, kind in zip("tas", columns, kinds, strict=False)}
        pq.write_table(pa.table({**arrays, "time": pa.array(list(columns[3]), kinds[3])}), path, row_group_size=10)
        partitions.append(Partition(path.name, len(part), min(columns[3]), max(columns[3]), 1, ""))
    union: dict[tuple[str, int], list[int | str | None]] = {}
    for row in [row for number in range(files) for row in rows[number::files]]:
        point = union.setdefault((row[0], row[3]), [None, None])
        for place in (0, 1):
            point[place] = point[place] if row[place + 1] is None else row[place + 1]
    picks = {part.path: list(range(part.rows)) for part in partitions}
    found = summarise(tmp_path, SPARSE, partitions, picks)
    cells = {cell["t0"]: cell for cell in found.cells.iter_rows(named=True)}
    for tag in {tag for tag, _ in union}:
        numbers = [point[0] for (name, _), point in union.items() if name == tag and point[0] is not None]
        assert cells[tag]["count0"] == len(numbers)
        assert cells[tag]["sum0"] == sum(numbers)  # type: ignore[arg-type]
        assert cells[tag]["count1"] == sum(point[1] is not None for (name, _), point in union.items() if name == tag)
    values = sum(value is not None for row in rows for value in row[1:3])
    assert found.superseded == values - sum(value is not None for point in union.values() for value in point)
    points = {(row["t0"], row["time"]): [row["f0"], row["f1"]] for row in found.picked.iter_rows(named=True)}
    text = {key: [point[0], None if point[1] is None else str(point[1]).encode()] for key, point in union.items()}
    assert points == text
    for tag in {tag for tag, _ in union}:
        series = series_points(tmp_path, SPARSE, partitions, [tag], 0)
        assert series.rows() == [(time, *text[tag, time]) for name, time in sorted(union) if name == tag]
    assert series_points(tmp_path, SPARSE, partitions, ["x"], 5 * DAY).rows() == []


def test_a_long_series_before_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in series order whose first batch looks like time order are read once."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 20)
    monkeypatch.setattr(expected, "_in_no_order", None)
    rows = trades(days=1, points=50)
    found = summary(tmp_path, rows, [3, 60])
    assert found.cells["count0"].to_list() == [50] * 6
    assert found.picked.height == 2


def test_a_partition_of_no_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that no point can be leave nothing to expect; all are counted, and the first few are named."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 20)
    rows = trades(days=1, points=50).with_columns(price=pl.lit(float("nan")))
    found = summary(tmp_path, rows, [3, 60])
    assert (found.cells.height, found.picked.height) == (0, 0)
    (group,) = found.unfit
    assert (group.column, group.reason, group.number) == ("price", "InfluxDB holds numbers only", 300)
    assert [text.partition(".parquet, ")[2] for text in group.examples] == [f"row {row}: NaN" for row in range(5)]
    some = rows.with_columns(price=pl.when(pl.int_range(pl.len()) >= 30).then(pl.lit(1.5)).otherwise("price"))
    (tmp_path / "second").mkdir()
    assert summary(tmp_path / "second", some, []).cells["count0"].sum() == 270
