"""When trades happen: sessions, each within one UTC day."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from loader.errors import ConfigError

DAY = 86_400_000_000_000


@dataclass(frozen=True)
class Session:
    """Trades of ``day`` happen at ``start`` <= time < ``stop``, integer nanoseconds UTC.

    ``curvature`` shapes activity: 0 is level all day, 0.6 a U with ends 2.5 times as busy as the mean.
    ``years`` is the share of a year of price movement that the session stands for.
    """

    day: date
    start: int
    stop: int
    curvature: float
    years: float


def list_sessions(calendar: str, start: date, end: date) -> tuple[Session, ...]:
    """Return the sessions from ``start`` to ``end``, both inclusive, in order.

    Raises ConfigError for an unknown calendar, a range without a session, or one outside 1970 to 2199.
    """
    if calendar not in CALENDARS:
        raise ConfigError(f"calendar {calendar!r}: unknown", hint=f"known are {', '.join(CALENDARS)}")
    if start.year < 1970 or end.year > 2199:
        raise ConfigError(f"{start} to {end}: not within 1970 to 2199", hint="choose other dates")
    sessions = CALENDARS[calendar](start, end) if start <= end else ()
    if not sessions:
        raise ConfigError(
            f"{start} to {end}: no session of {calendar}", hint="choose a start and end with trading days between"
        )
    return sessions


def _list_exchange(start: date, end: date) -> tuple[Session, ...]:
    from exchange_calendars import get_calendar  # noqa: PLC0415  (half a second, needed by one command only)

    margin = timedelta(days=10)  # a calendar may not be empty, a range of ours may
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own use of pandas
        known = get_calendar("XNYS", start=str(start - margin), end=str(end + margin))
    hours = known.schedule.loc[str(start) : str(end)]
    return tuple(
        Session(day.date(), opens.value, closes.value, curvature=0.6, years=1 / 252)
        for day, opens, closes in zip(hours.index, hours["open"], hours["close"], strict=True)
    )


def _list_days(start: date, end: date) -> tuple[Session, ...]:
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    midnights = [(day - date(1970, 1, 1)).days * DAY for day in days]
    return tuple(
        Session(day, midnight, midnight + DAY, curvature=0.0, years=1 / 365)
        for day, midnight in zip(days, midnights, strict=True)
    )


CALENDARS: Mapping[str, Callable[[date, date], tuple[Session, ...]]] = MappingProxyType(
    {"XNYS": _list_exchange, "24/7": _list_days}
)
