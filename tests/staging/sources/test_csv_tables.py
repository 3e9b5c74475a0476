"""CSV as record batches: types, texts that Python's own writer makes, and what does not fit."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.schema import FieldType
from loader.errors import ConfigError
from loader.staging.sources import csv_errors, csv_tables
from loader.staging.sources.csv_tables import TerminatedFile, read_csv

MAPPING = ColumnMapping("m", "t", ("h",))


def read(path: Path, mapping: ColumnMapping = MAPPING) -> pa.Table:
    """Return all rows of a file."""
    batches, schema = read_csv(path, mapping)
    return pa.Table.from_batches(batches, schema)


def written(path: Path, text: str | bytes) -> Path:
    """Write a file."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1", "", "-3"], pa.int64(), [1, None, -3]),
        (["1", "2.5"], pa.float64(), [1.0, 2.5]),
        (["1e3", "NaN"], pa.float64(), None),
        (["18446744073709551615", "", "3"], pa.uint64(), [2**64 - 1, None, 3]),
        (["9223372036854775808", "0.5"], pa.float64(), [2.0**63, 0.5]),
        (["true", "False"], pa.bool_(), [True, False]),
        (["2024-01-31", "1969-12-31"], pa.date32(), None),
        (["2024-01-31 01:02:03", "2024-01-31"], pa.timestamp("ns"), None),
        (["2024-01-31T01:02:03+02:00"], pa.timestamp("ns", "UTC"), None),
        (["01:02:03"], pa.time32("s"), None),
        (["NA", "", "null", '""'], pa.string(), ["NA", None, "null", ""]),
        (["a", "1"], pa.string(), ["a", "1"]),
        (["", ""], pa.null(), [None, None]),
    ],
)
def test_types_are_inferred(tmp_path: Path, texts: list[str], kind: pa.DataType, values: list[object] | None) -> None:
    """Each column has the narrowest type that holds its values; an empty cell is null, NA and "" are texts."""
    found = read(written(tmp_path / "x.csv", "h,t,v\n" + "".join(f"007,1,{text}\n" for text in texts)))
    assert found.schema.field("v").type == kind
    assert found.column("h").to_pylist() == ["007"] * len(texts)
    if values:
        assert found.column("v").to_pylist() == values


def test_types_that_are_said(tmp_path: Path) -> None:
    """A field is read as the type that is said, and an integer is rounded only on demand."""
    path = written(tmp_path / "x.csv", "h,t,v\na,1,007\na,2,9007199254740993000\n")
    for kind, arrow in ((FieldType.STRING, pa.string()), (FieldType.FLOAT, pa.float64())):
        mapping = ColumnMapping("m", "t", ("h",), (FieldMapping("v", "v", kind),))
        assert read(path, mapping).schema.field("v").type == arrow


@pytest.mark.parametrize("end", ["\n", "", "\r\n", "\n\n"])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.csv.zst"])
def test_ends_and_compression(tmp_path: Path, name: str, end: str) -> None:
    """The last line may end or not, a byte order mark is no part of the header, a file may be compressed."""
    text = f"\ufeffh,t,v\na,1,x\nb,2,{end}".encode()
    packed = {"csv": text, "gz": gzip.compress(text), "zst": pa.compress(text, codec="zstd", asbytes=True)}
    assert read(written(tmp_path / name, packed[name.rpartition(".")[2]])).to_pylist() == [
        {"h": "a", "t": 1, "v": "x"},
        {"h": "b", "t": 2, "v": None},
    ]


def test_one_column(tmp_path: Path) -> None:
    """A file of one column is read; the mapping will say what is missing."""
    assert read(written(tmp_path / "x.csv", "h\na\n")).column_names == ["h"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"h;t;v\na;1;2\n", r"its header has no ',' between columns, but ';': 'h;t;v'"),
        (b"h\tt\na\t1,5\n", r"its header has no ',' between columns, but '\\t'"),
        ("h,t\na,1\n".encode("utf-16"), "is not text in UTF-8"),
        ("h,t\na,1\n".encode("utf-16-be"), "is not text in UTF-8"),
    ],
)
def test_other_forms(tmp_path: Path, content: bytes, words: str) -> None:
    """Files with other separators, and of another encoding, are told apart from those with a row in error."""
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read(tmp_path / "x.csv")


def test_a_row_of_nulls_stands_behind_the_end() -> None:
    """It comes after all of the file, once; pyarrow reads the file in a thread that coverage does not see."""
    file = TerminatedFile(Path("x.csv"), io.BytesIO(b"a,b,c"), 3)
    assert file.readable()
    assert [file.read(8), file.read(8), file.read(8)] == [b"a,b", b",c\n,,\n", b""]


def test_a_line_feed_alone_in_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever blocks end, also within the end of the last line, all rows come."""
    monkeypatch.setattr(csv_errors, "BLOCK_BYTES", 64)
    for size in range(1, 50):
        path = written(tmp_path / "x.csv", "h,v\r\na,b\r\nc," + "x" * size + "\r\n")
        assert [column.to_pylist() for column in read(path)] == [["a", "c"], ["b", "x" * size]]


def test_what_stands_behind_a_closing_quote() -> None:
    """It is an error of the file, whichever thread of the reader sees it first."""
    file = TerminatedFile(Path("x.csv"), io.BytesIO(b'a,b\nc,"d"e\n'), 2)
    with pytest.raises(ConfigError, match=r"x\.csv, line 2: something stands"):
        file.read(100)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20)


@settings(max_examples=60)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30))
def test_texts_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    """Whatever another writer put in quotes, line breaks and quotes included, comes back, also across blocks."""
    path = tmp_path_factory.mktemp("texts") / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("h", "v"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_errors, "BLOCK_BYTES", 512)
        found = read(path, ColumnMapping("m", "t", ("h",), (FieldMapping("v", "v", FieldType.STRING),)))
    assert list(zip(found["h"].to_pylist(), found["v"].to_pylist(), strict=True)) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv: has no header"),
        (b"\xef\xbb\xbf", "x.csv: cannot be read"),
        ("h,t,v\na,1,1\nb,2\n", r"x.csv, row 1: has 2 columns, and the header 3: 'b,2'"),
        ("h,t,v\na,1,1,9\n", r"x.csv, row 0: has 4 columns, and the header 3"),
        ('h,t,v\na,1,x\nb,2,"y\nc,3,z\n', "x.csv, row 1: a quote is opened and not closed"),
        ('h,t,v\na,1,x\nb,2,"y', "x.csv, row 1: a quote is opened and not closed"),
        ('h,t,v\na,1,x\nb,2,"y\nc,3,"z\n', "x.csv, line 4: something stands behind a closing quote"),
        ('h,t,v\n"a"b,1,x\n', "x.csv, line 2: something stands behind a closing quote"),
        ("h,t,v,v\na,1,2,3\n", "x.csv: two columns are called 'v'"),
        (b"h,t,v\na,1,\xff\n", "x.csv: column 'v' is not text in UTF-8"),
        (b"h,t,v\n\xff,1,1\n", "x.csv, row 0, column 'h': invalid UTF8 data"),
        (b"h,t,\xff\na,1,1\n", "x.csv: its header is not text in UTF-8"),
        ("h,t,v\na,1,-1\na,2,9223372036854775809\n", "x.csv: column 'v' has 9223372036854775809, an integer that"),
        ("h,t,v\na,9999-12-31 00:00:00,1\n", "x.csv, row 0, column 't': '9999-12-31 00:00:00' is no time of nano"),
        ('h,t,v\na,1,"' + "x" * 2_000 + '"\n', "x.csv: a row is longer than 512 bytes"),
    ],
)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, message: str) -> None:
    """The error says where, and what to do."""
    monkeypatch.setattr(csv_errors, "BLOCK_BYTES", 512)
    with pytest.raises(ConfigError, match=message) as caught:
        read(written(tmp_path / "x.csv", text))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("sampled", "later", "message", "hint"),
    [
        ("1", "1.5", "'1.5' is no int64, as the values in the first", "--field v=:float"),
        ("1", "x", "'x' is no int64", "--field v=:string"),
        ("1.5", "x", "'x' is no double", "--field v=:string"),
        ("", "7", "'7' is the first value of its column", "--field v=:string"),
        ("2024-01-01 00:00:00", "soon", "'soon' is no time of nanoseconds", "--field v=:string"),
    ],
)
def test_values_behind_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampled: str, later: str, message: str, hint: str
) -> None:
    """A value that does not fit the type of the first ones is told with row and column, and the type it could have."""
    monkeypatch.setattr(csv_tables, "SAMPLE_BYTES", 1_024)
    text = "h,t,v\n" + f"a,1,{sampled}\n" * 1_000 + f"a,1,{later}\n"
    with pytest.raises(ConfigError, match=rf"x\.csv, row 1,000, column 'v': {message}") as caught:
        read(written(tmp_path / "x.csv", text))
    assert hint in caught.value.hint


def test_line_ends_within_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever blocks end, a value keeps its carriage returns and line feeds."""
    monkeypatch.setattr(csv_errors, "BLOCK_BYTES", 64)
    for size in range(1, 70):
        value = "x" * size + "\r\ny\r\r\n"
        path = written(tmp_path / "x.csv", f'h,v\na,"{value}"\r\nb,"z"\r\n')
        assert [column.to_pylist() for column in read(path)] == [["a", "b"], [value, "z"]]


def test_the_type_of_a_column_that_ends_with_nothing(tmp_path: Path) -> None:
    """An empty cell at the end, behind one in quotes and without a line feed, changes no type."""
    found = read(written(tmp_path / "x.csv", 'h,v\n1,5\n"2",'))
    assert found["v"].to_pylist() == [5, None]


@pytest.mark.parametrize("text", [" 9007199254740993", "9007199254740993.0", "1" * 400, "-" + "9" * 5_000])
def test_integers_that_no_float_holds(tmp_path: Path, text: str) -> None:
    """Among floats they are refused, however they are written."""
    with pytest.raises(ConfigError, match=r"column 'v' has .*an integer that neither 64 bits nor a float hold exactly"):
        read(written(tmp_path / "x.csv", f"h,v\na,{text}\nb,0.5\n"))


def test_no_block_ends_with_a_carriage_return() -> None:
    """Unless it is the last one: so no block begins with the line feed that belongs to it."""
    file = TerminatedFile(Path("x.csv"), io.BytesIO(b"a\r\nb\r\r\nc\r"), 1)
    blocks = [file.read(6) for _ in range(6)]
    assert b"".join(blocks) == b"a\r\nb\r\r\nc\r\n\n"
    assert not any(block.startswith(b"\n") for block in blocks[:-1])
    assert all(len(block) <= 6 for block in blocks)
