"""The settings of a stage, and its report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from loader.dataset.mapping import ColumnMapping
from loader.dataset.policy import OnDuplicate
from loader.staging.sources.csv_format import ISO, CsvFormat


@dataclass(frozen=True)
class StageSettings:
    """How to stage synthetic trades.

    ``symbols`` picks from the built-in ones or names new ones; ``symbols_file`` is a CSV with columns
    symbol, weight, price, volatility. ``start`` and ``end`` are inclusive dates. ``workers`` (processes, by default as
    many as processors) and ``compression`` do not change the trades. ``overwrite`` replaces another dataset in ``out``.
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
    """How to stage the points in ``sources``: files, folders and patterns, all line protocol or all tables.

    For line protocol (.lp, .txt, .line), ``time_unit`` ("s", "ms", "us", "ns") is that of its times. For Parquet, Arrow
    (.arrow, .feather, .ipc) and CSV, ``mapping`` says which columns are tags, fields and time. ``on_duplicate`` is
    "fail", "last" (the last row of an identity counts) or "nudge" (later ones are moved by nanoseconds);
    ``on_bad_line`` is "fail" or "skip". ``temporary`` is the folder for data that does not fit into memory, by default
    beside ``out``. ``workers`` is the number of threads that sort, by default that of processors. ``csv`` is how
    CSV is written.
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
    csv: CsvFormat = ISO


@dataclass(frozen=True)
class StageReport:
    """What was staged: whole dataset, and what this run added to it; ``measurements`` are the rows of each.

    For source files, ``rows_rejected`` counts rows that cannot be points, ``rows_moved`` rows that were moved by
    nanoseconds, ``values_superseded`` values that later rows replace, and ``values_not_finite`` NaN and infinities that
    are left out because the mapping says so.
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
