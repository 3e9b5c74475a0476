"""What a stage is told, and what it reports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path


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
class StageReport:
    """What was staged: whole dataset, and what this run added to it."""

    rows: int
    size: int
    partitions: int
    partitions_kept: int
    fingerprint: str
    seconds: float
    peak_memory: int
