"""From rows to the storage files of a shard, and to the tar that the server takes."""

from __future__ import annotations

import io
import math
import tarfile
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.dataset import reader
from loader.dataset.manifest import Manifest
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding import warm
from loader.encoding.tsm.encode.buffer import Workspace
from loader.errors import EncodeError, StageError
from loader.events import Event, Notice, ignore
from loader.loading import series_order
from loader.loading.identities import look_at_identities
from loader.loading.known_rows import KnownRows
from loader.loading.restore_path import storage_files
from loader.loading.restore_path.shards import Shard, plan_shards
from loader.loading.restore_path.storage_files import (
    MOST_BYTES,
    PointCounts,
    ShardFile,
    encode_shard,
    prepare_encoders,
    tar,
    tar_size,
)
from tests.points import DAY, FIRST_DAY, write_dataset
from tests.storage import decode, index

WEEK = 7 * DAY
SCHEMA = PointSchema("m", ("b", "a"), (Field("v", FieldType.INTEGER), Field("u", FieldType.FLOAT)), "t")
Row = tuple[str | None, str | None, int | None, float | None, int]


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    """Return rows of SCHEMA."""
    types: dict[str, Any] = {"b": pl.String, "a": pl.String, "v": pl.Int64, "u": pl.Float64, "t": pl.Int64}
    return pl.DataFrame(rows, schema=types, orient="row")


def files_of(root: Path, rows: Sequence[Row], duration: int = WEEK) -> list[ShardFile]:
    """Write a dataset of a partition a day; return the files of all its shards."""
    manifest = write_dataset(root, SCHEMA, frame(rows))
    workspace = Workspace()
    known = look_at_identities(root, manifest, ignore)
    return [
        file
        for shard in plan_shards(root, manifest, duration)
        for file in map(kept, encode_shard(root, manifest, shard, 3, workspace, known))
    ]


def kept(file: ShardFile) -> ShardFile:
    """Return a file whose content lasts."""
    pieces = tuple(memoryview(bytes(piece)) for piece in file.content.pieces)
    return replace(file, content=replace(file.content, pieces=pieces))


def content(file: ShardFile) -> bytes:
    """Return the bytes of a file."""
    return b"".join(file.content.pieces)


def stored(files: Sequence[ShardFile]) -> dict[str, dict[int, int]]:
    """Return time and value of field v in each series, of all files; no point may be there twice."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for file in files:
        for series, (times, values) in decode(content(file), "v", FieldType.INTEGER).items():
            assert found[series].keys().isdisjoint(times)
            found[series].update(zip(times, values, strict=True))
    return {series: dict(sorted(points.items())) for series, points in found.items()}


def rows_of(series: Sequence[tuple[str | None, str | None]], days: int, points: int) -> list[Row]:
    """Return rows in series order within each day; values tell them apart."""
    return [
        (b, a, 1_000_000 * day + 1_000 * number + point, 0.5, FIRST_DAY + day * DAY + point)
        for day in range(days)
        for number, (b, a) in enumerate(series)
        for point in range(points)
    ]


def expected(rows: Sequence[Row]) -> dict[str, dict[int, int]]:
    """Return what ``stored`` should find; tags in the order of keys."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for b, a, value, _, time in rows:
        if value is not None:
            found["m" + (f",a={a}" if a else "") + (f",b={b}" if b else "")][time] = value
    return {series: dict(sorted(points.items())) for series, points in found.items()}


SERIES = [("x", "y"), ("x", None), ("", "y"), (None, None)]


@pytest.mark.parametrize("order", ["series", "reversed", "mixed"])
def test_rows_in_any_order(tmp_path: Path, order: str) -> None:
    """All rows get into the file of their shard, in whichever order they are staged."""
    rows = rows_of(SERIES, days=9, points=10)
    staged = {"series": rows, "reversed": rows[::-1], "mixed": [row for at in range(7) for row in rows[at::7]]}[order]
    files = files_of(tmp_path, staged)
    assert [file.name for file in files] == ["000000003-000000004.tsm"] * 2
    assert [file.points for file in files] == [6 * 40, 3 * 40]
    assert stored(files) == expected(rows)
    # A file begins with the first of its series.
    assert [index(content(file)).offsets[0] for file in files] == [5, 5]


def test_a_partition_across_shards(tmp_path: Path) -> None:
    """Each shard takes its own rows of a partition, and none when it has none between others."""
    rows = [*rows_of(SERIES, days=1, points=3), ("x", "y", 9, None, FIRST_DAY + 20 * 3600000000000)]
    files = files_of(tmp_path, rows, 3_600_000_000_000)
    assert [file.points for file in files] == [12, 1]
    assert stored(files) == expected(rows)


def test_null_and_empty_tags_are_one_series(tmp_path: Path) -> None:
    """A null tag is like an empty one, row by row."""
    rows: list[Row] = [("" if time % 2 else None, "y", time, None, FIRST_DAY + time) for time in range(10)]
    assert stored(files_of(tmp_path, rows)) == expected(rows)


def test_values_are_counted_by_field(tmp_path: Path) -> None:
    """A file says how many points have each field, in the order of the schema."""
    rows: list[Row] = [
        ("x", "y", 1, None, FIRST_DAY),
        ("x", "y", 2, 0.5, FIRST_DAY + 1),
        ("x", "z", 3, None, FIRST_DAY),
    ]
    (file,) = files_of(tmp_path, rows)
    assert file.counts == {SCHEMA: PointCounts(3, (3, 1))}


@pytest.mark.parametrize("limit", ["MOST_BYTES", "INDEX_BYTES"])
def test_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """A shard of much data, or of many series, becomes several files, numbered upwards, which have every row."""
    monkeypatch.setattr(storage_files, limit, 300)
    rows = rows_of(SERIES, days=4, points=5)
    files = files_of(tmp_path, rows)
    assert [file.name for file in files] == [f"000000003-{number:09}.tsm" for number in (4, 5, 6, 7)]
    assert stored(files) == expected(rows)


@pytest.mark.parametrize(("small", "files"), [(32 << 20, 1), (1, 4)])
def test_files_are_smaller_where_reading_takes_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int, files: int
) -> None:
    """Of large row groups, a storage file holds less."""
    monkeypatch.setattr(storage_files, "WIDE_BYTES", 300)
    monkeypatch.setattr(storage_files, "SMALL_GROUP", small)
    assert len(files_of(tmp_path, rows_of(SERIES, days=4, points=5))) == files


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("most", [1, 192 << 20])
def test_the_last_row_of_an_identity_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool, most: int
) -> None:
    """Of two rows with one series and time the last one is stored, next to each other or not, in one file or two."""
    monkeypatch.setattr(storage_files, "MOST_BYTES", most)
    monkeypatch.setattr(reader, "JOINED_ROWS", 1)
    between: list[Row] = [("x", "y", 2, None, FIRST_DAY + 1)] if apart else []
    rows: list[Row] = [("x", "y", 1, None, FIRST_DAY), *between, ("x", "y", 3, None, FIRST_DAY)]
    files = files_of(tmp_path, rows)
    assert sum(file.rows for file in files) == len(rows)
    assert stored(files) == expected(rows)


def test_sparse_rows_of_one_identity_become_one_point(tmp_path: Path) -> None:
    """Rows that each have one field of a point are merged field by field, of each the last value."""
    rows: list[Row] = [
        ("x", "y", 1, None, FIRST_DAY),
        ("x", "y", None, 0.5, FIRST_DAY),
        ("x", "y", 2, None, FIRST_DAY + 1),
        ("x", "y", 3, None, FIRST_DAY),
        ("x", "y", None, 1.5, FIRST_DAY + 2),
    ]
    (file,) = files_of(tmp_path, rows)
    assert (file.counts[SCHEMA], file.points, file.rows) == (PointCounts(3, (2, 2)), 3, 5)
    assert stored([file]) == {"m,a=y,b=x": {FIRST_DAY: 3, FIRST_DAY + 1: 2}}
    (times, bits) = decode(content(file), "u", FieldType.FLOAT)["m,a=y,b=x"]
    assert (times, np.array(bits, np.uint64).view(np.float64).tolist()) == ([FIRST_DAY, FIRST_DAY + 2], [0.5, 1.5])


def test_rows_that_cannot_be_points_are_rejected(tmp_path: Path) -> None:
    """Each file accounts for the rejected rows of its shard, those without a time by the partition's first shard."""
    rows: list[Row] = [
        ("x", "y", 1, None, FIRST_DAY),
        ("x\\", "y", 2, None, FIRST_DAY),
        ("x#!~#", "y", 2, None, FIRST_DAY + 2),
        ("x", "y", 3, math.nan, FIRST_DAY + DAY - 1),
        ("x", "y", 4, None, FIRST_DAY + DAY - 1),
    ]
    manifest = write_dataset(tmp_path, SCHEMA, frame(rows))
    (partition,) = manifest.partitions
    table = pq.read_table(tmp_path / partition.path, partitioning=None)
    times = pa.array([*table["t"].cast(pa.int64()).to_pylist(), None, 2**63 - 1], pa.int64()).cast(table["t"].type)
    more = pa.concat_tables([table, table.slice(0, 2)]).set_column(4, "t", times)
    pq.write_table(more, tmp_path / partition.path)
    hour = 3_600_000_000_000
    manifest = replace(manifest, partitions=(replace(partition, rows=7),))
    shards = plan_shards(tmp_path, manifest, hour)
    files = [
        kept(file) for shard in shards for file in encode_shard(tmp_path, manifest, shard, 1, Workspace(), KnownRows())
    ]
    found = [(file.rows, file.points, [(each.row, each.column) for each in file.rejected]) for file in files]
    assert found == [(5, 1, [(1, "b"), (2, "series"), (5, "t"), (6, "t")]), (2, 1, [(3, "u")])]


NASTY = ["x", "", " ,=\\", "x\\", "x\n", "x#!~#", "ü", "long" * 20_000]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(NASTY), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from([0.5, math.nan, None]), min_size=1, max_size=6),
    st.sampled_from([WEEK, 1_000_000_000]),
    st.sampled_from([1, 2, 100]),
    st.sampled_from([300, MOST_BYTES]),
)
@example(["x", "x#!~#"], [0.5], WEEK, 100, MOST_BYTES)
@example(["x", "y"], [0.5, None, math.nan, 0.5], 1_000_000_000, 2, 300)
def test_series_whose_order_is_known(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    values: list[float | None],
    duration: int,
    joined: int,
    most: int,
) -> None:
    """The files are the same bytes as those that are made of tags read anew, and the same rows are rejected."""
    root = tmp_path_factory.mktemp("known")
    schema = replace(SCHEMA, fields=SCHEMA.fields[1:])
    rows = [
        (name, other, value, FIRST_DAY + 600_000_000 * place)
        for name in names
        for other in ("o", "p")
        for place, value in enumerate(values)
    ]
    types: dict[str, Any] = {"b": pl.String, "a": pl.String, "u": pl.Float64, "t": pl.Int64}
    manifest = write_dataset(root, schema, pl.DataFrame(rows, schema=types, orient="row"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_order, "_RUN_ROWS", 0)
        patch.setattr(reader, "JOINED_ROWS", joined)
        patch.setattr(reader, "GROUP_ROWS", joined)
        patch.setattr(storage_files, "MOST_BYTES", most)
        known = look_at_identities(root, manifest, ignore)
        assert known.order(manifest.partitions[0])
        with_it, without = (
            [
                (file.name, content(file), file.rows, file.counts, file.rejected)
                for shard in plan_shards(root, manifest, duration)
                for file in map(kept, encode_shard(root, manifest, shard, 1, Workspace(), each))
            ]
            for each in (known, KnownRows())
        )
    assert with_it == without


def test_tags_of_a_known_order_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the look has seen of them is used."""
    monkeypatch.setattr(series_order, "_RUN_ROWS", 0)
    manifest = write_dataset(tmp_path, SCHEMA, frame(rows := rows_of(SERIES[:1], days=1, points=3)))
    known = look_at_identities(tmp_path, manifest, ignore)
    path = tmp_path / manifest.partitions[0].path
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["a", "b"]), path)
    (shard,) = plan_shards(tmp_path, manifest, WEEK)
    (file,) = map(kept, encode_shard(tmp_path, manifest, shard, 1, Workspace(), known))
    assert stored([file]) == expected(rows)


def test_times_that_the_manifest_does_not_say(tmp_path: Path) -> None:
    """Shards are planned by the times of the manifest, so a row outside of them is an error that names it."""
    manifest = write_dataset(tmp_path, SCHEMA, frame(rows_of(SERIES, days=1, points=3)))
    short = replace(manifest.partitions[0], time_max=FIRST_DAY + 1)
    manifest = replace(manifest, partitions=(short,))
    (shard,) = plan_shards(tmp_path, manifest, WEEK)
    with pytest.raises(StageError, match=f"row 2: the time {FIRST_DAY + 2} is not among"):
        list(encode_shard(tmp_path, manifest, shard, 1, Workspace(), KnownRows()))


def test_a_field_that_no_path_can_store(tmp_path: Path) -> None:
    """A field name without a form is refused before anything is read."""
    schema = PointSchema("m", (), (Field("time", FieldType.INTEGER),), "t")
    with pytest.raises(EncodeError, match="field key 'time'"):
        next(
            encode_shard(
                tmp_path, Manifest((schema,), {}, {}, (), complete=True), Shard(0, 1, ()), 1, Workspace(), KnownRows()
            )
        )


def test_nothing_to_do(tmp_path: Path) -> None:
    """A shard without partitions has no file."""
    manifest = Manifest((SCHEMA,), {}, {}, (), complete=True)
    assert list(encode_shard(tmp_path, manifest, Shard(0, 1, ()), 1, Workspace(), KnownRows())) == []


@pytest.mark.parametrize("points", [1, 2, 300])
def test_a_tar(tmp_path: Path, points: int) -> None:
    """A tar of a file is one for everybody, with its name and bytes, and of the size that was announced."""
    (file,) = files_of(tmp_path, rows_of(SERIES, days=1, points=points))
    stream = io.BytesIO(b"".join(tar(file)))
    assert len(stream.getvalue()) == tar_size(file)
    with tarfile.open(fileobj=stream) as members:
        (member,) = members.getmembers()
        opened = members.extractfile(member)
        assert opened is not None
        assert (member.name, opened.read()) == (file.name, content(file))


def test_slow_compilation_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than a moment is announced, while it runs."""
    announced = threading.Event()
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        announced.set()

    monkeypatch.setattr(warm, "_MOMENT", 0.01)
    monkeypatch.setattr(storage_files, "compile_encoders", lambda: announced.wait(20))
    prepare_encoders(observe)
    assert events == [Notice("compiling the encoders for this machine, once: some seconds")]


def test_what_is_compiled_already_is_not_worth_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done in a moment is not announced; an error in it is not lost."""
    events: list[Event] = []
    monkeypatch.setattr(warm, "_MOMENT", 20)
    monkeypatch.setattr(storage_files, "compile_encoders", lambda: None)
    prepare_encoders(events.append)
    assert events == []

    def fail() -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(storage_files, "compile_encoders", fail)
    with pytest.raises(RuntimeError, match="no compiler"):
        prepare_encoders(events.append)
