"""Rows without any field are counted, or bounded, by footers and a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset import inspection
from loader.dataset.inspection import inspect

ROWS = 40
TIMES = pa.array([1_704_067_200 + row for row in range(ROWS)], pa.timestamp("s", "UTC"))
SOME = [None] * 12 + [1.5] * 28
OTHERS = [1.5] * 28 + [None] * 12
FEWER = [None] * 10 + [2] * 30


@pytest.mark.parametrize(
    ("columns", "sample", "options", "found"),
    [
        ({"x": SOME}, ROWS, {}, (12, 12)),
        ({"x": SOME, "y": OTHERS}, ROWS, {}, (0, 0)),
        ({"x": SOME, "y": FEWER}, ROWS, {}, (10, 10)),
        ({"x": SOME, "y": FEWER, "z": [1] * ROWS}, ROWS, {}, (0, 0)),
        ({"x": SOME}, 8, {}, (12, 12)),
        ({"x": SOME, "y": FEWER}, 8, {}, (8, 10)),
        ({"x": SOME, "y": OTHERS}, 8, {}, (0, 12)),
        ({"x": SOME, "y": FEWER}, 8, {"row_group_size": 5}, (10, 10)),
        ({"x": SOME, "y": FEWER}, 8, {"write_statistics": False}, (8, ROWS)),
        ({"x": SOME, "y.z": FEWER, "y": [{"z": 1}] * ROWS}, 8, {}, (8, ROWS)),
    ],
)
def test_rows_without_any_field(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    columns: dict[str, Any],
    sample: int,
    options: dict[str, Any],
    found: tuple[int, int],
) -> None:
    """The number is exact where the sample is all, or footers tell; otherwise it has bounds."""
    monkeypatch.setattr(inspection, "SAMPLE_ROWS", sample)
    pq.write_table(pa.table({"t": TIMES, **columns}), tmp_path / "x.parquet", **options)
    assert inspect(tmp_path / "x.parquet").fieldless == found


def test_files_that_lack_columns(tmp_path: Path) -> None:
    """A column that a file lacks has no value in it."""
    pq.write_table(pa.table({"t": TIMES, "x": SOME}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"t": TIMES, "y": [None, 1] * 20}), tmp_path / "2.parquet")
    assert inspect(tmp_path).fieldless == (32, 32)
