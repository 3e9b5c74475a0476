"""Times: which of them InfluxDB can store, their units, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

TIME_MIN, TIME_MAX = -(2**63) + 2, 2**63 - 3
"""The first and last nanosecond that InfluxDB stores and finds: no query range reaches those beyond."""
NANOSECONDS: Mapping[str, int] = MappingProxyType({"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1})
"""Nanoseconds in each unit of time."""
DAY = 86_400 * NANOSECONDS["s"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000


def instant(time: int) -> str:
    """Return ``time`` (nanoseconds) as RFC 3339 with nine digits."""
    seconds, rest = divmod(time, _SECOND)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def nanoseconds(text: str) -> int:
    """Read an RFC 3339 time in UTC with up to nine digits after the second, or none."""
    whole, _, digits = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(f"{whole}+00:00") - _EPOCH) // timedelta(seconds=1)
    return seconds * _SECOND + int(digits.ljust(9, "0"))


def read_instant(time: int, unit: str) -> str:
    """Return ``time``, in ``unit`` since 1970, as ISO 8601 to the second; other years than 1 to 9999 in words."""
    seconds = time * NANOSECONDS[unit] // _SECOND
    try:
        return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return "no time of the years 1 to 9999"
