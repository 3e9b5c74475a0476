"""How verification reads datasets: whatever their columns, pages and row groups, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.manifest import Partition
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import StageError
from loader.verification import reading
from loader.verification.pages import first_page_size
from loader.verification.reading import read_rows

SCHEMA = PointSchema(
    "m",
    ("t",),
    (Field("f", FieldType.FLOAT), Field("n", FieldType.INTEGER), Field("s", FieldType.STRING)),
    "time",
    "ns",
)
ROWS = 1_000


def table(rows: int = ROWS, **columns: Any) -> pa.Table:
    """Return rows of SCHEMA."""
    usual = {
        "time": pa.array(range(rows), pa.int64()),
        "t": pa.array([f"tag{row // 100}" for row in range(rows)]).dictionary_encode(),
        "other": pa.array(range(rows)),
        "f": pa.array([row / 8 for row in range(rows)]),
        "n": pa.array(range(rows), pa.int32()),
        "s": pa.array([f"text {row}" * 9 for row in range(rows)]),
    }
    return pa.table({**usual, **columns})


def rows_of(root: Path, content: pa.Table, schema: PointSchema = SCHEMA, **writing: Any) -> list[reading.Rows]:
    """Write ``content`` and read it."""
    path = root / "points.parquet"
    pq.write_table(content, path, **writing)
    partition = Partition("points.parquet", content.num_rows, 0, content.num_rows - 1, path.stat().st_size, "")
    return list(read_rows(root, schema, partition))


def whole(parts: list[reading.Rows]) -> pl.DataFrame:
    """Return all points, which are checked for their addresses."""
    assert [part.start for part in parts] == [sum(p.points.height for p in parts[:at]) for at in range(len(parts))]
    return pl.concat([part.points.with_columns(pl.col("t0").cast(pl.String)) for part in parts])


def expected(content: pa.Table) -> pl.DataFrame:
    """Return the points that ``content`` holds."""
    frame = pl.DataFrame(content.drop(["other"]))
    return frame.select(
        time="time",
        t0=pl.col("t").cast(pl.String),
        f0="f",
        f1=pl.col("n").cast(pl.Int64),
        f2=pl.col("s").cast(pl.String).cast(pl.Binary),
    )


@pytest.mark.parametrize("group", [70, 250, 10_000])
@pytest.mark.parametrize(
    ("name", "value"),
    [("BATCH_ROWS", 99), ("BATCH_ROWS", 500), ("BATCH_BYTES", 9_000), ("CHUNK_BYTES", 2_000), ("CHUNK_BYTES", 10)],
)
@pytest.mark.parametrize("dictionary", [False, True])
def test_the_same_points_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int, name: str, value: int, dictionary: bool
) -> None:
    """Row groups, batches and columns that are read apart change nothing; text of large chunks comes page by page."""
    monkeypatch.setattr(reading, name, value)
    monkeypatch.setattr(reading, "_PAGE_ROWS", 130)
    monkeypatch.setattr(reading, "BATCH_ROWS", min(reading.BATCH_ROWS, 800))
    content = table()
    if dictionary:
        content = content.set_column(5, "s", content["s"].combine_chunks().dictionary_encode())
    else:
        content = content.set_column(1, "t", content["t"].cast(pa.large_string()))
    parts = rows_of(tmp_path, content, row_group_size=group)
    assert whole(parts).equals(expected(content))
    if name == "BATCH_ROWS":
        assert max(part.points.height for part in parts) <= max(value, 99)
        assert len(parts) > 1
    if name == "BATCH_BYTES" and not dictionary:
        assert max(part.points.estimated_size() for part in parts) < 4 * value


def test_text_that_is_not_utf8_in_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows with such text are told of by their numbers, the others are points, in every batch."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 100)
    texts = pa.array([b"bad\xff" if row in {150, 151, 720} else b"good" for row in range(ROWS)], pa.binary())
    odd = pa.Array.from_buffers(pa.string(), ROWS, texts.buffers())
    parts = rows_of(tmp_path, table(s=odd))
    assert sum(part.points.height for part in parts) == ROWS - 3
    assert [row for part in parts for row in part.unfit["row"]] == [150, 151, 720]
    second = parts[1]
    assert second.pick([99, 149, 150, 152, 199, 200])["time"].to_list() == [149, 152, 199]
    assert parts[0].pick([150]).is_empty()


def test_a_page_that_unpacks_to_far_more(tmp_path: Path) -> None:
    """A file of some bytes that would take a gigabyte is refused by the header of its page."""
    text = pa.array(["x" * (80 << 20)] * 3).dictionary_encode()
    with pytest.raises(StageError, match=r"page of 83,886,\d+ bytes in column 't'"):
        rows_of(tmp_path, table(3, t=text))
    assert (tmp_path / "points.parquet").stat().st_size < 5 << 20


def test_a_large_chunk_of_small_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks may be large as long as pages are not."""
    monkeypatch.setattr(reading, "LARGEST_PAGE", 100_000)
    content = table(9_000)
    assert whole(rows_of(tmp_path, content, data_page_size=1_000, use_dictionary=False)).equals(expected(content))


@pytest.mark.parametrize("header", [b"", b"\x00\x01", b"\x15\x00", b"\x15\x00\x15\x80\x80"])
def test_page_headers_that_are_none(tmp_path: Path, header: bytes) -> None:
    """What is no header of a page has no size that could be refused."""
    path = tmp_path / "file"
    path.write_bytes(header)
    with path.open("rb") as file:
        assert first_page_size(file, 0) == 0


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"f": pa.array(["x"] * 3)}, "column 'f' is String; it should hold a field of type float"),
        ({"time": pa.array([0.5] * 3)}, "column 'time' is Float64; it should hold times"),
        ({"s": pa.array([0.5] * 3)}, "column 's' is Float64; it should hold a field of type string"),
        ({"t": pa.array([0.5] * 3)}, "column 't' is Float64; it should hold what can be a tag"),
        ({"time": pa.array([7] * 3)}, "holds times from 7 to 7; the manifest says 0 to 2"),
    ],
)
def test_columns_of_another_type(tmp_path: Path, columns: dict[str, pa.Array], words: str) -> None:
    """A column that does not fit the schema is an error that names it."""
    with pytest.raises(StageError, match=words):
        rows_of(tmp_path, table(3, **columns))


def test_damaged_files(tmp_path: Path) -> None:
    """A file that is missing, cut short or lacks a column is an error that names it."""
    partition = Partition("points.parquet", 3, 0, 2, 1, "")
    with pytest.raises(StageError, match="is missing"):
        list(read_rows(tmp_path, SCHEMA, partition))
    with pytest.raises(StageError, match="column 'n' 0 times"):
        rows_of(tmp_path, table(3).drop(["n"]))
    path = tmp_path / "points.parquet"
    rows_of(tmp_path, table())
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)
    with pytest.raises(StageError, match="cannot be read as Parquet"):
        list(read_rows(tmp_path, SCHEMA, partition))
    path.write_bytes(b"PAR1")
    with pytest.raises(StageError, match="cannot be read as Parquet"):
        list(read_rows(tmp_path, SCHEMA, partition))


def test_columns_read_page_by_page_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that are too large to be held have the same types and values as those that are read as a whole."""
    numbers = [pa.int8(), pa.uint32(), pa.uint64(), pa.float32(), pa.bool_(), pa.string(), pa.int32(), pa.int64()]
    times = [pa.date32(), pa.time32("ms"), pa.duration("ms"), pa.timestamp("s"), pa.timestamp("ms", "Europe/Berlin")]
    columns = {str(kind): pa.array([0, None, 1]).cast(kind) for kind in numbers}
    columns |= {str(kind): pa.array([0, None, 1], pa.int32()).cast(pa.int64()).cast(kind) for kind in times[2:]}
    columns |= {str(kind): pa.array([0, None, 1], pa.int32()).cast(kind) for kind in times[:2]}
    columns |= {"date64": pa.array([0, None, 86_400_000], pa.date64()), "ns": pa.array([0, None, 7], pa.time64("ns"))}
    columns |= {"largest": pa.array([1, None, 2**64 - 1], pa.uint64())}
    columns |= {"decimal": pa.array([1, None, 2], pa.int64()).cast(pa.decimal128(21, 2))}
    path = tmp_path / "points.parquet"
    pq.write_table(pa.table(columns), path)
    with pq.ParquetFile(path) as file:
        for number, (name, values) in enumerate(columns.items()):
            text, day = values.type == pa.string(), pa.types.is_date(values.type)
            column = reading._Column(number, number, name, name, text, day)
            as_a_whole = reading._read(path, file, [column], 0, 3, {})
            monkeypatch.setattr(reading, "CHUNK_BYTES", 1)
            page_by_page = reading._read(path, file, [column], 1, 2, {})
            monkeypatch.undo()
            if text:
                as_a_whole = as_a_whole.cast(pl.Binary)
            assert page_by_page.schema == as_a_whole.schema
            assert page_by_page.equals(as_a_whole[1:], null_equal=True)
