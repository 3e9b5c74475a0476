"""What InfluxDB 3 can hold, beside 1 and 2: names, tags and strings, and how backslashes are written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.escaping import CORE_FORM, USUAL_FORM, LineForm
from loader.encoding.line_protocol.encode import LineEncoder
from loader.encoding.selection import select_points
from loader.errors import EncodeError
from tests.recorded_core import recorded

SCHEMA = PointSchema("m", ("h",), (Field("s", FieldType.STRING),), "t", "ns")
ADDRESS = Chunk("rows.parquet", 0, 1)


def written(form: LineForm, schema: PointSchema, tag: str, text: str = "x") -> str:
    """Return the line of a row with one tag and one string."""
    batch = pa.record_batch({schema.tags[0]: [tag], "s": [text], "t": np.array([1])})
    selected = select_points(batch, schema, ADDRESS, form=form)
    assert not selected.rejected
    (lines,) = LineEncoder(schema, form).encode(selected, 9, lambda: 1 << 22)
    return lines.data.decode()


def rejected(form: LineForm, tag: str, text: str = "x", *, encoded: bool = False) -> list[tuple[str, str]]:
    """Return column and reason of the rejected row."""
    texts = pa.array([text])
    batch = pa.record_batch({"h": [tag], "s": texts.dictionary_encode() if encoded else texts, "t": np.array([1])})
    return [(each.column, each.reason) for each in select_points(batch, SCHEMA, ADDRESS, form=form).rejected]


@pytest.mark.parametrize(
    ("tag", "usual", "core"),
    [
        ("a\\b", "a\\b", "a\\\\b"),
        ("a\\\\b", "a\\\\b", "a\\\\\\\\b"),
        ("a\\,b", "a\\\\,b", "a\\\\\\,b"),
        ("a b=c", "a\\ b\\=c", "a\\ b\\=c"),
    ],
)
def test_a_backslash_is_escaped_for_version_3_only(tag: str, usual: str, core: str) -> None:
    """There two of them are one, as was seen: tags with one and with two came back as the same tag."""
    assert '"k":"7","t":"a\\\\b"' in recorded("escapes as stored").body.decode()
    assert '"k":"8","t":"a\\\\b"' in recorded("escapes as stored").body.decode()
    assert written(USUAL_FORM, SCHEMA, tag) == f'm,h={usual} s="x" 1\n'
    assert written(CORE_FORM, SCHEMA, tag) == f'm,h={core} s="x" 1\n'


def test_backslashes_in_names_are_escaped_too() -> None:
    """Otherwise two keys of one point could be one key for the server, which that poisons."""
    schema = PointSchema("m\\x", ("k\\y",), (Field("s", FieldType.STRING),), "t", "ns")
    assert written(CORE_FORM, schema, "a") == 'm\\\\x,k\\\\y=a s="x" 1\n'
    assert written(USUAL_FORM, schema, "a") == 'm\\x,k\\y=a s="x" 1\n'


@pytest.mark.parametrize(("tag", "usual"), [("a\tb", True), ("a\nb", False), ("a\\", False)])
def test_tags_without_a_form(tag: str, usual: bool) -> None:
    """Version 3 also refuses tabs, with or without a backslash; a row with one is named, and not sent."""
    assert bool(rejected(USUAL_FORM, tag)) is not usual
    ((column, reason),) = rejected(CORE_FORM, tag)
    assert (column, reason) == ("h", "newlines, tabs, and backslashes at the end, have no form in a tag of InfluxDB 3")


@pytest.mark.parametrize("encoded", [False, True])
def test_a_string_may_have_a_mebibyte(encoded: bool) -> None:
    """One byte more is refused by version 3, whether the column is plain or a dictionary; bytes count, not letters."""
    most = "é" * (1 << 19)
    assert rejected(CORE_FORM, "a", most, encoded=encoded) == []
    assert rejected(USUAL_FORM, "a", most + "x", encoded=encoded) == []
    ((column, reason),) = rejected(CORE_FORM, "a", most + "x", encoded=encoded)
    assert (column, reason) == ("s", "a string of InfluxDB 3 has at most 1,048,576 bytes")


@pytest.mark.parametrize(
    "changes",
    [
        {"measurement": "a\tb"},
        {"measurement": "#m"},
        {"tags": ("a\tb",)},
        {"tags": ("time",)},
        {"tags": ("__chunk_order",)},
        {"fields": (Field("a\tb", FieldType.FLOAT),)},
        {"fields": (Field("__chunk_order", FieldType.FLOAT),)},
        {"fields": (Field("time", FieldType.FLOAT),)},
        {"fields": (Field("a\\", FieldType.FLOAT),)},
    ],
)
def test_names_without_a_form(changes: dict[str, object]) -> None:
    """What the server refuses, drops silently or reserves is an error before anything is sent."""
    with pytest.raises(EncodeError, match="no line-protocol form"):
        CORE_FORM.check_names(replace(SCHEMA, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "schema",
    [
        replace(SCHEMA, tags=("h", "h")),
        replace(SCHEMA, tags=("s",)),
        replace(SCHEMA, fields=(SCHEMA.fields[0], SCHEMA.fields[0])),
    ],
    ids=["tag twice", "tag and field", "field twice"],
)
def test_no_name_may_come_twice(schema: PointSchema) -> None:
    """A line with one tag key twice is acknowledged, and then the server cannot read the table any more."""
    assert recorded("one tag key twice").status == 204
    assert recorded("query after one tag key twice").status == 500
    USUAL_FORM.check_names(schema)
    with pytest.raises(EncodeError, match="is there twice"):
        CORE_FORM.check_names(schema)
    CORE_FORM.check_names(SCHEMA)
    CORE_FORM.check_names(PointSchema("m", (), (), "t"))
