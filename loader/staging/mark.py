"""The mark that shows that this loader made a Parquet file: no other file is ever removed.

It is the SHA-256 of everything before the footer, in the metadata of the footer. So a file that the loader did not make
has no mark, and a copy that another program made of a staged file, with its metadata, has a wrong one.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from loader.dataset.beneath import look, open_file
from loader.errors import StageError

FILE = "trades.parquet"
POINTS = "points.parquet"
"""The file names of partitions of trades, and of those from source files."""
KEY = b"loader.staged"
_PATH = re.compile(rf"(measurement=[^/]+/)?date=\d{{4}}-\d\d-\d\d/({re.escape(FILE)}|{re.escape(POINTS)})")
_END = 8
"""Bytes of the footer's length and the magic at the end of a file."""
_CHUNK = 1 << 20


def write_marked(table: pa.Table, row_group_size: int, **options: Any) -> tuple[memoryview, str]:
    """Return ``table`` as a Parquet file with its mark, and the SHA-256 of the whole file.

    ``options`` are those of ``pyarrow.parquet.ParquetWriter``. Memory: the file, twice while it grows.
    """
    sink = io.BytesIO()
    writer = MarkedWriter(sink, table.schema, **options)
    writer.write(table, row_group_size)
    checksum = writer.finish()
    return sink.getbuffer(), checksum


class MarkedWriter:
    """Writes tables into ``file`` as Parquet with the loader's mark.

    ``options`` are those of ``pyarrow.parquet.ParquetWriter``. Memory: a row group.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema, **options: Any) -> None:
        self._sink = _Hashing(file)
        self._writer = pq.ParquetWriter(self._sink, schema, **options)

    def write(self, table: pa.Table, row_group_size: int) -> None:
        """Write ``table`` in row groups of ``row_group_size`` rows."""
        self._writer.write_table(table, row_group_size)

    def finish(self) -> str:
        """Write the footer, and return the SHA-256 of the whole file."""
        self._writer.add_key_value_metadata({KEY: self._sink.digest.hexdigest()})
        self._writer.close()
        return self._sink.digest.hexdigest()

    def abandon(self) -> None:
        """Write nothing more: at its end the Parquet writer would add a footer to a file that may be closed."""
        self._sink.abandoned = True
        self._writer.close()


class _Hashing(io.RawIOBase):
    """Writes to a file until it is abandoned, and computes the SHA-256 of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.abandoned = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write ``data``."""
        if not self.abandoned:
            self._file.write(data)
            self.digest.update(data)
        return len(data)


def is_ours(name: str) -> bool:
    """Tell whether ``name`` has the form of the path of a staged partition."""
    return bool(_PATH.fullmatch(name))


def is_marked(root: Path, name: str) -> bool:
    """Tell whether the file ``name`` below ``root`` is a partition that this loader made and nobody has changed.

    The file is read as a whole, in pieces. Raises StageError for what is no regular file, or cannot be read.
    """
    if not is_ours(name) or not look(root, name):
        return False
    try:
        with os.fdopen(open_file(root, name, os.O_RDONLY), "rb") as file:
            mark = _read_mark(file)
            if not mark:
                return False
            file.seek(-_END, os.SEEK_END)
            footer = int.from_bytes(file.read(4), "little")
            left = os.fstat(file.fileno()).st_size - _END - footer
            file.seek(0)
            digest = hashlib.sha256()
            while left > 0 and (piece := file.read(min(left, _CHUNK))):
                digest.update(piece)
                left -= len(piece)
    except OSError as error:
        raise StageError(f"{root / name}: cannot be read: {error.strerror}", hint="check the disk") from error
    return mark == digest.hexdigest().encode()


def _read_mark(file: BinaryIO) -> bytes:
    try:
        mark: bytes = (pq.read_metadata(file).metadata or {}).get(KEY, b"")
    except (OSError, pa.ArrowException):  # no Parquet
        return b""
    return mark
