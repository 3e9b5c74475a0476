"""CSV of other people: other separators, decimal commas, words for no value, and times in forms of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.schema import FieldType
from loader.errors import ConfigError
from loader.staging.sources import csv_errors
from loader.staging.sources.csv_format import ISO, CsvFormat
from loader.staging.sources.csv_tables import read_csv

MAPPING = ColumnMapping("m", "t", ("h",))


def read(path: Path, text: str, form: CsvFormat = ISO, mapping: ColumnMapping = MAPPING) -> tuple[pa.Table, list[str]]:
    """Return all rows of a file with ``text``, and what is told of its columns."""
    path.write_text(text, encoding="utf-8")
    told: list[str] = []
    batches, schema = read_csv(path, mapping, form, told.append)
    return pa.Table.from_batches(batches, schema), told


@pytest.mark.parametrize("separator", [";", "\t", "\\t", "|", " "])
def test_separators_and_decimal_commas(tmp_path: Path, separator: str) -> None:
    """Numbers with decimal commas are floats, those without are integers; quotes are checked at the separator."""
    lines = ["h;t;v;n", '"a;b";2024-01-01;1,5;1', "c;2024-01-02;-2,0;2", "d;2024-01-03;;3"]
    text = "\n".join(lines).replace(";", separator.replace("\\t", "\t")) + "\n"
    found, told = read(tmp_path / "x.csv", text, CsvFormat(separator, decimal=","))
    assert found["v"].to_pylist() == [1.5, -2.0, None]
    assert found.schema.field("n").type == pa.int64()
    assert found["h"][0].as_py() == lines[1][1:4].replace(";", separator.replace("\\t", "\t"))
    assert told == []
    with pytest.raises(ConfigError, match="line 2: something stands behind a closing quote"):
        read(tmp_path / "x.csv", 'h;t\n"a",1;2\n', CsvFormat(";"))


def test_integers_that_no_float_holds_with_decimal_commas(tmp_path: Path) -> None:
    """They are refused with commas as they are with points."""
    with pytest.raises(ConfigError, match="column 'v' has 9007199254740993"):
        read(tmp_path / "x.csv", "h;t;v\na;1;9007199254740993,0\nb;2;1,5\n", CsvFormat(";", decimal=","))


def test_words_for_no_value(tmp_path: Path) -> None:
    """They are no values in every column, but not in quotes."""
    text = 'h,t,v,ok\na,2024-01-01,NA,true\nNA,2024-01-02,2.5,n/a\n"NA",NA,3,false\n'
    found, told = read(tmp_path / "x.csv", text, CsvFormat(nulls=("NA", "n/a")))
    assert found.schema.field("v").type == pa.float64()
    assert found["v"].to_pylist() == [None, 2.5, 3.0]
    assert found["ok"].to_pylist() == [True, None, False]
    assert found["h"].to_pylist() == ["a", None, "NA"]
    assert found["t"].null_count == 1
    assert told == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            ["1", "2.5", "NA", "-3e4"],
            "column 'v' is text, because row 2 has 'NA' among numbers; if that means no value, say --null NA",
        ),
        (["true", "False", "-", "?"], "row 2 has '-' among booleans; if that means no value, say --null - --null '?'"),
        (["2024-01-01", "2024-01-02 10:00", "not yet"], "among times; if that means no value, say --null 'not yet'"),
        (["1,5", "2", "-3,25"], "column 'v' is text, because its numbers have decimal commas: say --decimal ,"),
        (["1", "a", "b"], ""),
        (["1", "2", "3", "4", "a", "b", "c", "d"], ""),
        (["a", "b", "c"], ""),
        (["", ""], ""),
    ],
)
def test_text_because_of_a_word_is_told(tmp_path: Path, values: list[str], words: str) -> None:
    """Column, first row, value and option are named; a tag, a typed field, and real text are not."""
    text = "".join(f"a;2024-01-01;{value}\n" for value in values)
    path = tmp_path / "x.csv"
    _, told = read(path, "h;t;v\n" + text, CsvFormat(";"))
    assert len(told) == bool(words)
    assert all(words in each and each.startswith(f"{path}: column 'v'") for each in told)
    for mapping in (
        ColumnMapping("m", "t", ("h", "v")),
        ColumnMapping("m", "t", ("h",), (FieldMapping("v", "v", FieldType.STRING),)),
    ):
        assert read(path, "h;t;v\n" + text, CsvFormat(";"), mapping)[1] == []


def test_words_among_decimal_commas(tmp_path: Path) -> None:
    """They are told in files whose decimals have commas, too."""
    _, told = read(tmp_path / "x.csv", "h;t;v\na;2024-01-01;1,5\na;2024-01-02;k.A.\n", CsvFormat(";", decimal=","))
    assert "row 1 has 'k.A.' among numbers" in told[0]
    assert told[0].endswith("--null k.A.")


def test_a_word_behind_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the option."""
    monkeypatch.setattr("loader.staging.sources.csv_tables.SAMPLE_BYTES", 30)
    with pytest.raises(ConfigError, match="row 3, column 'v': 'NA' is no int64") as caught:
        read(tmp_path / "x.csv", "h,t,v\n" + "a,2024-01-01,1\n" * 3 + "a,2024-01-01,NA\n")
    assert "if it stands for no value: --null 'NA'; or name the fields" in caught.value.hint


@pytest.mark.parametrize(
    ("form", "text", "moment"),
    [
        ("%d.%m.%Y %H:%M:%S", "01.02.2024 10:11:12", datetime(2024, 2, 1, 10, 11, 12)),
        ("%d.%m.%Y %H:%M:%S%.f", "01.02.2024 10:11:12.5", datetime(2024, 2, 1, 10, 11, 12, 500_000)),
        ("%m/%d/%Y %I:%M %p", "02/01/2024 10:11 PM", datetime(2024, 2, 1, 22, 11)),
        ("%d.%m.%Y", "29.02.2024", datetime(2024, 2, 29)),
        ("%Y%m%d%H%M", "202402011011", datetime(2024, 2, 1, 10, 11)),
        ("%d.%m.%Y %H:%M %z", "01.02.2024 10:11 +0200", datetime(2024, 2, 1, 8, 11, tzinfo=UTC)),
    ],
)
def test_forms_of_times(tmp_path: Path, form: str, text: str, moment: datetime) -> None:
    """Times are what the form says, with a zone only if they have an offset; empty ones are null."""
    found, _ = read(tmp_path / "x.csv", f"h,t,v\na,{text},1\nb,,2\n", CsvFormat(time_format=form))
    assert found.schema.field("t").type == pa.timestamp("ns", moment.tzinfo and "UTC")
    assert found["t"].cast(pa.timestamp("us", moment.tzinfo and "UTC")).to_pylist() == [moment, None]


def test_nanoseconds_of_a_form(tmp_path: Path) -> None:
    """None of nine digits is lost."""
    found, _ = read(
        tmp_path / "x.csv", "t,v\n01.02.2024 00:00:00.123456789,1\n", CsvFormat(time_format="%d.%m.%Y %T%.f")
    )
    assert found["t"].cast(pa.int64()).to_pylist() == [1_706_745_600_123_456_789]


@pytest.mark.parametrize("text", ["31.02.2024", "1.2.2024 10:00", "2024-02-01", "01.02.3024", "01.02.1024", "soon"])
def test_what_is_no_time_of_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Days that there are not, more text, and times beyond nanoseconds end the stage; none becomes another time."""
    monkeypatch.setattr(csv_errors, "BLOCK_BYTES", 64)
    with pytest.raises(ConfigError, match=r"x\.csv, row 20, column 't': '.*' is no time of 1677 to 2262 in the form"):
        read(tmp_path / "x.csv", "t,v\n" + "01.02.2024,1\n" * 20 + f"{text},2\n", CsvFormat(time_format="%d.%m.%Y"))


@pytest.mark.parametrize("first", ["2024-01-01T00:00:00Z", "2024-01-01 00:00:00"])
def test_times_of_another_form_name_the_option(tmp_path: Path, first: str) -> None:
    """A column of times that is text is an error with its first such value, and what to say."""
    with pytest.raises(ConfigError, match=r"row 1, column 't': '31\.01\.2024 10:00' is no time") as caught:
        read(tmp_path / "x.csv", f"h,t,v\na,{first},1\nb,31.01.2024 10:00,2\n")
    assert "--time-format '%d.%m.%Y %H:%M:%S'" in caught.value.hint
    assert "--null '31.01.2024 10:00'" in caught.value.hint


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"separator": ""}, "separator ''"),
        ({"separator": "::"}, "separator '::'"),
        ({"separator": '"'}, "separator"),
        ({"separator": "é"}, "separator 'é'"),
        ({"separator": "a"}, "separator 'a'"),
        ({"decimal": ";"}, "decimal ';'"),
        ({"decimal": ","}, "',' separates columns, and decimals, too"),
        ({"time_format": "dd.mm.yyyy"}, "time format 'dd.mm.yyyy'"),
    ],
)
def test_forms_that_cannot_be(form: dict[str, str], words: str) -> None:
    """They are refused before a file is opened, with what to write."""
    with pytest.raises(ConfigError, match=words) as caught:
        CsvFormat(**form)
    assert caught.value.hint


def test_the_separator_that_is_meant(tmp_path: Path) -> None:
    """The error names the one that the header has most often, also where another one was said."""
    with pytest.raises(ConfigError, match=r"its header has no ';' between columns, but ','") as caught:
        read(tmp_path / "x.csv", "h,t|u,v\na,1,2\n", CsvFormat(";"))
    assert caught.value.hint.startswith("say it: --separator ','")
