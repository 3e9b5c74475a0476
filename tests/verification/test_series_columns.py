"""The forms of whole columns of series beside those of one series."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.verification import series_columns
from loader.verification.series import dataset_key, stored_keys, tag_values
from loader.verification.series_columns import dataset_forms, form_tags, stored_forms

FIELDS = (Field("v", FieldType.FLOAT),)
PIECES = (
    *(b"m", b",", b"=", b"a", b"b", b"\\", b" ", b"\0", b"\xff", b"\xc3", b"\xa9", b"'", b'"'),
    *("é".encode(), "\ue000".encode(), "😀".encode(), b",a=x", b",b=y", b",a=", b",ab=x", b"\\,", b"\\=", b"\\ "),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)
NAMES = st.text("ab,=\\ \0éz", min_size=0, max_size=3)


@settings(max_examples=500, deadline=None)
@given(st.sets(TEXTS | TEXTS.map(lambda text: b"m," + text) | st.binary(max_size=12), max_size=12))
@example({b"m,a=x", b"m,a=x,b=", b"m,b=y,a=x", b"m,a=x,b=y"})
@example({b"n,a=x", b"m,a=x"})
@example({b"m,\xc3=x,\xc3\xa9=y", b"m,\xff=x,\xee\x80\x80=y", b"m,\xee\x80\x80=x,\xff=y"})
@example({b"m,a=x,a=y", b"m,a=x,ab=y", b"m,ab=x,a=y", b"m,a=x,a", b"m,a=b=c", b"m,", b"m", b"m,a"})
@example({b"m,a\\,b", b"m,=m\\,a\\,b", b"m\\,a=b", b"m\\\\,a=b", b"m,a=\\", b"m,a\\=b", b"m,a\\ b=\\ \\x"})
def test_stored_series(texts: set[bytes]) -> None:
    """Whatever a server stores has the form that it has by itself, and keeps it beside any others."""
    some = list(texts)
    assert stored_forms(pl.Series(some, dtype=pl.Binary)).to_list() == [stored_keys(some)[text] for text in some]


def test_plain_series_are_no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series with several tags, escapes and characters beyond ASCII are taken together; only odd ones one by one."""
    alone: list[bytes] = []
    monkeypatch.setattr(series_columns, "stored_keys", lambda texts: alone.extend(texts) or stored_keys(texts))
    plain = [b"m", b"m,a=x", b"m,a=x\\ y,b=z\\=", "m,a=é,é=x,ü=y".encode(), b"m\\ 1,a=\\", b"m,a=b=c"]
    stored_forms(pl.Series(plain))
    assert not alone
    odd = [b"m,a=\0", b"m,a=\xff,b=x,\xff=y", b"m,a=,b=x", b"m,b=x,a=y"]
    stored_forms(pl.Series(plain + odd))
    assert alone == ["m,a=é,é=x,ü=y".encode(), *odd], "not UTF-8"


@settings(deadline=None)
@given(
    st.lists(NAMES, max_size=3, unique=True).flatmap(
        lambda tags: st.tuples(st.just(tuple(tags)), st.lists(st.tuples(*[NAMES] * len(tags)), max_size=6))
    )
)
@example((("b", "a"), [("x", "y"), ("", "y"), ("", ""), ("\0", "y"), ("a\0z", "")]))
@example((("b\0", "a"), [("x", "y"), ("", "y")]))
@example((("", "a"), [("x", "y"), ("", "y")]))
def test_series_of_the_dataset(given: tuple[tuple[str, ...], list[tuple[str, ...]]]) -> None:
    """They have the form that each has by itself, and it gives back the tags."""
    tags, rows = given
    schema = PointSchema("m", tags, FIELDS, "time")
    columns = {f"t{number}": pl.Series([row[number] for row in rows], dtype=pl.String) for number in range(len(tags))}
    forms = dataset_forms(schema, pl.DataFrame(columns))
    height = len(rows) if tags else 0
    assert (forms.dtype, forms.to_list()) == (pl.Binary, [dataset_key(schema, row) for row in rows[:height]])
    assert form_tags(schema, forms).rows() == rows[:height]


@pytest.mark.parametrize(
    "texts", [[b"m", b"m,a=x", b"m,b=\xc3\xa9,c=z"], [b"m,a=\xff", b"m,broken", b"m,a=\0,b=x"], []]
)
def test_tags_of_stored_series(texts: list[bytes]) -> None:
    """Tags that the schema lacks are left out, and what is not UTF-8 is told as of one series."""
    schema = PointSchema("m", ("b", "a"), FIELDS, "time")
    forms = stored_forms(pl.Series(texts, dtype=pl.Binary))
    assert form_tags(schema, forms).rows() == [tag_values(schema, form) for form in forms]
