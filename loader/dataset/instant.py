"""Times as text, for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_instant(time: int, unit: str) -> str:
    """Return ``time``, in ``unit`` since 1970, as an ISO 8601 time to the second; years beyond 9999 in words."""
    seconds = time // _UNITS[unit]
    try:
        return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return "no time before the year 10000"
