"""What is said of CSV before it is staged: its form, its columns, and what may be wrong."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.errors import ConfigError
from loader.staging.sources import csv_guess
from loader.staging.sources.csv_format import ISO, CsvFormat
from loader.staging.sources.csv_guess import CsvInspection, inspect_csv, is_csv


def look(path: Path, text: str, form: CsvFormat = ISO) -> CsvInspection:
    """Return what is said of a file with ``text``."""
    path.write_text(text, encoding="utf-8")
    return inspect_csv(path, form)


def roles(found: CsvInspection) -> dict[str, str]:
    """Return the role of each column."""
    return {column.name: column.role for column in found.columns}


def test_the_columns(tmp_path: Path) -> None:
    """Roles are those of Parquet, nulls and values those of the sample; rows without a field and words are told."""
    lines = [
        f"2024-01-01 00:00:{row:02},{'ab'[row % 2]},{'NA' if row == 7 else row},{'' if row == 7 else 'true'}"
        for row in range(20)
    ]
    found = look(tmp_path / "x.csv", "\n".join(["when,host,v,ok", *lines]) + "\n")
    assert roles(found) == {"when": "time", "host": "tag", "v": "field string", "ok": "field boolean"}
    assert (found.files, found.sample_rows, found.whole, found.fieldless) == (1, 20, True, 0)
    assert [column.nulls for column in found.columns] == [0, 0, 0, 1]
    assert len(found.notes) == 1
    assert "row 7 has 'NA' among numbers; if that means no value, say --null NA" in found.notes[0]
    again = inspect_csv(tmp_path / "x.csv", CsvFormat(nulls=("NA",)))
    assert (again.notes, again.fieldless, roles(again)["v"]) == ((), 1, "field integer")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("t;v\n2024-01-01;1,5\n", CsvFormat(";", decimal=",")),
        ("t;v\n2024-01-01;1.5\n", CsvFormat(";")),
        ("t\tv\n2024-01-01\t1\n", CsvFormat("\t")),
        ("t;v\n01.02.2024 10:00;1\n", CsvFormat(";", time_format="%d.%m.%Y %H:%M")),
        ("t,v\n13/02/2024,1\n", CsvFormat(time_format="%d/%m/%Y")),
        ("t,v\n02/13/2024 01:00 PM,1\n", CsvFormat(time_format="%m/%d/%Y %I:%M %p")),
        ("n,t,v\nx,13/02/2024,1\n", CsvFormat(time_format="%d/%m/%Y")),
        ("a,t,v\n,2024-01-01,1\n", ISO),
        ('"a;b;c",t,v\nx,2024-01-01,1\n', ISO),
        ("a,b\tt\tv\nx\t2024-01-01\t1\n", CsvFormat("\t")),
    ],
)
def test_how_it_is_written(tmp_path: Path, text: str, form: CsvFormat) -> None:
    """Separator, decimal commas and the form of times are found, and a stage with them has a time."""
    found = look(tmp_path / "x.csv", text)
    assert (found.form, found.problem) == (form, "")
    assert roles(found)["t"] == "time"


def test_times_of_two_forms(tmp_path: Path) -> None:
    """Where day and month cannot be told apart, nothing is guessed; what is said counts."""
    found = look(tmp_path / "x.csv", "t,v\n01/02/2024,1\n")
    assert found.mapping is None
    assert found.problem == "column 't' may be times of the form '%d/%m/%Y' or '%m/%d/%Y': say --time-format"
    said = inspect_csv(tmp_path / "x.csv", CsvFormat(time_format="%m/%d/%Y"))
    assert (roles(said)["t"], said.form.time_format) == ("time", "%m/%d/%Y")


def test_what_cannot_be_staged(tmp_path: Path) -> None:
    """No time, no field, and no rows are said."""
    assert look(tmp_path / "x.csv", "a,v\nx,1\n").problem.startswith("no column can be the time of points; if one is")
    assert look(tmp_path / "x.csv", "t,a\n2024-01-01,x\n").problem == "no column can be a field"
    with pytest.raises(ConfigError, match=r"x\.csv: has no rows"):
        look(tmp_path / "x.csv", "t,v\n")


def test_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is not empty is the sample, as far as it is read."""
    (tmp_path / "0.csv").write_text("")
    (tmp_path / "1.csv").write_text("t,v\n2024-01-01,1\n")
    found = inspect_csv(tmp_path)
    assert (found.files, found.sample_file, found.whole) == (2, str(tmp_path / "1.csv"), False)
    assert found.mapping is not None
    assert found.mapping.measurement == tmp_path.name
    monkeypatch.setattr(csv_guess, "SAMPLE_BYTES", 4)
    assert not inspect_csv(tmp_path / "1.csv").whole


def test_what_is_csv(tmp_path: Path) -> None:
    """Files of CSV, patterns and folders of nothing else are; a folder with Parquet is not."""
    (tmp_path / "x.csv.gz").write_bytes(b"")
    assert is_csv(tmp_path / "x.csv.gz")
    assert is_csv(tmp_path)
    assert is_csv(tmp_path / "*.gz")
    assert not is_csv(tmp_path / "*.csv")
    (tmp_path / "x.TSV").write_text("t\tv\n2024-01-01\t1\n")
    assert inspect_csv(tmp_path / "x.TSV").form == CsvFormat("\t")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    assert not is_csv(tmp_path)
    assert not is_csv(tmp_path / "x.parquet")
