"""Texts that a file holds once are read in batches that have room for them in every row."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.verification.lengths import text_size

ENOUGH = 1 << 20
ROWS = 10_000
_READ = """
import sys
from pathlib import Path
from loader.dataset.manifest import Partition
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.memory import measure_peak_memory
from loader.verification.identities import text_tags
from loader.verification.reading import read_rows

path, rows = Path(sys.argv[1]), int(sys.argv[2])
schema = PointSchema("m", ("a",), (Field("s", FieldType.STRING),), "t", "ns")
partition = Partition(path.name, rows, 0, rows - 1, path.stat().st_size, "")
before = measure_peak_memory()
assert sum(text_tags(schema, batch.points).height for batch in read_rows(path.parent, schema, partition)) == rows
print(measure_peak_memory() - before)
"""


def repeated(texts: list[str], rows: int = ROWS) -> pa.DictionaryArray:
    """Return ``rows`` texts, of which the array holds each once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % len(texts), pa.int32()), pa.array(texts))


def size_of(path: Path, texts: pa.Array, **writing: object) -> int:
    """Return the size that is found for a column of ``texts``, the whole of one row group."""
    pq.write_table(pa.table({"a.b": texts}), path, **writing)
    with path.open("rb") as file:
        return text_size(file, pq.read_metadata(path), 0, 0, ENOUGH)


@pytest.mark.parametrize("column", ["a", "s"])
def test_one_long_text_in_every_row(tmp_path: Path, column: str) -> None:
    """A gigabyte of tags or fields in a file of some kilobytes takes the memory of a batch."""
    rows, path = 1_200, tmp_path / "points.parquet"
    columns = {"a": repeated(["x"], rows), "s": repeated(["y"], rows)} | {column: repeated(["v" * 1_000_000], rows)}
    pq.write_table(pa.table({**columns, "t": np.arange(rows)}), path)
    command = [sys.executable, "-c", _READ, str(path), str(rows)]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    assert int(done.stdout) < 400 << 20


@pytest.mark.parametrize("plain", [False, True])
def test_what_a_dictionary_holds_once_counts_in_every_row(tmp_path: Path, plain: bool) -> None:
    """Long texts count as often as rows have them, whatever type the file says that they have."""
    texts = pa.array(["x" * 2_000, "y" * 1_000, None] * (ROWS // 3)).dictionary_encode()
    size = size_of(tmp_path / "file", texts.cast(pa.string()) if plain else texts)
    assert size == pytest.approx(ROWS * 1_000, rel=0.01)


def test_long_texts_that_are_close_together(tmp_path: Path) -> None:
    """Where long texts are in some of the rows, the rows with the most of them count."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000 + [1] * 5_000, pa.int32()), ["x", "y" * 2_000])
    assert size_of(tmp_path / "file", texts) > ROWS * 1_500


def test_ordinary_texts_are_not_looked_through(tmp_path: Path) -> None:
    """Short texts, one in each row or of a dictionary, count as the file's footer has them."""
    path = tmp_path / "file"
    symbols = [f"symbol{number}" for number in range(5_000)]
    for texts, dictionary in ((repeated(["a", "b"]), True), (repeated(symbols), True), (pa.array(symbols), False)):
        size = size_of(path, texts, use_dictionary=dictionary)
        assert size == pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    assert size_of(path, pa.nulls(ROWS, pa.string())) < ENOUGH
