"""Totals of the server beside those of the files."""

from __future__ import annotations

from concurrent.futures import Future

import polars as pl
import pytest

from loader.dataset.schema import FieldType
from loader.errors import ConfigError, ServerError
from loader.verification.values.verify_values import _are_expected

EXPECTED = {
    FieldType.FLOAT: pl.DataFrame({"t0": ["x", "y", "x"], "day": [0, 0, 1], "field": [0, 0, 2], "count": [3, 4, 5]}),
    FieldType.STRING: pl.DataFrame({"t0": ["x"], "day": [0], "field": [1], "count": [6]}),
}


def answer(found: list[int] | Exception) -> Future[list[int]]:
    """Return what a server has answered."""
    future: Future[list[int]] = Future()
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
    return future


@pytest.mark.parametrize(
    ("windows", "same"),
    [
        ([[[7, 6, 5, 0]]], True),
        ([[[7, 6], [5, 0]]], True),
        ([[[3, 6, 0, 0]], [[4, 0, 5, 0]]], True),
        ([[[7, 6, 4, 0]]], False),
        ([[[7, 6, 5, 1]]], False),
        ([[[6, 7, 5, 0]]], False),
        ([[ServerError("busy")]], False),
        ([[[7, 6, 5, 0]], [ConfigError("a tag that no query takes")]], False),
        ([], False),
    ],
)
def test_totals_are_compared_by_field(windows: list[list[list[int] | Exception]], same: bool) -> None:
    """Totals agree if the windows of each field add up to what is expected, and not where there is no answer."""
    assert _are_expected(EXPECTED, [[answer(found) for found in window] for window in windows]) == same
