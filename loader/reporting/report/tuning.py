"""Reads what a tuning measured, for the report of its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from loader.dataset.claims import check_line, check_list, check_mapping, check_number
from loader.servers.address import redacted
from loader.tuning.result import read_tuning_file
from loader.tuning.settings import TOGETHER, Verdict

_MOST_TRIALS = 200
_MOST_REPEATS = 1_000


@dataclass(frozen=True)
class TunedValue:
    """One value of a factor: the rate of each repeat (points a second), and how it compares."""

    factor: str
    value: str
    rates: tuple[float, ...]
    verdict: str


@dataclass(frozen=True)
class Tuning:
    """The last tuning: when (ISO 8601, UTC), on which server, the flags that it found, ``gain`` times as fast.

    ``fingerprint`` is that of the dataset at that time.
    """

    measured: str
    server: str
    url: str
    fingerprint: str
    flags: str
    gain: float
    values: tuple[TunedValue, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """What was varied often enough to tell, in the order in which it was measured."""
        told = (each.factor for each in self.values if each.verdict in {Verdict.FASTER, Verdict.SLOWER, Verdict.NOISE})
        return tuple(name for name in dict.fromkeys(told) if name != TOGETHER)

    def gain_of(self, factor: str, value: str) -> float:
        """Return how many times as fast ``value`` is as what it was compared with; 0 unless it is faster."""
        values = [each for each in self.values if each.factor == factor and each.rates]
        base = [each for each in values if each.verdict == Verdict.BASE]
        fast = [each for each in values if each.value == value and each.verdict == Verdict.FASTER]
        return median(fast[0].rates) / median(base[0].rates) if base and fast and median(base[0].rates) else 0.0


def read_tuning(state: Path) -> Tuning | None:
    """Return the last tuning kept at ``state``, None when there is none; raises StageError when it is damaged."""
    return read_tuning_file(state, _tuning, "remove the file")


def _tuning(data: dict[str, Any]) -> Tuning:
    return Tuning(
        measured=check_line("the date", data["measured"]),
        server=check_line("the server", data["server"]),
        url=redacted(check_line("the address", data["url"])),
        fingerprint=check_line("the fingerprint", data["fingerprint"]),
        flags=check_line("the flags", data["flags"]),
        gain=check_number("the gain", data["gain"]),
        values=tuple(map(_value, _few("the trials", data["trials"], _MOST_TRIALS))),
    )


def _value(said: Any) -> TunedValue:
    trial = check_mapping("a trial", said)
    return TunedValue(
        factor=check_line("the factor", trial["factor"]),
        value=check_line("the value", trial["value"]),
        rates=tuple(check_number("a rate", rate) for rate in _few("the rates", trial["rates"], _MOST_REPEATS)),
        verdict=Verdict(trial["verdict"]).value,
    )


def _few(what: str, value: Any, most: int) -> list[Any]:
    found = check_list(what, value)
    if len(found) > most:
        raise ValueError(f"{what} are {len(found):,}, more than {most:,}")
    return found
