"""Several storage files of a shard, and deletions, as the server merges them."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType
from loader.encoding.tsm.decode import fields
from loader.encoding.tsm.decode.blocks import read_times
from loader.encoding.tsm.decode.columns import TooManyPoints
from loader.encoding.tsm.decode.fields import Reading, Source
from loader.encoding.tsm.decode.gather import gather_field, gather_fields
from loader.encoding.tsm.decode.index import read_file
from loader.encoding.tsm.decode.tombstones import Tombstone, read_tombstones
from loader.errors import DecodeError
from tests.reference_tsm import build_file, plain_block

FIRST, LAST = -(2**63), 2**63 - 1
FIELD = Field("v", FieldType.INTEGER)
Points = dict[bytes, dict[int, int]]


def source(points: Points, tombstones: list[Tombstone] | None = None, size: int = 2) -> Source:
    """Return a file of ``points``, by series and time, in blocks of ``size``."""
    keys: dict[bytes, Any] = {}
    for series, values in points.items():
        times = sorted(values)
        parts = [times[at : at + size] for at in range(0, len(times), size)]
        blocks = [plain_block("integer", part, [values[time] for time in part]) for part in parts]
        keys[series + b"#!~#v"] = ("integer", blocks)
    return Source(read_file("1.tsm", np.frombuffer(build_file(keys), np.uint8)), tombstones or [])


def reading(sources: list[Source], start: int = FIRST, stop: int = LAST) -> Reading:
    """Return what is read of the field."""
    return gather_field(sources, "m", FIELD).read(start, stop)


def points(sources: list[Source], start: int = FIRST, stop: int = LAST) -> Points:
    """Return the points that are read, by series and time; that times ascend strictly is checked."""
    column = reading(sources, start, stop).column
    values = column.values.view(np.int64).tolist()
    found = {}
    for number, series in enumerate(column.series.to_list()):
        span = slice(column.bounds[number], column.bounds[number + 1])
        times = column.times[span].tolist()
        assert times == sorted(set(times))
        if times:
            found[series] = dict(zip(times, values[span], strict=True))
    return found


def test_files_of_different_times_are_not_sorted() -> None:
    """Blocks that do not overlap are put in the order of time, whatever file they are in."""
    sources = [source({b"m": {5: 50, 6: 60, 7: 70}}), source({b"m": {1: 10, 2: 20}, b"m,a=b": {9: 90}})]
    assert points(sources) == {b"m": {1: 10, 2: 20, 5: 50, 6: 60, 7: 70}, b"m,a=b": {9: 90}}
    assert reading(sources).plain
    assert points(sources, 2, 6) == {b"m": {2: 20, 5: 50}}


def test_a_deletion_of_a_field_that_a_series_lacks() -> None:
    """It deletes nothing of the series that have the field."""
    other = plain_block("integer", [1], [10])
    mine = plain_block("integer", [1, 2], [10, 20])
    content = build_file({b"m,a=b#!~#w": ("integer", [other]), b"m,a=c#!~#v": ("integer", [mine])})
    deletions = [Tombstone(b"m,a=b#!~#v", 1, 1), Tombstone(b"m,a=c#!~#v", 2, 2)]
    held = Source(read_file("1.tsm", np.frombuffer(content, np.uint8)), deletions)
    read, _ = (field.read(FIRST, LAST).column for field in gather_fields([held], "m", [FIELD, Field("w", FIELD.type)]))
    assert (read.series.to_list(), read.times.tolist()) == ([b"m,a=c"], [1])


def test_the_later_file_wins() -> None:
    """Of one identity in several files, the value of the last is read, and the others of its block stay."""
    sources = [source({b"m": {1: 10, 2: 20, 3: 30}}), source({b"m": {2: 21}}), source({b"m": {2: 22, 4: 42}})]
    assert points(sources) == {b"m": {1: 10, 2: 22, 3: 30, 4: 42}}
    assert points(sources[::-1]) == {b"m": {1: 10, 2: 20, 3: 30, 4: 42}}
    assert not reading(sources).plain


def test_strings_are_merged_too() -> None:
    """Strings are put in order, and left out, as numbers are."""
    files = [
        build_file({b"m#!~#v": ("string", [plain_block("string", times, texts)])})
        for times, texts in (([1, 3, 5], [b"a", b"", b"ccc"]), ([2, 3], [b"x" * 70, b"y"]))
    ]
    sources = [Source(read_file("1.tsm", np.frombuffer(data, np.uint8))) for data in files]
    column = gather_field(sources, "m", Field("v", FieldType.STRING)).read(2, 9).column
    assert column.times.tolist() == [2, 3, 5]
    assert column.values.to_pylist() == [b"x" * 70, b"y", b"ccc"]


def test_tombstones_delete_from_their_own_file() -> None:
    """A range that one file deletes is still there in others, before and after it."""
    key = b"m#!~#v"
    deleted = [Tombstone(key, 2, 3), Tombstone(b"m,a=b#!~#v", FIRST, LAST), Tombstone(b"other#!~#v", 0, 9)]
    old, late = {b"m": {1: 10, 2: 20}}, {b"m": {3: 33}}
    middle = source({b"m": {2: 21, 3: 31, 4: 41}, b"m,a=b": {1: 1}}, deleted)
    assert points([middle]) == {b"m": {4: 41}}
    assert points([source(old), middle]) == {b"m": {1: 10, 2: 20, 4: 41}}
    assert points([middle, source(late)]) == {b"m": {3: 33, 4: 41}}


def test_strings_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings are decoded some bytes at a time, and each is given the form that is asked for."""
    monkeypatch.setattr(fields, "DECODED_BYTES", 60)
    blocks = [plain_block("string", [at, at + 1], [b"a%d" % at, b"b" * 40]) for at in range(0, 12, 2)]
    file = read_file("1.tsm", np.frombuffer(build_file({b"m#!~#v": ("string", blocks)}), np.uint8))
    pieces = []

    def first(texts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
        pieces.append(len(texts))
        return pa.array([text[:2] for text in texts.to_pylist()], pa.large_binary())

    released: list[int] = []
    stored = gather_field(
        [Source(file, release=lambda: released.append(len(pieces)))], "m", Field("v", FieldType.STRING)
    )
    column = stored.read(1, 11, form=first).column
    assert column.times.tolist() == list(range(1, 11))
    assert column.values.to_pylist()[:4] == [b"bb", b"a2", b"bb", b"a4"]
    assert len(pieces) > 1
    assert [number for number in released if number] == list(range(1, len(pieces) + 1)), (
        "a file is let go of after each piece"
    )
    with pytest.raises(TooManyPoints):
        stored.read(1, 11, most=10 * 8 + 5 * 40)


def test_blocks_that_hold_far_more_than_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large blocks are decoded some at a time, and of each only the range is kept; a range may be too large."""
    monkeypatch.setattr(fields, "DECODED_POINTS", 250)
    times, series = list(range(100)), [b"m,a=%d" % number for number in range(10, 40)]
    sources = [source({name: dict.fromkeys(times, 7) for name in series}, size=100)]
    decoded = []
    monkeypatch.setattr(
        fields,
        "read_times",
        lambda part, to, out: (decoded.append(len(out)), read_times(part, to, out)),  # type: ignore[func-returns-value]
    )
    assert points(sources, 5, 7) == {name: {5: 7, 6: 7} for name in series}
    assert len(decoded) >= 12
    assert max(decoded) <= 350
    stored = gather_field(sources, "m", FIELD)
    point = 16  # bytes of time and value
    assert len(stored.read(5, 7, most=60 * point).column.times) == 60
    for most, stop in ((60 * point - 1, 7), (1, 100)):
        with pytest.raises(TooManyPoints):
            stored.read(5, stop, most=most)
    monkeypatch.setattr(fields, "DECODED_POINTS", 1 << 20)
    with pytest.raises(TooManyPoints):
        stored.read(5, 7, most=60 * point - 1)


@pytest.mark.parametrize(("last", "shared"), [(5, True), (6, False)])
def test_fields_in_pieces_share_times(monkeypatch: pytest.MonkeyPatch, last: int, shared: bool) -> None:
    """Fields share series, and the times of blocks and points that are equal, also where blocks are read in pieces."""
    monkeypatch.setattr(fields, "DECODED_BLOCKS", 2)
    names, kind = [b"m,a=b", b"m,a=c"], FieldType.INTEGER
    files = []
    for at in (1, 3, 5):
        times = {b"#!~#v": [at], b"#!~#w": [last if at == 5 else at]}
        keys = {
            name + key: ("integer", [plain_block("integer", of_key, [at])])
            for name in names
            for key, of_key in times.items()
        }
        files.append(Source(read_file("1.tsm", np.frombuffer(build_file(keys), np.uint8))))
    one, other = gather_fields(files, "m", [Field("v", kind), Field("w", kind)])
    assert one.first is one.last
    assert (one.series is other.series, one.owners is other.owners, one.first is other.first) == (True, True, shared)
    former = one.read(FIRST, LAST)
    assert former.column.times.tolist() == [1, 3, 5] * 2
    column = other.read(FIRST, LAST, former).column
    assert column.times.tolist() == [1, 3, last] * 2
    assert (column.times is former.column.times) == shared


def test_the_same_times_of_other_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times that come in the same order, but belong to other series, are not taken for shared."""
    monkeypatch.setattr(fields, "DECODED_BLOCKS", 1)
    held = {b"m,a=b#!~#v": [1, 2], b"m,a=b#!~#w": [1], b"m,a=c#!~#v": [3], b"m,a=c#!~#w": [2, 3]}
    keys = {key: ("integer", [plain_block("integer", times, times)]) for key, times in held.items()}
    source = Source(read_file("1.tsm", np.frombuffer(build_file(keys), np.uint8)))
    one, other = gather_fields([source], "m", [Field(name, FieldType.INTEGER) for name in "vw"])
    former = one.read(FIRST, LAST)
    assert former.column.bounds.tolist() == [0, 2, 3]
    assert other.read(FIRST, LAST, former).column.bounds.tolist() == [0, 1, 3]


@pytest.mark.parametrize("deleted", ["v", "w"])
def test_a_field_that_alone_is_deleted(deleted: str) -> None:
    """Fields with the same timestamps share them only as long as nothing is deleted of either."""
    entry = plain_block("integer", [1, 2, 3], [10, 20, 30])
    data = build_file({b"m#!~#v": ("integer", [entry]), b"m#!~#w": ("integer", [entry])})
    file = read_file("1.tsm", np.frombuffer(data, np.uint8))
    sources = [Source(file, [Tombstone(f"m#!~#{deleted}".encode(), 2, 2)])]
    former = None
    for name in ("v", "w"):
        former = gather_field(sources, "m", Field(name, FieldType.INTEGER)).read(FIRST, LAST, former)
        assert former.column.times.tolist() == ([1, 3] if name == deleted else [1, 2, 3])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.sampled_from([b"m", b"m,a=b", b"m,a=c"]),
                st.dictionaries(st.integers(0, 30), st.integers(0, 9), min_size=1, max_size=12),
            ),
            st.lists(st.tuples(st.sampled_from([b"m", b"m,a=c"]), st.integers(0, 30), st.integers(0, 30)), max_size=2),
        ),
        max_size=4,
    ),
    st.tuples(st.integers(0, 15), st.integers(10, 31)),
    st.integers(1, 5),
    st.sampled_from([1, 3, 7, 1 << 22]),
    st.sampled_from([1, 3, 1 << 19]),
)
def test_any_files(files: list[Any], bounds: tuple[int, int], size: int, at_a_time: int, blocks: int) -> None:
    """Any files and tombstones give what putting one file over the other gives, however few are decoded at a time."""
    expected: Points = {}
    for values, deleted in files:
        for series, times in values.items():
            for time, value in times.items():
                gone = any(series == other and first <= time <= last for other, first, last in deleted)
                if not gone and bounds[0] <= time < bounds[1]:
                    expected.setdefault(series, {})[time] = value
    sources = [
        source(values, [Tombstone(series + b"#!~#v", first, last) for series, first, last in deleted], size)
        for values, deleted in files
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields, "DECODED_POINTS", at_a_time)
        patch.setattr(fields, "DECODED_BLOCKS", blocks)
        assert points(sources, *bounds) == expected


def entry(key: bytes, first: int, last: int) -> bytes:
    """Return a deletion as it is written."""
    return struct.pack(">I", len(key)) + key + struct.pack(">qq", first, last)


ENTRIES = entry(b"k1", -5, 7), entry(b"k2", FIRST, LAST)
EXPECTED = [Tombstone(b"k1", -5, 7), Tombstone(b"k2", FIRST, LAST)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (struct.pack(">I", 0x1502) + b"".join(ENTRIES), EXPECTED),
        (struct.pack(">I", 0x1503) + gzip.compress(b"".join(ENTRIES), mtime=0), EXPECTED),
        (struct.pack(">I", 0x1504) + b"".join(gzip.compress(entry, mtime=0) for entry in ENTRIES), EXPECTED),
        (struct.pack(">I", 0x1504), []),
    ],
)
def test_versions_of_tombstones(data: bytes, expected: list[Tombstone]) -> None:
    """Every version that the server may have written is read, with several members of gzip."""
    assert read_tombstones("1.tombstone", data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"m#!~#v\n",
        b"\x00",
        struct.pack(">I", 0x1502) + ENTRIES[0][:-1],
        struct.pack(">I", 0x1502) + b"\x00",
        struct.pack(">I", 0x1502) + b"\xff\xff\xff\xff",
        struct.pack(">I", 0x1504) + b"x",
        struct.pack(">I", 0x1504) + gzip.compress(ENTRIES[0], mtime=0)[:-9],
        struct.pack(">I", 0x1504) + gzip.compress(ENTRIES[0], mtime=0)[:15] + b"\xff" * 20,
    ],
)
def test_damaged_tombstones(data: bytes) -> None:
    """Tombstones that cannot be read are an error that names their file, never nothing."""
    with pytest.raises(DecodeError, match=r"1\.tombstone, offset"):
        read_tombstones("1.tombstone", data)
