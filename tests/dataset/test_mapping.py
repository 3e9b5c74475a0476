"""A mapping of columns from texts, and from a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.dataset.mapping import ColumnMapping, FieldMapping, make_mapping, mapping_json, parse_mapping, read_mapping
from loader.dataset.policy import Ambiguous, NonFinite, Policy
from loader.dataset.schema import FieldType
from loader.errors import ConfigError

GOOD = 'measurement = "m"\ntime = "t"\n'
names = st.text(st.characters(exclude_characters="=:", exclude_categories=["Cs"]), min_size=1)
mappings = st.builds(
    ColumnMapping,
    names,
    names,
    st.lists(names).map(tuple),
    st.lists(st.builds(FieldMapping, names, names, st.none() | st.sampled_from(FieldType))).map(tuple),
    st.sampled_from(["", "s", "ms", "us", "ns"]),
    st.sampled_from(["unsigned", "integer", "float", "string"]),
    st.builds(
        Policy, st.sampled_from(["", "UTC", "Asia/Tokyo"]), st.sampled_from(Ambiguous), st.sampled_from(NonFinite)
    ),
)


@given(mappings)
def test_a_mapping_survives_its_json(mapping: ColumnMapping) -> None:
    """What the manifest keeps of it is the same mapping again."""
    assert parse_mapping(mapping_json(mapping), "") == mapping


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", ("x", "x", None)),
        ("x=y", ("x", "y", None)),
        ("x=y:float", ("x", "y", FieldType.FLOAT)),
        ("x=:string", ("x", "x", FieldType.STRING)),
        ("a:b", ("a:b", "a:b", None)),
        ("x=a:b:integer", ("x", "a:b", FieldType.INTEGER)),
    ],
)
def test_a_field_in_words(text: str, expected: tuple[str, str, FieldType | None]) -> None:
    """Column, key and type, of which the last two may be left out."""
    assert dataclasses.astuple(FieldMapping.parse(text)) == expected


@pytest.mark.parametrize("text", ["", "=y", "x=", "x=y:int", "x=y:"])
def test_a_field_that_is_not_understood(text: str) -> None:
    """It is an error that says how fields are written."""
    with pytest.raises(ConfigError, match="is not understood") as caught:
        FieldMapping.parse(text)
    assert "column=key:type" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (GOOD + 'tag = ["a"]', "unknown key 'tag'", "known are measurement, time, tags, fields, measurement_column"),
        (GOOD + 'tags = "a"', "tags is 'a'", "a list of texts"),
        (GOOD + "tags = [1]", r"tags is \[1\]", "a list of texts"),
        ("measurement = 1", "measurement is 1", "it should be text"),
        ('measurement = ["m"]', r"measurement is \['m'\]", "it should be text"),
        ('time = "t"', "no measurement is named", "--measurement NAME"),
        ('measurement = "m"', "no time column is named", "--time COLUMN"),
        (GOOD + 'measurement_column = "kind"', "a measurement and a column of measurements", "the one, or the other"),
        (GOOD + 'time_unit = "h"', "time unit 'h'", "s, ms, us, ns"),
        (GOOD + 'unsigned = "boolean"', "unsigned 'boolean'", "unsigned, integer, float, string"),
        (GOOD + 'ambiguous = "both"', "ambiguous 'both'", "refuse, infer, earliest, latest"),
        (GOOD + 'non_finite = "keep"', "non-finite 'keep'", "reject, skip"),
        (GOOD + 'timezone = "Mars/Olympus"', "time zone 'Mars/Olympus' is not known", "Europe/Berlin"),
        (GOOD + 'timezone = "../../etc/passwd"', "is not known", "Europe/Berlin"),
        (GOOD + 'fields = ["x=y:int"]', "field 'x=y:int' is not understood", "types are float"),
        ("measurement = ", "cannot be read as TOML", "points.toml"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, content: str, message: str, hint: str) -> None:
    """The error says what is wrong, and what is known."""
    path = tmp_path / "points.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_mapping(path)
    assert hint in caught.value.hint


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, and bytes that are no text, are errors that name it."""
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read as TOML: No such file"):
        read_mapping(tmp_path / "none.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"odd\.toml: cannot be read as TOML"):
        read_mapping(tmp_path / "odd.toml")


def test_the_least_of_a_mapping(tmp_path: Path) -> None:
    """A measurement and a time column are enough."""
    (tmp_path / "points.toml").write_text(GOOD)
    assert read_mapping(tmp_path / "points.toml") == make_mapping("m", "t") == ColumnMapping("m", "t")


@pytest.mark.parametrize("said", [{"who": "knows"}, {"ambiguous": "both"}, {"timezone": "Mars"}])
def test_a_policy_that_cannot_be(said: dict[str, str]) -> None:
    """A schema of others with another policy is refused."""
    with pytest.raises(ValueError, match=r"policy|ambiguous|time zone"):
        Policy.from_json(said)


@given(st.builds(Policy, st.sampled_from(["", "UTC"]), st.sampled_from(Ambiguous), st.sampled_from(NonFinite)))
def test_a_policy_survives_json(policy: Policy) -> None:
    """Only what differs from the strict choices is written."""
    said = policy.to_json()
    assert Policy.from_json(said) == policy
    assert not {"reject", "refuse", ""} & {*said.values()}
