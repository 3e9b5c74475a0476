"""Reads what a tuning measured, for the report of its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader.dataset.claims import check_line, check_list, check_mapping, check_number
from loader.tuning.result import read_tuning_file
from loader.tuning.settings import Verdict

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
    """The last tuning: when (ISO 8601, UTC), on which server, the flags that it found, ``gain`` times as fast."""

    measured: str
    server: str
    flags: str
    gain: float
    values: tuple[TunedValue, ...]


def read_tuning(state: Path) -> Tuning | None:
    """Return the last tuning kept at ``state``, None when there is none; raises StageError when it is damaged."""
    return read_tuning_file(state, _tuning, "remove the file")


def _tuning(data: dict[str, Any]) -> Tuning:
    return Tuning(
        measured=check_line("the date", data["measured"]),
        server=check_line("the server", data["server"]),
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
