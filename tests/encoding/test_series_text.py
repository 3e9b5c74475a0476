"""Tags in the text of a series."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.selection import select_points
from loader.encoding.series import find_series
from loader.encoding.series_text import series_tags
from loader.errors import EncodeError

NAMES = st.text("ab ,=\\\"'ü", min_size=1, max_size=6)


@given(NAMES, st.dictionaries(NAMES, st.text("ab ,=\\\"'ü\t", max_size=6), max_size=3))
def test_what_was_escaped_comes_back(measurement: str, tags: dict[str, str]) -> None:
    """Every series that has a form gives back its tags, those that are empty left out."""
    schema = PointSchema(measurement, tuple(tags), (Field("f", FieldType.FLOAT),), "t")
    frame = pl.DataFrame({tag: [value] for tag, value in tags.items()} | {"f": [1.0], "t": [0]})
    frame = frame.with_columns(t=pl.col("t").cast(pl.Datetime("ns")))
    try:
        selected = select_points(frame.to_arrow().to_batches()[0], schema, Chunk("p", 0, 1))
    except EncodeError:
        return
    if selected.rejected:
        return
    (text,) = find_series(selected.points, schema).texts.to_pylist()
    assert series_tags(text) == {tag: value for tag, value in tags.items() if value}


@pytest.mark.parametrize("text", ["m", "m\\,a\\ b=c"])
def test_no_tags(text: str) -> None:
    """A measurement alone has none, whatever its name."""
    assert series_tags(text) == {}
