"""Values that are no finite numbers are counted where they are left out."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.adopt import adopt
from loader.dataset.mapping import ColumnMapping
from loader.dataset.non_finite import count_non_finite, non_finite_text
from loader.dataset.place import find_place
from loader.dataset.policy import Policy

ODD = [float("nan"), None, 1.0, float("inf"), -float("inf")]


def test_counts(tmp_path: Path) -> None:
    """Each field of floats is counted, by its key, unless its rows are rejected or a stop comes."""
    times = pa.array([1, 2, 3, 4, 5], pa.timestamp("s", "UTC"))
    single = pa.array(ODD, pa.float32())
    columns = {"t": times, "x": pa.array(ODD), "y": single, "z": pa.array([1.0] * 5), "n": pa.array([1] * 5)}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    for rule, wanted in (("skip", {"x": 3, "y": 3}), ("reject", {})):
        manifest = adopt(find_place(tmp_path), ColumnMapping("m", "t", policy=Policy(non_finite=rule)))
        assert manifest
        assert count_non_finite(tmp_path, manifest) == wanted
    manifest = adopt(find_place(tmp_path), ColumnMapping("m", "t", policy=Policy(non_finite="skip")))
    assert manifest
    stop = threading.Event()
    stop.set()
    assert count_non_finite(tmp_path, manifest, stop) == {}
    assert non_finite_text({"x": 1_000, "y": 2}) == "1,002 values are NaN or infinite, and left out: 1,000 of x, 2 of y"
