"""What a stage is told, and what it reports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from loader.dataset.mapping import ColumnMapping
from loader.staging.identities import OnDuplicate


@dataclass(frozen=True)
class StageSettings:
    """How to stage synthetic trades.

    ``symbols`` picks from the built-in ones or names new ones; ``symbols_file`` is a CSV with columns
    symbol, weight, price, volatility. ``start`` and ``end`` are inclusive dates. ``workers`` and
    ``compression`` do not change the trades.
    """

    out: Path
    trades: int = 300_000_000
    calendar: str = "XNYS"
    symbols: tuple[str, ...] = ()
    symbols_file: Path | None = None
    start: date = date(2024, 1, 1)
    end: date = date(2024, 12, 31)
    seed: int = 1
    workers: int = os.cpu_count() or 1
    compression: str = "zstd"
    overwrite: bool = False


@dataclass(frozen=True)
class FilesSettings:
    """How to stage the points in files of others, ``sources``: files, folders and patterns of one kind.

    Line protocol (.lp, .txt) knows its measurements, ``time_unit`` ("s", "ms", "us", "ns") is that of its times; of
    Parquet, Arrow (.arrow, .feather, .ipc) and CSV, ``mapping`` says which column is what. ``on_duplicate`` is "fail",
    "last" or "nudge", see ``PointMerger``; ``on_bad_line`` "fail" or "skip". ``temporary`` is where what does not fit
    into memory lies meanwhile: beside ``out``, if it is not said. ``workers`` are the threads that sort.
    """

    out: Path
    sources: tuple[Path, ...]
    mapping: ColumnMapping | None = None
    time_unit: str = "ns"
    on_duplicate: str = OnDuplicate.FAIL
    on_bad_line: str = "fail"
    max_rejected: int = 1_000
    temporary: Path | None = None
    workers: int = os.cpu_count() or 1
    compression: str = "zstd"
    overwrite: bool = False


@dataclass(frozen=True)
class StageReport:
    """What was staged: whole dataset, and what this run added to it; ``measurements`` are the rows of each.

    Of files of others, ``rows_rejected`` could be no points, ``rows_moved`` were moved by nanoseconds, and
    ``values_superseded`` have a later value in their place; ``values_not_finite`` are left out, where that is wanted.
    """

    rows: int
    size: int
    partitions: int
    partitions_kept: int
    fingerprint: str
    seconds: float
    peak_memory: int
    measurements: Mapping[str, int] = field(default_factory=dict)
    rows_rejected: int = 0
    rows_moved: int = 0
    values_superseded: int = 0
    values_not_finite: int = 0
    rejected_path: str = ""
    first_rejected: str = ""
