"""The settings of candles, and their report."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from loader.dataset.place import Place, find_place

MINUTE = 60_000_000_000


@dataclass(frozen=True)
class CandleRule:
    """Which candles: of which fields, for which tags, and of how many nanoseconds (``every``).

    ``every`` is a whole number of seconds that divides a UTC day. ``price`` is by default the field ``price``, or the
    only field of numbers. ``amount`` is by default the field ``amount`` if there is one; "" is for none, and then there
    is neither volume nor VWAP. ``by`` are tags: by default ``symbol``, or all tags where there is no ``symbol``.
    ``measurement`` is needed when the dataset has several.
    """

    every: int = MINUTE
    price: str = ""
    amount: str | None = None
    by: tuple[str, ...] | None = None
    measurement: str = ""


@dataclass(frozen=True)
class CandleSettings:
    """How to stage the candles of ``rule`` of the dataset at ``dataset`` as a dataset of their own at ``out``.

    ``name`` is its measurement, by default such as ``candles_1m``. ``state`` is where what the loader keeps of the
    source is, if not beside it.
    """

    dataset: Path
    out: Path
    rule: CandleRule = field(default_factory=CandleRule)
    name: str = ""
    state: Path | None = None
    overwrite: bool = False

    @cached_property
    def place(self) -> Place:
        """Where files and state of the source are."""
        return find_place(self.dataset, self.state)


@dataclass(frozen=True)
class CandleReport:
    """What was staged: ``candles`` of ``rows`` rows, ``rows_left_out`` of which are no trades.

    Rows whose candles an earlier run finished (``rows_kept``) were not read again, and are not looked at for trades.
    """

    measurement: str
    rows: int
    rows_kept: int
    rows_left_out: int
    candles: int
    partitions: int
    partitions_kept: int
    size: int
    fingerprint: str
    seconds: float
    peak_memory: int
