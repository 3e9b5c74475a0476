"""Opening a dataset finds damage; reading it yields exactly the rows of a chunk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset import Chunk, batches, open_dataset, read_batches, read_manifest, trades_schema, write_manifest
from loader.dataset.batches import join_batches
from loader.dataset.manifest import Partition
from loader.dataset.reader import read_joined
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, EncodeError, StageError
from tests.datasets import small_dataset, trades
from tests.plants import KINDS, plant
from tests.tables import write_tables

ROWS = 100
NAME = "date=2024-01-03/trades.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a sound dataset of three partitions, 200 rows each."""
    small_dataset(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """Return a folder with ``one.parquet`` in row groups of 30 rows, and its content."""
    folder = tmp_path_factory.mktemp("grouped")
    table = trades(0, ("A", "B"), 25)
    pq.write_table(table.append_column("other", [list(range(ROWS))]), folder / "one.parquet", row_group_size=30)
    return folder, table


def test_a_sound_dataset_opens(root: Path) -> None:
    """Opening returns the manifest with its partitions in time order."""
    manifest = open_dataset(root)
    assert manifest.rows == 600
    assert [partition.path[:15] for partition in manifest.partitions] == [f"date=2024-01-0{day}" for day in (2, 3, 4)]


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_no_dataset_is_a_configuration_error(tmp_path: Path, folder: str) -> None:
    """A missing and an empty folder name themselves and the command that stages."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=folder) as caught:
        open_dataset(tmp_path / folder)
    assert "loader stage" in caught.value.hint


def test_an_unfinished_dataset_is_refused(root: Path) -> None:
    """A dataset whose staging was interrupted cannot be loaded by mistake."""
    write_manifest(root, dataclasses.replace(open_dataset(root), complete=False))
    with pytest.raises(StageError, match="staging did not finish") as caught:
        open_dataset(root)
    assert f"loader stage --out {root}" in caught.value.hint


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Replace the Parquet file by a changed one."""
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)


def cut_short(path: Path) -> None:
    """Drop the last quarter of the file."""
    os.truncate(path, path.stat().st_size * 3 // 4)


def one_byte_more(path: Path) -> None:
    """Put a byte in front of the footer's end, which Parquet itself does not notice."""
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\0" + content[4:])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "cannot be read as Parquet"),
        (lambda path: path.write_bytes(b"price,amount\n1,2\n"), "cannot be read as Parquet"),
        (cut_short, "cannot be read as Parquet"),
        (one_byte_more, "200 rows; the manifest says"),
        (lambda path: rewrite(path, lambda table: table.slice(1)), "199 rows; the manifest says"),
    ],
)
def test_a_damaged_partition_is_named(root: Path, damage: Callable[[Path], None], message: str) -> None:
    """A file that is missing, cut short, not Parquet or not what the manifest says stops before any work."""
    damage(root / NAME)
    with pytest.raises(StageError, match=message) as caught:
        open_dataset(root)
    assert str(root / NAME) in caught.value.message
    assert str(root) in caught.value.hint
    assert "remove" not in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["price"]), "column 'price' is missing; columns are symbol, side,"),
        (lambda table: table.set_column(3, "amount", table["amount"].cast(pa.float64())), "'amount' is double"),
        (lambda table: table.set_column(0, "symbol", table["price"]), "'symbol' is double; it cannot be a tag"),
        (lambda table: table.set_column(4, "timestamp", table["price"]), "'timestamp' is double"),
        (lambda table: table.append_column("side", table["side"]), "'side' is there more than once"),
        (lambda table: table.append_column("timestamp", table["timestamp"]), "'timestamp' is there more than once"),
    ],
)
def test_a_partition_with_other_columns_is_named(
    root: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    """A column that is missing, doubled or of another type is found although size and rows agree."""
    table = change(pq.read_table(root / NAME, partitioning=None))
    pq.write_table(table, root / NAME)
    agree(root, NAME)
    with pytest.raises(StageError, match=message):
        open_dataset(root)


def agree(root: Path, name: str) -> None:
    """Make the manifest say the present size of the partition ``name``."""
    manifest = read_manifest(root)
    size = (root / name).stat().st_size
    partitions = tuple(
        dataclasses.replace(partition, size=size) if partition.path == name else partition
        for partition in manifest.partitions
    )
    write_manifest(root, dataclasses.replace(manifest, partitions=partitions))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, ROWS), st.integers(0, ROWS), st.integers(1, ROWS + 10))
def test_a_chunk_is_exactly_its_rows(grouped: tuple[Path, pa.Table], first: int, second: int, batch_rows: int) -> None:
    """Whatever the chunk and the batch size, the rows are those of the file, in order, in batches of bounded size."""
    folder, table = grouped
    chunk = Chunk("one.parquet", min(first, second), max(first, second))
    found = list(read_batches(folder, trades_schema(), chunk, batch_rows))
    assert all(0 < batch.num_rows <= batch_rows for batch in found)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert rows == table.slice(chunk.start, chunk.rows).to_pylist()


def test_tags_arrive_as_dictionaries_and_other_columns_not_at_all(grouped: tuple[Path, pa.Table]) -> None:
    """Only the columns of the schema are read; text tags of a plain Parquet file become dictionaries."""
    folder, table = grouped
    plain = table.set_column(0, "symbol", table["symbol"].cast(pa.string()))
    pq.write_table(plain, folder / "plain.parquet", store_schema=False)
    for name in ("one.parquet", "plain.parquet"):
        batch = next(read_batches(folder, trades_schema(), Chunk(name, 0, ROWS), ROWS))
        assert batch.schema.names == list(trades_schema().columns)
        assert pa.types.is_dictionary(batch.schema.field("symbol").type)


def test_only_row_groups_of_the_chunk_are_read(grouped: tuple[Path, pa.Table], tmp_path: Path) -> None:
    """Damage in one row group does not keep another one from being read."""
    content = bytearray((grouped[0] / "one.parquet").read_bytes())
    group = pq.read_metadata(grouped[0] / "one.parquet").row_group(2)
    start = group.column(0).dictionary_page_offset
    content[start : start + 200] = b"\xff" * 200
    (tmp_path / "one.parquet").write_bytes(content)
    sound = read_batches(tmp_path, trades_schema(), Chunk("one.parquet", 0, 60), 10)
    assert sum(batch.num_rows for batch in sound) == 60
    with pytest.raises(StageError, match=r"one\.parquet: cannot be read as Parquet"):
        list(read_batches(tmp_path, trades_schema(), Chunk("one.parquet", 60, 90), 10))


def test_a_flipped_bit_in_a_checked_page_is_found(tmp_path: Path) -> None:
    """Where pages carry checksums, damage that would decode to other values is an error."""
    table = pa.table({**trades(0, ("A",), 50).to_pydict(), "price": np.arange(100.0)})
    table = table.cast(pa.schema([*trades(0, ("A",), 1).schema]))
    path = tmp_path / "one.parquet"
    pq.write_table(table, path, compression="none", use_dictionary=["symbol", "side"], write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(77).tobytes()) + 6] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"one\.parquet: cannot be read as Parquet \(.*CRC"):
        list(read_batches(tmp_path, trades_schema(), Chunk("one.parquet", 0, 100), 100))


def test_a_file_that_vanished_or_shrank_since_is_named(grouped: tuple[Path, pa.Table]) -> None:
    """Reading checks again what opening had checked, for files change in between."""
    with pytest.raises(StageError, match="holds 100 rows"):
        next(read_batches(grouped[0], trades_schema(), Chunk("one.parquet", 50, 101), 10))
    with pytest.raises(StageError, match=r"two\.parquet: is missing"):
        next(read_batches(grouped[0], trades_schema(), Chunk("two.parquet", 0, 1), 10))


def test_many_tiny_batches_take_the_memory_of_their_rows() -> None:
    """Batches of one row, of which each takes kilobytes, do not lie side by side until there are enough of them."""
    before = pa.total_allocated_bytes()
    most = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal most
        for row in range(10_000):
            # Arrays that Arrow makes take at least 64 bytes.
            yield pa.record_batch({"x": pa.array([row], pa.int64()), "y": pa.array([str(row % 7)]).dictionary_encode()})
            most = max(most, pa.total_allocated_bytes() - before)

    (joined,) = join_batches(batches(), 10_000)
    assert joined["x"].to_pylist() == [*range(10_000)]
    assert joined["y"].to_pylist() == [str(row % 7) for row in range(10_000)]
    assert most < 1_000_000


def test_batches_are_joined_by_rows_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joined batches have all rows in order, and do not grow beyond either bound by more than a batch."""
    parts = [pa.record_batch({"number": pa.array(range(start, start + 10))}) for start in range(0, 100, 10)]
    by_rows = list(join_batches(parts, 25))
    assert [len(batch) for batch in by_rows] == [30, 30, 30, 10]
    monkeypatch.setattr(batches, "JOINED_BYTES", 100)
    by_bytes = list(join_batches(parts, 1_000))
    assert [len(batch) for batch in by_bytes] == [20] * 5
    for joined in (by_rows, by_bytes):
        assert pa.Table.from_batches(joined)["number"].to_pylist() == list(range(100))


TEXTS = PointSchema("m", ("tag",), (Field("s", FieldType.STRING),), "t", "ns")


def texts(tags: list[str], strings: list[str | None]) -> pa.Table:
    """Return a row for each of ``tags`` and ``strings``."""
    return pa.table({"tag": tags, "s": strings, "t": list(range(len(tags)))})


@pytest.mark.parametrize("dictionary", [True, False])
def test_batches_are_bounded_by_the_bytes_of_their_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dictionary: bool
) -> None:
    """However few bytes a file has, a batch has few once its texts are written out; one long row is one batch."""
    monkeypatch.setattr(batches, "BATCH_BYTES", 1_000)
    strings = ["a" * 100, None, "b" * 100] * 30 + ["c" * 5_000] + ["d"] * 9
    table = texts(["x" * 50] * 100, strings)
    pq.write_table(table, tmp_path / "one.parquet", use_dictionary=dictionary, row_group_size=60)
    found = list(read_batches(tmp_path, TEXTS, Chunk("one.parquet", 3, 98), 1_000))
    sizes = [sum(len(row["tag"]) + len(row["s"] or "") for row in batch.to_pylist()) for batch in found]
    assert max(size for size, batch in zip(sizes, found, strict=True) if len(batch) > 1) <= 1_000
    assert [row for batch in found for row in batch.to_pylist()] == table.slice(3, 95).to_pylist()


def test_joined_batches_are_bounded_by_the_bytes_of_their_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joined batches count the bytes of dictionaries as their texts are written out."""
    monkeypatch.setattr(batches, "JOINED_BYTES", 10_000)
    pq.write_table(texts(["x"] * 600, ["y" * 90] * 600), tmp_path / "one.parquet", row_group_size=10)
    partition = Partition("one.parquet", 600, 0, 599, 1, "0" * 64)
    joined = [batch.num_rows for _, batch in read_joined(tmp_path, TEXTS, Chunk(partition.path, 0, partition.rows))]
    assert sum(joined) == 600
    assert max(joined) <= 110


def test_long_texts_are_joined_to_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of long texts make small batches, however many bytes a joined batch may have."""
    monkeypatch.setattr(batches, "BATCH_BYTES", 20_000)
    for length, most in ((700, 16), (100, 600)):
        table = texts(["x"] * 600, [f"{row:0{length}}" for row in range(600)])
        pq.write_table(table, tmp_path / "one.parquet", row_group_size=4, use_dictionary=["tag"])
        partition = Partition("one.parquet", 600, 0, 599, 1, "0" * 64)
        joined = [batch for _, batch in read_joined(tmp_path, TEXTS, Chunk(partition.path, 0, partition.rows))]
        assert [row for batch in joined for row in batch.to_pylist()] == table.to_pylist()
        assert most // 2 < joined[0].num_rows <= most


def test_tags_that_must_be_too_long_are_not_read(tmp_path: Path) -> None:
    """What the footer says of a column is enough to refuse it before its texts are in memory."""
    table = texts(["x" * 300_000], ["y"])
    write_tables(tmp_path, TEXTS, {"one.parquet": table})
    with pytest.raises(EncodeError, match=r"row group 0, column 'tag': tags of more than 65,535 bytes"):
        open_dataset(tmp_path)
    write_tables(tmp_path, TEXTS, {"one.parquet": texts(["x" * 300_000, *["z"] * 99], ["y"] * 100)})
    assert open_dataset(tmp_path).rows == 100


@pytest.mark.parametrize("empty", [True, False])
def test_integer_times_without_a_unit_are_refused(tmp_path: Path, empty: bool) -> None:
    """The error shows what the first time is in each unit; null has no reading."""
    write_tables(tmp_path, TEXTS, {"one.parquet": texts(["a"], ["b"])})
    times = pa.array([None if empty else 1_704_067_200_000], pa.int64())
    write_tables(tmp_path, TEXTS, {"one.parquet": texts(["a"], ["b"]).set_column(2, "t", times)})
    write_manifest(
        tmp_path, dataclasses.replace(read_manifest(tmp_path), schemas=(dataclasses.replace(TEXTS, time_unit=""),))
    )
    with pytest.raises(ConfigError, match="their unit is not known") as caught:
        open_dataset(tmp_path)
    for reading in ("no time of the years 1 to 9999 in s", "2024-01-01T00:00:00Z in ms", "1970-01-01T00:28:24Z in ns"):
        assert (reading in caught.value.message) is not empty
    assert "time_unit" in caught.value.hint


def test_int96_that_nanoseconds_cannot_hold_arrives_as_seconds(tmp_path: Path) -> None:
    """Times beyond nanoseconds come in batches of their own, and are not joined with others."""
    seconds = pa.array([0, -(10**11), -1, 10**11, 10**11 + 1, None, 5], pa.timestamp("s"))
    schema = PointSchema("m", (), (Field("n", FieldType.INTEGER),), "t")
    table = pa.table({"n": list(range(7)), "t": seconds.cast(pa.timestamp("us"))})
    write_tables(tmp_path, schema, {"one.parquet": table}, use_deprecated_int96_timestamps=True, row_group_size=4)
    partition = read_manifest(tmp_path).partitions[0]
    joined = list(read_joined(tmp_path, schema, Chunk(partition.path, 0, partition.rows)))
    found = [(batch.schema.field("t").type.unit, batch["t"].cast(pa.int64()).to_pylist()) for _, batch in joined]
    assert found == [
        ("ns", [0]),
        ("s", [-(10**11)]),
        ("ns", [-(10**9)]),
        ("s", [10**11, 10**11 + 1]),
        ("ns", [None, 5 * 10**9]),
    ]
    assert [row for _, batch in joined for row in batch["n"].to_pylist()] == list(range(7))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: Callable[[Path], None]) -> None:
    """A FIFO that took a file's place keeps nobody waiting, and a link leads nowhere."""
    root = tmp_path / "data"
    plant(root / "one.parquet", kind)
    with pytest.raises(StageError, match=r"one\.parquet: is a .*only a regular file"):
        next(read_batches(root, trades_schema(), Chunk("one.parquet", 0, 1), 10))
