"""Says what a mapping does with times that its user may not expect: integers of 1970, and dates with a time zone."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.types as pt

from loader.dataset.instant import DAY, NANOSECONDS, read_instant
from loader.dataset.schema import PointSchema

_FIRST_YEAR = 365 * DAY
_LIKELY = 20 * _FIRST_YEAR, 80 * _FIRST_YEAR
"""About 1990 to 2050: times of another unit that fall in here are hardly there by chance."""


def odd_times(schema: PointSchema, columns: pa.Schema, latest: int) -> Iterator[str]:
    """Yield a sentence for each thing that may be wrong with the times of files, of which ``latest`` is the last."""
    source, unit = schema.source(schema.time), schema.time_unit
    number = latest // NANOSECONDS[unit] if unit else 0
    likely = [other for other in NANOSECONDS if _LIKELY[0] <= number * NANOSECONDS[other] < _LIKELY[1]]
    if unit and 0 <= latest < _FIRST_YEAR and likely:
        now, then = read_instant(number, unit), read_instant(number, likely[0])
        yield (
            f"column {source!r}: the last time, {number}, is {now} by --time-unit {unit}; it would be {then} by"
            f" --time-unit {likely[0]}"
        )
    if schema.policy.local and pt.is_date(columns.field(source).type):
        yield (
            f"column {source!r} holds dates, which are midnight in UTC, not in {schema.policy.local}: --timezone is"
            " for timestamps"
        )
