"""What an adopted file is known by."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.footers import find_changed, footer_checksum
from loader.dataset.manifest import Partition
from loader.errors import StageError


def put(path: Path, *values: int) -> Partition:
    """Write a file of Parquet, changed at an even second, and return it as it is known."""
    pq.write_table(pa.table({"x": list(values)}), path, compression="none")
    os.utime(path, ns=(10**9, 10**9))
    size, modified, checksum = footer_checksum(path.parent, path.name)
    return Partition(path.name, len(values), 0, 0, size, checksum, modified)


def test_a_file_is_known_again(tmp_path: Path) -> None:
    """The same values are the same file; others are not, with equal sizes and times too."""
    first = put(tmp_path / "x", 1, 2)
    assert put(tmp_path / "x", 1, 2) == first
    assert list(find_changed(tmp_path, [first])) == []
    second = put(tmp_path / "x", 1, 3)
    assert (second.size, second.modified) == (first.size, first.modified)
    assert list(find_changed(tmp_path, [first])) == [first]


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"text, and more of it", b"PAR1\xff\xff\xff\x7fPAR1", b"\0\0\0\0PAR1"]
)
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    """A file without a footer of that length within it is an error."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(StageError, match="x: is not Parquet, or was cut short"):
        footer_checksum(tmp_path, "x")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is an error that names it."""
    with pytest.raises(StageError, match="x: cannot be read: No such file"):
        footer_checksum(tmp_path, "x")
