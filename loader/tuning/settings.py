"""What a tuning is told, and what it reports: values that ``asdict`` turns into JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from loader.dataset.mapping import ColumnMapping
from loader.dataset.place import Place, find_place
from loader.servers.base import Target

BATCH, CONNECTIONS, COMPRESSION = "batch size", "connections", "compression"
TOGETHER, ROW_ORDER, PATH = "all together", "row order", "load path"
"""What is varied."""
RESTORE, SERIES_ORDER = "restore", "series order"
"""Values that no flag of the write path says."""


@dataclass(frozen=True)
class TunedSettings:
    """The settings of a load by the write path that are measured; ``compress`` is "none" or "gzip:LEVEL".

    They mean what ``WriteSettings`` and ``LoadSettings`` say of them, and have the same defaults.
    """

    batch_lines: int = 20_000
    batch_bytes: int = 4_000_000
    connections: int = 3
    compress: str = "none"

    @property
    def flags(self) -> str:
        """The flags of ``loader load`` that say the same."""
        return (
            f"--batch-lines {self.batch_lines} --batch-bytes {self.batch_bytes}"
            f" --connections {self.connections} --compress {self.compress}"
        )


@dataclass(frozen=True)
class TuneSettings:
    """What to measure: the server and organization of ``target``, whose bucket is never touched, with ``dataset``.

    ``seconds`` is how long it may take. A trial sends ``sample_rows`` rows of the dataset at most, fewer where the time
    does not allow so many. ``start`` has the settings to begin from and to compare with, by default those of a load.
    ``state`` and ``mapping`` are those of ``LoadSettings``.
    """

    dataset: Path
    target: Target
    seconds: float = 60.0
    sample_rows: int = 1_000_000
    start: TunedSettings | None = None
    timeout_seconds: float = 60.0
    state: Path | None = None
    mapping: ColumnMapping | None = None

    @cached_property
    def place(self) -> Place:
        """Where files and state of the dataset are."""
        return find_place(self.dataset, self.state)


class Verdict(StrEnum):
    """How a value compares with the one that it is measured against."""

    BASE = "compared with"
    FASTER = "faster"
    SLOWER = "slower"
    NOISE = "within the noise"
    UNKNOWN = "too few repeats"


@dataclass(frozen=True)
class Trial:
    """All repeats with one ``value`` of one ``factor``, in the order in which they were measured.

    ``rates`` are points a second, ``rate`` is their median, ``spread`` their range as a share of it. ``ratio`` is the
    median by that of the value that the factor's others are compared with, whose verdict is BASE. ``cpu_seconds`` is
    the loader's processor time for a million points, the median. ``chosen`` is the value that measuring goes on with.
    """

    factor: str
    value: str
    rates: tuple[float, ...]
    rate: float
    spread: float
    ratio: float
    cpu_seconds: float
    verdict: Verdict
    chosen: bool


@dataclass(frozen=True)
class TuneReport:
    """What was measured: the trials in order, factor by factor, and what follows from them.

    ``start`` are the settings that were compared with, ``found`` those to use: ``start`` itself unless others are
    faster beyond the noise, ``gain`` times as fast. ``flags`` says ``found`` as flags. ``notes`` are sentences: on what
    no flag says (row order, load path), and on values that could not be measured. A trial sent ``sample_rows`` rows of
    the ``rows`` of the dataset, which are ``sample_bytes`` bytes of line protocol. ``measured`` is ISO 8601, UTC.
    ``path`` is the file that ``loader load --tuned`` reads, "" when it was not written.
    """

    url: str
    server: str
    fingerprint: str
    measured: str
    seconds: float
    rows: int
    sample_rows: int
    sample_bytes: int
    start: TunedSettings
    found: TunedSettings
    flags: str
    gain: float
    trials: tuple[Trial, ...]
    notes: tuple[str, ...]
    interrupted: bool
    path: str = ""
