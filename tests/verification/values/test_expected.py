"""The values of the dataset in a window, whatever was read for other windows before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.verification import reading
from loader.verification.values.columns import columns_equal
from loader.verification.values.expected import ExpectedValues, expected_values
from loader.verification.values.extents import Extents
from loader.verification.windows import Window
from tests.tables import MOMENT, write_tables

ROWS = 1_000
SCHEMA = PointSchema("m", ("a",), (Field("v", FieldType.FLOAT), Field("s", FieldType.STRING)), "t", "ns")


@pytest.mark.parametrize("in_order", [True, False])
def test_a_file_in_many_windows_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_order: bool) -> None:
    """Each window has its rows, and those that no point can be; of rows in order no more is read than it needs."""
    random = np.random.default_rng(1)
    times: list[int | None] = (MOMENT + (np.arange(ROWS) if in_order else random.permutation(ROWS))).tolist()
    times[500] = None
    table = pa.table(
        {
            "t": pa.array(times, pa.int64()),
            "a": pa.array(["x", "y"] * (ROWS // 2)),
            "v": pa.array([float("nan") if row == 710 else float(row) for row in range(ROWS)]),
            "s": pa.array([f"text {row}" for row in range(ROWS)]),
        }
    )
    (partition,) = write_tables(tmp_path, SCHEMA, {"one.parquet": table}).partitions
    monkeypatch.setattr(reading, "BATCH_ROWS", 50)
    batches: list[int] = []
    plainly = reading._read
    monkeypatch.setattr(reading, "_read", lambda *given: batches.append(given[3]) or plainly(*given))
    windows = [Window(start, start + 100, (partition,)) for start in range(MOMENT, MOMENT + ROWS, 100)]

    def read(extents: Extents | None) -> list[ExpectedValues]:
        return [
            expected_values(tmp_path, SCHEMA, window, pl.Series(dtype=pl.Binary), 0, extents or Extents())
            for window in windows
        ]

    apart, number = read(None), len(batches)
    together = read(Extents())
    assert number == 10 * ROWS // 50
    assert len(batches) - number <= (ROWS // 50 + 9 * 3 if in_order else number)
    assert sum(group.number for each in together for group in each.unfit) == 2
    assert sum(each.size for each in together) == 2 * (ROWS - 2)
    for one, other in zip(apart, together, strict=True):
        assert columns_equal(one.columns, other.columns)
        assert one.unfit == other.unfit


@pytest.mark.parametrize("equal_hashes", [False, True])
@pytest.mark.parametrize("series", [1, 7, 50, 120])
def test_series_in_any_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: int, equal_hashes: bool) -> None:
    """Rows in time order are put in the order of the server's series, followed by others, wherever batches end.

    Hashes that are equal by chance change nothing.
    """
    if equal_hashes:
        monkeypatch.setattr(
            pl.DataFrame, "hash_rows", lambda rows: pl.repeat(1, len(rows), dtype=pl.UInt64, eager=True)
        )
    owners = [f"s{number % series:03}" for number in range(360)]
    table = pa.table(
        {
            "t": pa.array(MOMENT + np.arange(360) // series, pa.int64()),
            "a": pa.array(owners),
            "v": pa.array(np.arange(360.0)),
            "s": pa.array(owners),
        }
    )
    (partition,) = write_tables(tmp_path, SCHEMA, {"one.parquet": table}).partitions
    monkeypatch.setattr(reading, "BATCH_ROWS", 50)
    order = pl.Series([b"a\0s%03d" % number for number in range(series - 1, -1, -2)])
    window = Window(MOMENT, MOMENT + 360, (partition,))
    numbers, texts = expected_values(tmp_path, SCHEMA, window, order, 0, Extents()).columns
    names = sorted({*owners} - {form.decode()[2:] for form in order})
    wanted = [form.decode()[2:] for form in order] + names
    assert numbers.series.to_list() == [f"a\0{name}".encode() for name in wanted]
    rows = [row for name in wanted for row, owner in enumerate(owners) if owner == name]
    assert numbers.values.view(np.float64).tolist() == rows
    assert texts.values.to_pylist() == [owners[row].encode() for row in rows]
    assert numbers.times.tolist() == [MOMENT + row // series for row in rows]
