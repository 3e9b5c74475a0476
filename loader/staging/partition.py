"""Writes the trades of one session as one Parquet file, which appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.atomic import write_whole
from loader.dataset.contents import Identity, identify
from loader.dataset.manifest import Partition
from loader.dataset.reader import GROUP_ROWS
from loader.errors import ConfigError, StageError
from loader.market.prices import SessionPlan
from loader.market.trades import make_trades
from loader.memory import measure_peak_memory
from loader.staging.mark import FILE, write_marked

_LEVELS = {"zstd": range(1, 23)}
_CODECS = ("zstd", "lz4", "snappy", "none")


@dataclass(frozen=True)
class Compression:
    """A Parquet codec; ``level`` is None for codecs without one."""

    codec: str
    level: int | None

    @classmethod
    def parse(cls, text: str) -> Compression:
        """Read "zstd", "zstd:LEVEL", "lz4", "snappy" or "none"; raises ConfigError."""
        codec, colon, level = text.partition(":")
        if codec not in _CODECS or (colon and codec not in _LEVELS):
            raise ConfigError(
                f"compression {text!r}: unknown", hint=f"known are {', '.join(_CODECS)}, and zstd:1 to zstd:22"
            )
        if colon and not (level.isdecimal() and int(level) in _LEVELS[codec]):
            raise ConfigError(f"compression {text!r}: no such level", hint="levels are zstd:1 to zstd:22")
        return cls(codec, int(level) if colon else 1 if codec in _LEVELS else None)


@dataclass(frozen=True)
class Task:
    """Make the partition of ``plan`` in the dataset at ``root``."""

    root: Path
    plan: SessionPlan
    compression: Compression


@dataclass(frozen=True)
class Outcome:
    """A finished partition, the identity of its file, and the process that made it with its peak memory in bytes."""

    partition: Partition
    identity: Identity
    process: int
    peak_memory: int


def name_partition(plan: SessionPlan) -> str:
    """Return the path of the plan's partition in its dataset."""
    return f"date={plan.session.day.isoformat()}/{FILE}"


def make_partition(task: Task) -> Outcome:
    """Make one partition and put it on disk; raises OSError when it cannot be written, StageError for wrong trades.

    Memory: that of ``make_trades``, and the file as a whole twice, about 14 bytes a trade.
    """
    trades = make_trades(task.plan)
    path = name_partition(task.plan)
    check_order(trades, path)
    content, checksum = encode_parquet(trades, task.compression)
    written = write_whole(task.root / path, content, task.root)
    times = pc.min_max(trades["timestamp"].cast(pa.int64())).as_py()
    partition = Partition(
        path=path,
        rows=trades.num_rows,
        time_min=times["min"],
        time_max=times["max"],
        size=len(content),
        checksum=checksum,
    )
    return Outcome(partition, identify(written), os.getpid(), measure_peak_memory())


def check_order(trades: pa.Table, path: str) -> None:
    """Raise StageError unless rows come by symbol, side and time, and no two of a series share a time.

    Of two trades with one identity the server would keep one. Memory: 15 bytes a trade.
    """
    symbols, sides = (trades[tag].combine_chunks().indices.to_numpy() for tag in ("symbol", "side"))
    times = trades["timestamp"].cast(pa.int64()).to_numpy()
    series = symbols * 2 + sides
    fits = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (times[1:] > times[:-1]))
    if not fits.all():
        row = int(np.argmin(fits)) + 1
        found = ", ".join(f"{name} {trades[name][row].as_py()}" for name in ("symbol", "side"))
        raise StageError(
            f"{path}, row {row:,}: {found}, time {times[row]} does not come after the row before it ({times[row - 1]})",
            hint="this is a fault of the loader: report it with the settings of this stage",
        )


def encode_parquet(trades: pa.Table, compression: Compression) -> tuple[memoryview, str]:
    """Return ``trades`` as a Parquet file with the loader's mark, and the file's SHA-256."""
    return write_marked(trades, GROUP_ROWS, **parquet_options(trades.column_names, "timestamp", compression))


def parquet_options(columns: Sequence[str], time: str, compression: Compression) -> dict[str, Any]:
    """Return the options of the Parquet writer for ``columns``, one of which is ``time``."""
    # Timestamps packed as deltas are dense already: compressing them again costs time and gains nothing.
    others = [column for column in columns if column != time]
    levels = {} if compression.level is None else dict.fromkeys(others, compression.level)
    return {
        "compression": {**dict.fromkeys(others, compression.codec), time: "none"},
        "compression_level": levels or None,
        "use_dictionary": others,
        "column_encoding": {time: "DELTA_BINARY_PACKED"},
        "write_statistics": True,
        "write_page_checksum": True,  # so that damage is an error, not a wrong price
    }
