"""What is said of CSV and of staged datasets, on wide and narrow terminals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.dataset.guess import Column
from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.staged import StagedInspection, StagedMeasurement
from loader.reporting.inspection_text import fieldless_text
from loader.reporting.source_text import csv_text, source_commands, source_text
from loader.staging.sources.csv_format import CsvFormat
from loader.staging.sources.csv_guess import CsvInspection

FOUND = CsvInspection(
    path="my x.csv",
    files=1,
    size=2_048,
    sample_file="my x.csv",
    sample_rows=1_000,
    whole=True,
    form=CsvFormat("\t", ("NA", "n/a"), ",", "%d.%m.%Y"),
    columns=(
        Column("t", "timestamp[ns]", 0, 20, "time", "it is the first column of timestamps"),
        Column("v", "double", 1, 20, "field float", "it is what is measured"),
    ),
    mapping=ColumnMapping("x", "t", (), (FieldMapping("v", "v"),)),
    problem="",
    notes=("x.csv: column 'v' is text",),
    fieldless=1,
)
STAGED = StagedInspection(
    path="data/date=2024-01-02",
    dataset="data",
    source="files",
    complete=False,
    rows=2_000,
    partitions=1,
    size=2_048,
    measurements=(
        StagedMeasurement("m", 1_500, ("host",), (("v", "float"), ("n", "integer")), "t", 0, 1),
        StagedMeasurement("k", 500, (), (("v", "float"),), "t", 0, 1),
    ),
)


def test_csv() -> None:
    """How it is written, its columns, what may be wrong, and the commands."""
    assert (
        csv_text(FOUND, 110)
        == """\
CSV in 1 file, 2.0 KiB; 1,000 rows
'\\t' separates columns, ',' begins decimals
times are written as %d.%m.%Y

column  type           nulls  values  would be     since
t       timestamp[ns]      0      20  time         it is the first column of timestamps
v       double             1      20  field float  it is what is measured
values: null counts as one

x.csv: column 'v' is text

1 row has no value of any field, and cannot be a point: a load or stage keeps it in the rejected file

a guess, to be checked; --write points.toml writes down what columns are:
  loader stage --from 'my x.csv' --out staged/ --measurement x --time t --separator '\\t' --decimal , \\
    --null NA --null n/a --time-format %d.%m.%Y
  loader load staged/ --bucket x"""
    )
    assert all(len(line) <= 80 for line in source_text(FOUND, 80).splitlines())


def test_csv_that_is_not_clear() -> None:
    """A problem ends what is said; a part of several files, and a file of the guess, are named."""
    text = csv_text(
        replace(FOUND, problem="no column can be a field", mapping=None, notes=(), fieldless=0, form=CsvFormat())
    )
    assert text.endswith("\n\nit cannot be staged as it is: no column can be a field")
    assert source_commands(replace(FOUND, mapping=None)) == []
    text = csv_text(replace(FOUND, files=2, whole=False), written="a b.toml")
    assert "CSV in 2 files, 2.0 KiB; the first 1,000 rows of my x.csv are looked at" in text
    assert "it is in a b.toml:\n  loader stage --from 'my x.csv' --out staged/ --schema 'a b.toml'" in text
    odd = replace(FOUND, mapping=ColumnMapping("x", "a,b", (), (FieldMapping("v", "v"),)), form=CsvFormat(";"))
    assert source_commands(odd)[0] == ["loader", "inspect", "my x.csv", "--write", "points.toml", "--separator", ";"]


def test_staged_datasets() -> None:
    """Each measurement is told with its columns; a part, and what is unfinished, are named."""
    text = source_text(STAGED)
    assert text.startswith("a part of the dataset that loader staged in data (unfinished: stage again")
    assert "2,000 rows in 1 partition, 2.0 KiB\n" in text
    assert "measurement m: 1,500 rows\n  from 1970-" in text
    assert "  tags: host\n  fields: v float, n integer\n" in text
    assert text.endswith("it knows its columns; this loads all of it:\n  loader load data")
    whole = source_text(replace(STAGED, path="data", complete=True))
    assert whole.startswith("a dataset that loader staged, of files\n")


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ((0, 9), ""),
        ((1, 1), "1 row has no value of any field, and cannot be a point: a load or stage keeps it in"),
        ((1_000, 1_000), "1,000 rows have no value of any field, and cannot be points: a load or stage keeps them"),
        ((8, 1_000), "from 8 to 1,000 rows have no value of any field"),
    ],
)
def test_rows_without_any_field(bounds: tuple[int, int], words: str) -> None:
    """Their number, or its bounds, and what becomes of them."""
    assert fieldless_text(*bounds).startswith(words)
    assert bool(fieldless_text(*bounds)) == bool(words)
