"""The rows of a dataset that trials send: of each measurement its first rows, as many as are its share of the dataset.

They are whole runs of rows as they lie in the files, so series and times alternate as they do in the dataset. The same
rows are kept as lines, too, to be sent in other orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest, Partition
from loader.encoding.arrays import Integers
from loader.encoding.line_protocol.encode import EncodedLines
from loader.errors import ConfigError
from loader.loading.known_rows import KnownRows
from loader.loading.write_path.payloads import Payload, payloads

MOST_BYTES = 64 << 20
"""Most bytes of line protocol that a sample has, except for the last of its pieces, or of its windows."""
_PIECE_LINES, _PIECE_BYTES = 20_000, 4 << 20
_HOUR = 3_600_000_000_000
_MOST_HOURS = 10_000
_SERIES = r"^((?:\\[\s\S]|[^\\ ])*) "
"""The measurement and tags of a line: up to the first blank that is not escaped."""


@dataclass(frozen=True)
class Sample:
    """Rows of the dataset at ``root``: ``manifest`` lists parts of its partitions, and ``lines`` has them encoded.

    Memory is MOST_BYTES and 24 bytes for each line.
    """

    root: Path
    manifest: Manifest
    lines: EncodedLines = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of line protocol."""
        return len(self.lines.data)

    def count_bodies(self, batch_lines: int, batch_bytes: int) -> int:
        """Return about how many bodies a load would send of these rows."""
        lines = min(batch_lines, max(1, batch_bytes * len(self.lines) // self.size))
        return sum(-(-partition.rows // lines) for partition in self.manifest.filled)

    def payloads(self, batch_lines: int, body_limit: Callable[[], int]) -> Iterator[Payload]:
        """Read the rows from the files and encode them, as a load does; raises StageError and EncodeError."""
        return _encoded(self.root, self.manifest, batch_lines, body_limit)

    def replayed(self, order: Integers, batch_lines: int, body_limit: Callable[[], int]) -> Iterator[Payload]:
        """Return the lines in ``order`` as payloads; memory is that of the lines once more."""
        return _cut(_taken(self.lines, order), batch_lines, body_limit)

    @cached_property
    def orders(self) -> Mapping[str, Integers]:
        """The orders of the lines by series within each day, as staging makes them, and by time.

        Of equal lines the first stays first.
        """
        texts = pl.Series("series", _texts(self.lines).cast(pa.large_string())).str.extract(_SERIES, 1)
        frame = pl.DataFrame([texts, pl.Series("time", self.lines.times)])
        by_series = (pl.col("time") // DAY, "series", "time")
        return {
            "series": frame.select(pl.arg_sort_by(*by_series, maintain_order=True)).to_series().to_numpy(),
            "time": frame.select(pl.arg_sort_by("time", maintain_order=True)).to_series().to_numpy(),
        }

    def opening(self) -> Payload:
        """Return a payload with a line of each hour of the sample: it has the server make all shards."""
        _, firsts = np.unique(self.lines.times // _HOUR, return_index=True)
        lines = _taken(self.lines, firsts[:_MOST_HOURS])
        return Payload(Chunk("", 0, len(lines)), lines, 0, len(lines))


def take_sample(root: Path, manifest: Manifest, rows: int) -> Sample:
    """Return a sample of about ``rows`` rows of the dataset of ``manifest`` at ``root``, at most MOST_BYTES.

    Raises ConfigError when none of them can be a point, StageError and EncodeError as reading does.
    """
    shares = {partition.path: partition for partition in _shares(manifest, rows)}
    # In the order of the dataset, as a load takes them.
    in_order = (shares[partition.path] for partition in manifest.partitions if partition.path in shares)
    wanted = replace(manifest, partitions=tuple(in_order))
    pieces: list[EncodedLines] = []
    done: dict[str, int] = {}
    size = 0
    chunk = None
    for payload in _encoded(root, wanted, _PIECE_LINES, lambda: _PIECE_BYTES):
        # All payloads of a chunk: only together they account for its rows.
        if size >= MOST_BYTES and payload.chunk != chunk:
            break
        chunk = payload.chunk
        done[chunk.partition] = chunk.stop
        if len(payload):
            pieces.append(payload.lines)
            size += payload.size
    if not pieces:
        raise ConfigError(
            "none of the rows that would be sent can be a point", hint="loader load --dry-run says what is wrong"
        )
    parts = (replace(part, rows=done[part.path]) for part in wanted.partitions if part.path in done)
    return Sample(root, replace(manifest, partitions=tuple(parts)), _joined(pieces))


def _shares(manifest: Manifest, rows: int) -> Iterator[Partition]:
    """Yield the first partitions of each measurement, cut to the rows that are its share of ``rows``."""
    for part in manifest.measurements:
        left = -(-rows * part.rows // manifest.rows)
        for partition in part.filled:
            if left > 0:
                yield replace(partition, rows=min(left, partition.rows))
            left -= partition.rows


def _encoded(root: Path, manifest: Manifest, batch_lines: int, body_limit: Callable[[], int]) -> Iterator[Payload]:
    for partition in manifest.partitions:
        schema = manifest.schema_of(partition.path)
        yield from payloads(root, schema, partition, partition.whole, batch_lines, body_limit, KnownRows())


def _joined(pieces: list[EncodedLines]) -> EncodedLines:
    lengths = np.concatenate([np.diff(piece.offsets) for piece in pieces])
    return _lines(b"".join(piece.data for piece in pieces), lengths, np.concatenate([piece.times for piece in pieces]))


def _taken(lines: EncodedLines, order: Integers) -> EncodedLines:
    """Return the lines numbered ``order``, in that order."""
    lengths = np.diff(lines.offsets)[order]
    *_, content = _texts(lines).take(pa.array(order)).buffers()
    return _lines(content.slice(0, int(lengths.sum())).to_pybytes(), lengths, lines.times[order])


def _texts(lines: EncodedLines) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(lines.offsets), pa.py_buffer(lines.data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lines), buffers)


def _lines(data: bytes, lengths: Integers, times: Integers) -> EncodedLines:
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return EncodedLines(data, offsets, np.arange(len(times)), times)


def _cut(lines: EncodedLines, batch_lines: int, body_limit: Callable[[], int]) -> Iterator[Payload]:
    """Yield ``lines`` as payloads of at most ``batch_lines`` lines and ``body_limit()`` bytes, of one line at least."""
    start = 0
    while start < len(lines):
        most = int(np.searchsorted(lines.offsets, lines.offsets[start] + body_limit(), side="right")) - 1
        stop = min(max(start + 1, min(start + batch_lines, most)), len(lines))
        yield Payload(Chunk("", start, stop), lines, start, stop)
        start = stop
