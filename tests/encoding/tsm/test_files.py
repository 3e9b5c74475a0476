"""Whole storage files: series, fields with nulls, the index, and keys."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType
from loader.encoding.series import SeriesRuns
from loader.encoding.tsm.encode.buffer import Workspace
from loader.encoding.tsm.encode.file import encode_file
from loader.encoding.tsm.encode.rows import Rows
from loader.encoding.tsm.layout import may_be_unstorable, unstorable
from loader.encoding.warm import compile_encoders
from loader.errors import EncodeError
from tests.storage import bits, decode, encode, index

VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.UNSIGNED: st.integers(0, 2**64 - 1),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.STRING: st.text(max_size=10),
}
SERIES = ("m", "m,a=b", "m,a=b\\ c", "m,a=b\\,c\\=d", "m,a=é€😀", "m,a!=b", "m,a=b,c=d")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_series_and_fields_with_nulls(data: st.DataObject) -> None:
    """Every field of every series comes back, without the points that are null in it."""
    series = {}
    for text in data.draw(st.lists(st.sampled_from(SERIES), min_size=1, unique=True)):
        times = sorted(data.draw(st.sets(st.integers(-(2**40), 2**62), min_size=1, max_size=12)))
        fields = {
            f"{kind}": (kind, [data.draw(st.none() | VALUES[kind]) for _ in times]) for kind in data.draw(kinds())
        }
        series[text] = (times, fields)
    content = encode(series)
    for kind in FieldType:
        expected = {}
        for text, (times, fields) in series.items():
            values = fields.get(str(kind), (kind, []))[1]
            present = [value for value in values if value is not None]
            if present:
                kept = [time for time, value in zip(times, values, strict=True) if value is not None]
                expected[text] = (kept, bits(kind, present))
        assert decode(content, str(kind), kind) == expected


def kinds() -> st.SearchStrategy[list[FieldType]]:
    """Return some types of field, in any order."""
    return st.lists(st.sampled_from(list(FieldType)), min_size=1, unique=True)


def test_nulls_in_whole_blocks() -> None:
    """Points without one field leave the blocks of the others as they are; each field counts its own thousands."""
    times = list(range(2_500))
    sparse = [number if number % 2 else None for number in times]
    late = [None] * 2_499 + ["last"]
    fields = {
        "all": (FieldType.INTEGER, times),
        "sparse": (FieldType.UNSIGNED, sparse),
        "late": (FieldType.STRING, late),
        "again": (FieldType.FLOAT, [float(time) for time in times]),
        "none": (FieldType.FLOAT, [None] * 2_500),
    }
    content = encode({"m": (times, fields)})
    assert decode(content, "all", FieldType.INTEGER) == {"m": (times, times)}
    assert decode(content, "sparse", FieldType.UNSIGNED) == {"m": (times[1::2], times[1::2])}
    assert decode(content, "late", FieldType.STRING) == {"m": ([2_499], [b"last"])}
    assert decode(content, "again", FieldType.FLOAT) == {
        "m": (times, bits(FieldType.FLOAT, [float(time) for time in times]))
    }
    assert decode(content, "none", FieldType.FLOAT) == {}
    file = index(content)
    assert file.keys == [b"m#!~#again", b"m#!~#all", b"m#!~#late", b"m#!~#sparse"]
    assert file.counts == [3, 3, 1, 2]


def test_a_file_byte_by_byte() -> None:
    """A file is header, blocks with checksums, index in the order of keys, and where the index begins."""
    content = encode(
        {
            "m,t=b": ([1], {"v": (FieldType.BOOLEAN, [True])}),
            "m,t=a": ([-1, 2], {"w": (FieldType.BOOLEAN, [None, False]), "v": (FieldType.BOOLEAN, [True, False])}),
        }
    )
    bodies = [
        bytes.fromhex("02 0b 20 ff ff ff ff ff ff ff ff 03 02 10 02 80"),
        bytes.fromhex("02 09 1c 00 00 00 00 00 00 00 02 10 01 00"),
        bytes.fromhex("02 09 1c 00 00 00 00 00 00 00 01 10 01 80"),
    ]
    blocks = [zlib.crc32(body).to_bytes(4) + body for body in bodies]
    entries = [
        (b"m,t=a#!~#v", struct.pack(">BHqqqI", 2, 1, -1, 2, 5, 20)),
        (b"m,t=a#!~#w", struct.pack(">BHqqqI", 2, 1, 2, 2, 25, 18)),
        (b"m,t=b#!~#v", struct.pack(">BHqqqI", 2, 1, 1, 1, 43, 18)),
    ]
    expected = b"\x16\xd1\x16\xd1\x01" + b"".join(blocks)
    expected += b"".join(len(key).to_bytes(2) + key + entry for key, entry in entries) + (61).to_bytes(8)
    assert content == expected


def test_the_index_knows_the_times_of_blocks() -> None:
    """First and last time of each block are in the index, whatever its size."""
    times = [7 * number for number in range(2_001)]
    file = index(encode({"m": (times, {"v": (FieldType.BOOLEAN, [True] * 2_001)})}))
    first, last = file.file.ranges(file.places)
    assert first.tolist() == [0, 7_000, 14_000]
    assert last.tolist() == [6_993, 13_993, 14_000]


@pytest.mark.parametrize("kind", [FieldType.INTEGER, FieldType.STRING])
def test_a_later_row_of_the_same_time(kind: FieldType) -> None:
    """Of rows of one time, in any order, the last value of each field is kept, also at the end of a block."""
    times = [*range(1_000), 999, 5, 1_000, 1_000]
    values = [*range(1_000), None, -5, 1_000, None]
    other = [*range(1_000), -999, None, None, -1_000]
    if kind is FieldType.STRING:
        values, other = ([None if value is None else str(value) for value in each] for each in (values, other))
    content = encode({"m": (times, {"v": (kind, values), "w": (kind, other)})})
    expected = list(range(1_001))
    expected[5] = -5
    assert decode(content, "v", kind) == {"m": (list(range(1_001)), bits(kind, as_kind(kind, expected)))}
    expected = [*range(999), -999, -1_000]
    assert decode(content, "w", kind) == {"m": (list(range(1_001)), bits(kind, as_kind(kind, expected)))}


def as_kind(kind: FieldType, values: Sequence[int]) -> Sequence[Any]:
    """Return integers as strings where ``kind`` is that."""
    return [str(value) for value in values] if kind is FieldType.STRING else values


def test_long_strings() -> None:
    """Strings of more bytes than are held at a time come back, and short ones before and after them."""
    texts = ["a", "b" * (1 << 20), "c", *("d" * (1 << 19) for _ in range(3)), "e"]
    content = encode({f"m,t={number}": ([number], {"v": (FieldType.STRING, [texts[number]])}) for number in range(7)})
    found = decode(content, "v", FieldType.STRING)
    assert found == {f"m,t={number}": ([number], [text.encode()]) for number, text in enumerate(texts)}


def test_many_short_strings() -> None:
    """More blocks of strings than are handled at a time come back, of two fields each."""
    series = {
        f"m,t={number:04}": ([number], {"v": (FieldType.STRING, [f"{number}"]), "w": (FieldType.STRING, ["w"])})
        for number in range(1_200)
    }
    content = encode(series)
    assert decode(content, "v", FieldType.STRING) == {
        text: (fields[0], [b"%d" % fields[0][0]]) for text, fields in series.items()
    }
    assert decode(content, "w", FieldType.STRING) == {text: (fields[0], [b"w"]) for text, fields in series.items()}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from(["", ",t=a", ",t=b", "#", "!", "!,t=a", "\\ ,t=a", "é"]), min_size=1), max_size=3)
)
def test_several_measurements(chosen: list[set[str]]) -> None:
    """Keys of several measurements are in one order, in the index as in the file, also where they alternate."""
    workspace = Workspace()
    held, taken = [], set[str]()
    for number, endings in enumerate(chosen):
        rows = Rows([Field("v", FieldType.INTEGER)], workspace)
        for text in sorted({f"m{ending}" for ending in endings} - taken):
            runs = SeriesRuns(np.array([0, 1]), np.array([0]), pa.array([text], pa.large_string()))
            rows.add(np.array([number]), [pl.Series([number])], runs)
            taken.add(text)
        held.append(rows)
    stored = encode_file(held, workspace)
    file = index(b"".join(stored.pieces))
    assert file.keys == sorted(f"{text}#!~#v".encode() for text in taken)
    assert file.offsets == sorted(file.offsets)
    assert sum(stored.points) == len(taken)
    assert stored.values == tuple((points,) for points in stored.points)


def test_an_empty_file() -> None:
    """Without series there is a header, no index, and the footer."""
    assert encode({}) == b"\x16\xd1\x16\xd1\x01" + (5).to_bytes(8)


@settings(deadline=None)
@given(st.lists(st.text("m#!~é", max_size=9)))
def test_series_that_cannot_be_parted(series: list[str]) -> None:
    """A series in which the separator occurs, or begins at its end, cannot be stored; the server would lose it."""
    found = unstorable(pl.Series(series, dtype=pl.String)).to_list()
    assert found == [(text + "#!~#").find("#!~#") != len(text) for text in series]
    assert may_be_unstorable(pa.array(series, pa.large_string())) >= any(found)


def test_usual_series_are_not_looked_at_twice() -> None:
    """Only a text that has the beginning of a separator may be unstorable."""
    assert not may_be_unstorable(pa.array(["m,t=a#!", "m,t=~#"], pa.large_string()))


def test_a_field_with_the_separator() -> None:
    """The first separator counts: a field may hold it."""
    content = encode({"m": ([1], {"a#!~#b": (FieldType.INTEGER, [7])})})
    assert decode(content, "a#!~#b", FieldType.INTEGER) == {"m": ([1], [7])}


def test_the_longest_key() -> None:
    """A key of 65,535 bytes comes back, a longer one is refused with its size."""
    longest = "m,a=" + "x" * (65_535 - 4 - 4 - 1)
    assert list(decode(encode({longest: ([1], {"v": (FieldType.INTEGER, [7])})}), "v", FieldType.INTEGER)) == [longest]
    with pytest.raises(EncodeError, match="has 65,536 bytes") as caught:
        encode({"m": ([1], {"v": (FieldType.INTEGER, [7])}), longest + "x": ([1], {"v": (FieldType.INTEGER, [7])})})
    assert len(str(caught.value)) < 500


def test_the_encoders_can_be_compiled_ahead() -> None:
    """Compiling them ahead needs no data, and leaves nothing behind."""
    assert compile_encoders() is None
