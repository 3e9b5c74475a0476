"""Reads times of a CSV column that are written in a form of their own."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from loader.dataset.instant import TIME_MAX, TIME_MIN

_PARTS = 1_000
"""Nanoseconds in a microsecond."""


def time_type(form: str) -> pa.DataType:
    """Return the type of times of the form ``form``: with a zone only if it has an offset."""
    return pa.timestamp("ns", "UTC" if "%z" in form or "%:z" in form or "%#z" in form else None)


def read_times(texts: pa.Array, form: str) -> tuple[pa.Array, int]:
    """Return ``texts`` as times of the form ``form``, and the first row that is no such time, -1 where there is none.

    A day that there is not (31 February), text behind the time, and a time that nanoseconds do not reach are no times.
    """
    column = pl.Series(texts)
    # In nanoseconds, Polars lets times beyond 1677 and 2262 wrap; microseconds hold all that it can read.
    wide = column.str.to_datetime(form, time_unit="us", strict=False).to_physical()
    good = wide.is_between(-(-TIME_MIN // _PARTS), TIME_MAX // _PARTS).fill_null(value=False)
    bad = ~good & column.is_not_null()
    if bad.any():
        return texts, int(bad.arg_true()[0])
    times = column.str.to_datetime(form, time_unit="ns", strict=False)
    return times.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(time_type(form)), -1
