"""What is said of somebody's Parquet, on a wide terminal and on a narrow one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.dataset.guess import Column
from loader.dataset.inspection import Inspection
from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.policy import Policy
from loader.reporting.inspection_text import inspection_text, load_commands

COLUMNS = (
    Column("VendorID", "int32", 0, 2, "tag", "it has few values"),
    Column("pickup", "timestamp[us]", 0, 40, "time", "it is the first column of timestamps"),
    Column("fare", "decimal128(18, 2)", None, 1_000, "field float", "it is what is measured"),
    Column("tip", "double", 14_286, 7, "field float", "it is what is measured"),
)
FOUND = Inspection(
    path="trips.parquet",
    files=1,
    rows=100_000,
    size=4_823_502,
    row_groups=1,
    largest_group=100_000,
    compressions=("snappy", "zstd"),
    sample_file="trips.parquet",
    sample_rows=65_536,
    columns=COLUMNS,
    order="time",
    first=1_704_067_200_000_000_000,
    last=1_704_067_201_000_000_000,
    mapping=ColumnMapping(
        "trips",
        "pickup",
        ("VendorID",),
        (FieldMapping("fare", "fare"), FieldMapping("tip", "tip")),
        policy=Policy("UTC"),
    ),
)
HEAD = """\
100,000 rows in 1 file, 4.6 MiB, 1 row group of up to 100,000 rows
compression: snappy, zstd
the first 65,536 rows are in time order
from 2024-01-01T00:00:00.000000000Z to 2024-01-01T00:00:01.000000000Z
"""


def left(name: str, kind: str) -> Inspection:
    """Return an inspection that leaves out one more column."""
    return replace(FOUND, columns=(*COLUMNS, Column(name, kind, None, None, "left out", "it has no form")))


def test_a_wide_terminal() -> None:
    """Each reason stands beside its column, and the command on one line."""
    text = f"""{HEAD}
column    type                 nulls  values  would be     since
VendorID  int32                    0       2  tag          it has few values
pickup    timestamp[us]            0      40  time         it is the first column of timestamps
fare      decimal128(18, 2)  unknown   1,000  field float  it is what is measured
tip       double              14,286       7  field float  it is what is measured
values: how many there are in the first 65,536 rows; null counts as one

a guess, to be checked; --write points.toml writes it down:
  loader load trips.parquet --measurement trips --time pickup --tag VendorID --timezone UTC"""
    assert inspection_text(FOUND) == text


def test_a_narrow_terminal() -> None:
    """Reasons stand below the table, those of one reason together, and the command is one that a shell takes."""
    text = f"""{HEAD}
column    type                 nulls  values  would be
VendorID  int32                    0       2  tag
pickup    timestamp[us]            0      40  time
fare      decimal128(18, 2)  unknown   1,000  field float
tip       double              14,286       7  field float

VendorID: it has few values
pickup: it is the first column of timestamps
fare, tip: it is what is measured

values: how many there are in the first 65,536 rows; null counts as one

a guess, to be checked; --write points.toml writes it down:
  loader load trips.parquet --measurement trips --time pickup --tag VendorID \\
    --timezone UTC"""
    assert inspection_text(FOUND, 80) == text


def test_long_names_are_cut_in_a_narrow_table() -> None:
    """No line is longer than the terminal; below the table they are whole."""
    found = left("n" * 60, f"struct<{'x' * 99}: int64>")
    lines = inspection_text(found, 80).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("nnn") and "…  struct<" in line for line in lines)
    assert f"{'n' * 60}: it has no form" in lines


def test_what_speaks_to_the_terminal_is_shown_as_it_is() -> None:
    """No control character of a name, type, path or problem is printed."""
    evil = "a\x1b[2J\nb"
    found = replace(left(evil, evil), path=evil, sample_file=evil, files=2, problem=evil)
    for width in (80, 200):
        text = inspection_text(found, width, evil)
        assert all(line.isprintable() for line in text.splitlines())
        assert "of a\\x1b[2J\\nb are in time order" in text


@pytest.mark.parametrize(("order", "words"), [("series", "in series order"), ("none", "in no order")])
def test_orders(order: str, words: str) -> None:
    """Each has its words; without times none are said."""
    text = inspection_text(replace(FOUND, order=order, first=None, last=None))
    assert f"the first 65,536 rows are {words}\n\n" in text


def test_a_file_that_was_written() -> None:
    """The command is that which uses it."""
    text = inspection_text(FOUND, 80, "my points.toml")
    words = "a guess, to be checked; it is in my points.toml:\n  loader load trips.parquet --schema 'my points.toml'"
    assert text.endswith(words)


def test_files_that_are_left_out() -> None:
    """They are named above the table."""
    text = inspection_text(replace(FOUND, left_out=("a.csv", "b.csv", "c.csv", "d.csv")), 80)
    assert "\nleft out, by their names: a.csv, b.csv, c.csv and 1 more\n" in text


def test_a_problem() -> None:
    """It is said before the guess, if there is one."""
    text = inspection_text(replace(FOUND, problem="no time (mend it)"), 80)
    assert "\n\nit cannot be loaded as it is: no time (mend it)\na guess, once that is mended:\n  loader load" in text
    nothing = inspection_text(replace(FOUND, problem="no column can be a field", mapping=None), 80)
    assert nothing.endswith("\n\nit cannot be loaded as it is: no column can be a field")


BARE = ["loader", "load", "trips.parquet"]
USUAL = [*BARE, "--measurement", "trips", "--time", "pickup"]


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [
        ("day", "path", False),
        ("nothing", "null", False),
        ("__index_level_0__", "int64", False),
        ("parts", "list<element: int64>", True),
    ],
)
def test_fields_are_named_when_a_load_would_take_more(name: str, kind: str, *, named: bool) -> None:
    """What a load leaves out by itself needs no flags."""
    (words,) = load_commands(left(name, kind))
    fields = ["--field", "fare", "--field", "tip"] * named
    assert words == [*USUAL, "--tag", "VendorID", *fields, "--timezone", "UTC"]


def test_times_that_are_integers() -> None:
    """Their unit is said; without tags and zone nothing is said of them."""
    mapping = ColumnMapping("trips", "pickup", (), (FieldMapping("fare", "fare"),), "ms")
    assert load_commands(replace(FOUND, mapping=mapping)) == [[*USUAL, "--time-unit", "ms"]]
    assert load_commands(replace(FOUND, mapping=None)) == []


@pytest.mark.parametrize("name", ["a,b", " a", "a ", "a\nb", "\u202ea"])
def test_names_that_flags_cannot_say(name: str) -> None:
    """A file can."""
    files = [["loader", "inspect", "trips.parquet", "--write", "points.toml"], [*BARE, "--schema", "points.toml"]]
    usual = FOUND.mapping
    assert usual is not None
    assert load_commands(replace(FOUND, mapping=replace(usual, tags=("VendorID", name)))) == files
    assert load_commands(replace(FOUND, mapping=replace(usual, time=name))) == files
    fields = replace(usual, fields=(FieldMapping(name, name),))
    assert load_commands(replace(left("parts", "list"), mapping=fields)) == files
    assert load_commands(replace(FOUND, mapping=fields)) != files
