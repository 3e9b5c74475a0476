"""Series of rows get numbers."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.verification.values import series_numbers
from loader.verification.values.series_numbers import SeriesNumbers

FORMS = st.lists(st.sampled_from([b"", b"a", b"b", b"c", b"long enough to lie apart", b"d"]), unique=True)


@pytest.mark.parametrize("waiting", [0, 3, 1 << 16])
@settings(deadline=None)
@given(st.lists(FORMS, max_size=5), FORMS)
def test_any_series(waiting: int, batches: list[list[bytes]], order: list[bytes]) -> None:
    """Each code is that of its series, in the order of the server and then by form, however few of them wait."""
    numbers = SeriesNumbers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_numbers, "WAITING_SERIES", waiting)
        firsts = [numbers.add(pl.Series(forms, dtype=pl.Binary)) for forms in batches]
        series, places = numbers.ranked(pl.Series(order, dtype=pl.Binary))
    for first, forms in zip(firsts, batches, strict=True):
        assert series.gather(places[first : first + len(forms)]).to_list() == forms
    known = {form for forms in batches for form in forms}
    assert series.to_list() == [form for form in order if form in known] + sorted(known - {*order})


def test_the_order_is_held_once() -> None:
    """Where the series are those of the server, they are the same object."""
    order = pl.Series([b"b", b"a"])
    numbers: Any = SeriesNumbers()
    numbers.add(pl.Series([b"a", b"b"]))
    assert numbers.ranked(order)[0] is order
