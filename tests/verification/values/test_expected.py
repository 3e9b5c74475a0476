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
