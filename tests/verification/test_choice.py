"""Whether sums or files are compared where nothing is said."""

from __future__ import annotations

import pytest

from loader.dataset.schema import Field, FieldType, PointSchema, trades_schema
from loader.verification.choice import Extent, prefer_files

FLOATS = PointSchema("m", ("t",), tuple(Field(f"v{number}", FieldType.FLOAT) for number in range(10)), "time")
FLAGS = PointSchema("m", ("t",), tuple(Field(f"v{number}", FieldType.BOOLEAN) for number in range(10)), "time")
TEXT = PointSchema("m", ("t",), (Field("s", FieldType.STRING),), "time")


@pytest.mark.parametrize(
    ("extents", "files"),
    [
        pytest.param([Extent(FLOATS, 2_000_000, 200_000, 1)], True, id="many short series"),
        pytest.param([Extent(FLOATS, 400_000, 20_000, 1)], True, id="series of twenty points"),
        pytest.param([Extent(FLOATS, 4_000, 900, 1)], False, id="sums of seconds"),
        pytest.param([Extent(FLOATS, 2_400_000, 4_000, 1)], True, id="many hosts of a few hours"),
        pytest.param([Extent(trades_schema(), 300_000_000, 160, 366)], False, id="long series"),
        pytest.param([Extent(trades_schema(), 2_000_000, 160, 3)], False, id="points of a moment"),
        pytest.param([Extent(FLAGS, 40_000_000, 4_000, 1)], False, id="counts take no longer than files"),
        pytest.param([Extent(FLOATS, 3_000, 3_000, 1)] * 2, True, id="several measurements"),
        pytest.param([Extent(TEXT, 30_000, 30_000, 1)], False, id="strings are only counted"),
        pytest.param([Extent(FLOATS, 6_000, 100, 300)], True, id="few points a day"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_files_are_preferred_to_sums_of_many_short_series(extents: list[Extent], files: bool) -> None:
    """Files are compared where sums take long, and longer than files; samples left aside."""
    assert prefer_files(extents, samples=0) == files


def test_samples_are_counted() -> None:
    """Each is a query: of a few million points of long series, a thousand samples take longer than the values."""
    extents = [Extent(trades_schema(), 6_000_000, 160, 7)]
    assert not prefer_files(extents, samples=0)
    assert prefer_files(extents, samples=1_000)
    assert not prefer_files([Extent(trades_schema(), 300_000_000, 160, 366)], samples=1_000)


def test_strings_take_longer_than_their_counts() -> None:
    """Long texts are compared in files where that is asked for."""
    assert not prefer_files([Extent(TEXT, 6_000_000, 1_000, 1)], samples=1_000)
    assert prefer_files([Extent(TEXT, 100_000, 1_000, 1)], samples=1_000)
