"""The form in which series are compared."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.verification.series import dataset_key, series_name, stored_keys, tag_values

TAGS = ("a", "b\0", "c")
SCHEMA = PointSchema("m", TAGS, (Field("v", FieldType.FLOAT),), "time")
VALUES = st.tuples(*[st.text("\0b=,é", max_size=3)] * 3)


@settings(deadline=None)
@given(VALUES, VALUES)
@example(("", "", ""), ("x", "", "y"))
def test_a_series_of_the_dataset(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Its form gives back its tags, whatever characters they hold, and is equal for equal tags only."""
    key = dataset_key(SCHEMA, one)
    assert tag_values(SCHEMA, key) == one
    assert (key == dataset_key(SCHEMA, other)) == (one == other)


def test_stored_series() -> None:
    """A text that cannot be split, and a second one of the same tags, keep forms of their own."""
    schema = PointSchema("m", ("a",), SCHEMA.fields, "time")
    keys = stored_keys([b"m,a=b", b"m,a=b,c=", b"m,broken", b"m,a=\xff", b"m"])
    assert len(set(keys.values())) == 5
    assert keys[b"m,a=b"] == dataset_key(schema, ("b",))
    assert keys[b"m"] == dataset_key(schema, ("",))
    assert tag_values(schema, keys[b"m,a=\xff"]) == ("\\udcff",)
    assert "m,broken" in series_name(schema, keys[b"m,broken"])
