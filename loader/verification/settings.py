"""The settings of a verification, and its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from loader.dataset.place import Place, find_place
from loader.errors import ConfigError
from loader.printable import printable
from loader.servers.base import Target
from loader.servers.load_method import Surplus

if TYPE_CHECKING:  # staging takes a second to import, and most verifications need none of it
    from loader.staging.candles.settings import CandleRule


@dataclass(frozen=True)
class VerifySettings:
    """How to verify the points of ``target`` against the dataset at ``dataset``.

    ``tolerance`` is relative, for sums of floats only; everything else is compared exactly.
    Of the (series, day) that differ, the points of at most ``drills`` are fetched, to find those that differ.
    With ``values``, every stored value is compared instead of samples and drills; None leaves the choice to the
    verification, which takes them where the server gives files and sums and samples would take longer.
    With ``candles``, candles of that rule, which the server computes in InfluxQL, are compared instead of points.
    ``surplus`` is "fail", or "ignore" for points and values that the dataset does not have; "" is "ignore" where the
    load did not make the bucket.
    ``retry_seconds`` bounds the time for which one query, or the download of one shard, is retried.
    """

    dataset: Path
    target: Target
    samples: int = 1_000
    seed: int = 1
    tolerance: float = 1e-11
    connections: int = 2
    timeout_seconds: float = 120.0
    max_listed: int = 100
    drills: int = 20
    values: bool | None = None
    retry_seconds: float = 300.0
    state: Path | None = None
    candles: CandleRule | None = None
    surplus: str = ""

    @cached_property
    def place(self) -> Place:
        """Where files and state of the dataset are."""
        return find_place(self.dataset, self.state)


@dataclass(frozen=True)
class Difference:
    """One difference: ``kind`` is "missing", "surplus", "different" or "unproven"; ``day`` is YYYY-MM-DD, or empty.

    ``field`` is empty for whole points. ``detail`` says in words what was expected and found, with an example. Names
    and values are cut to a length that fits a line; control characters are escaped.
    """

    kind: str
    day: str
    series: str
    field: str
    detail: str

    def shown(self) -> Difference:
        """Return the difference as it is reported: all texts printable, and cut where they are long."""
        texts = (self.kind, self.day, self.series, self.field, self.detail)
        return Difference(*map(printable, texts))


@dataclass(frozen=True)
class UnfitRows:
    """Rows that cannot be points for one ``reason``, which lies in ``column``; ``examples`` are the first few of them.

    ``measurement`` is "" where the dataset has only one.
    """

    measurement: str
    column: str
    reason: str
    number: int
    examples: tuple[str, ...]

    def shown(self) -> UnfitRows:
        """Return the same with texts that are printable, and cut where they are long."""
        measurement, column, reason = map(printable, (self.measurement, self.column, self.reason))
        return UnfitRows(measurement, column, reason, self.number, tuple(map(printable, self.examples)))


@dataclass(frozen=True)
class VerifyReport:
    """The outcome. ``differences`` holds at most ``max_listed``; ``difference_count`` counts all that were found.

    ``windows`` counts the (series, UTC day) that were compared, ``values`` the values of the dataset that were compared
    one by one, ``candles`` its candles, ``rows_left_out`` the rows that are in no candle, ``superseded`` the values
    that a later row of the same identity replaces. ``unfit`` counts rows that cannot be points: they are not compared,
    and are no differences; ``unfit_rows`` has them by reason. With ``surplus`` "ignore", only points of the dataset
    were compared. If there are several ``measurements``, the series of a difference begins with the name of its
    measurement. ``rows_edited`` were sent by a replay with other values than the dataset's, which are expected all the
    same.
    """

    server: str
    rows: int
    windows: int
    samples: int
    differences: tuple[Difference, ...]
    difference_count: int
    seconds: float
    values: int = 0
    unfit: int = 0
    unfit_rows: tuple[UnfitRows, ...] = ()
    superseded: int = 0
    measurements: Mapping[str, int] = field(default_factory=dict)
    candles: int = 0
    rows_left_out: int = 0
    fingerprint: str = ""
    surplus: str = Surplus.FAIL
    rows_edited: int = 0


def check(settings: VerifySettings) -> None:
    """Raise ConfigError for settings that cannot be."""
    for name, value, least in (
        ("samples", settings.samples, 0),
        ("seed", settings.seed, 0),
        ("connections", settings.connections, 1),
        ("retry seconds", settings.retry_seconds, 0),
    ):
        if not value >= least:  # also for NaN
            raise ConfigError(f"{name} of {value}", hint=f"use {least} or more")
    if settings.surplus not in {"", *Surplus}:
        raise ConfigError(f"surplus {settings.surplus}", hint=f"known are {' and '.join(Surplus)}")
    if settings.candles and settings.surplus == Surplus.IGNORE:
        raise ConfigError("candles are of all points of the bucket", hint="leave out --surplus, or --candles")
    if settings.values and settings.candles:
        raise ConfigError("values and candles are both to be compared", hint="compare them one after the other")
