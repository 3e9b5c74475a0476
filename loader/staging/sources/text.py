"""Reads files of lines, plain or compressed, in blocks of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from loader.encoding.line_protocol.line_ends import find_end
from loader.errors import ConfigError

BLOCK_BYTES = 4 << 20
LONGEST_LINE = 64 << 20
_HEADS = (b"# INFLUXDB EXPORT", b"# DDL")
_DML = b"# DML\n"


@contextmanager
def opened_text(path: Path) -> Iterator[BinaryIO]:
    """Open a file, compressed as its last suffix says (.gz, .zst); an error becomes a ConfigError that names it."""
    try:
        match path.suffix.lower():
            case ".gz":
                with gzip.open(path, "rb") as file:
                    yield cast(BinaryIO, file)
            case ".zst":
                with pa.input_stream(str(path), compression="zstd") as file:
                    yield file
            case _:
                with path.open("rb") as file:
                    yield file
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: cannot be read: {why}", hint="name whole files that can be read") from error


def read_blocks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of ``file`` in blocks of whole lines of line protocol, of about BLOCK_BYTES.

    The statements before the points in an export of ``influx_inspect`` become blank lines. Memory is twice a block, or
    LONGEST_LINE and a block. Raises ConfigError for a line that is longer.
    """
    left = b""
    first = True
    while piece := file.read(BLOCK_BYTES):
        left += piece
        if first:
            left, first = _without_head(left), False
        end = find_end(left)
        if end:
            yield left[:end]
            left = left[end:]
        elif len(left) > LONGEST_LINE:
            raise ConfigError(
                f"{path}: a line is longer than {LONGEST_LINE:,} bytes: {left[:60]!r} ...",
                hint="a string may lack its closing quote there",
            )
    if left:
        yield left


def _without_head(text: bytes) -> bytes:
    """Return ``text`` with blank lines in place of the statements at the beginning of an export."""
    end = text.find(_DML)
    if not text.startswith(_HEADS) or end < 0:
        return text
    return b"\n" * text.count(b"\n", 0, end) + text[end:]
