"""The memory of a load has a bound in bytes, whatever its rows hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from tests.tables import LONG_ROWS, MOMENT, write_long_texts, write_tables

ROWS = 60_000


@pytest.mark.parametrize("via", ["write", "restore"])
def test_long_texts_of_a_small_file(tmp_path: Path, via: str) -> None:
    """Half a gigabyte of strings in a file of some kilobytes does not take as much memory."""
    schema = PointSchema("m", (), (Field("s", FieldType.STRING),), "t", "ns")
    strings = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(ROWS) % 20, pa.int32()), [f"{n}" * 8_192 for n in range(20)]
    )
    write_tables(tmp_path, schema, {"one.parquet": pa.table({"s": strings, "t": np.arange(ROWS) + MOMENT})})
    command = [sys.executable, "-m", "loader", "load", str(tmp_path), "--dry-run", "--json", "--via", via]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}  # interpreted, half a gigabyte takes minutes
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    metrics = json.loads(done.stdout)
    assert metrics["report"]["rows_acknowledged"] == ROWS
    assert metrics["peak_memory"] < 700 << 20


def test_long_texts_of_a_large_file(tmp_path: Path) -> None:
    """Of texts that cannot be compressed and are all of one series, a storage file takes a bounded part."""
    command = [sys.executable, "-m", "loader", "load", str(tmp_path), "--dry-run", "--json", "--via", "restore"]
    write_long_texts(tmp_path)
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    metrics = json.loads(done.stdout)
    assert metrics["report"]["rows_acknowledged"] == LONG_ROWS
    assert metrics["peak_memory"] < 600 << 20
