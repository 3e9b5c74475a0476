"""Decoding of storage files, against an encoder and a decoder that take one number at a time."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType
from loader.encoding.tsm.decode.columns import Column
from loader.encoding.tsm.decode.fields import Reading, Source
from loader.encoding.tsm.decode.gather import gather_field, gather_fields
from loader.encoding.tsm.decode.index import read_file
from tests import reference_tsm as reference
from tests.reference_tsm import Block, block, build_file

FIRST, LAST = -(2**63), 2**63 - 1
ANY_TIMES = st.lists(st.integers(FIRST + 2, LAST - 1), min_size=1, max_size=40, unique=True).map(sorted)
INTEGERS = st.integers(FIRST, LAST) | st.integers(-3, 3)
BITS = st.floats(allow_nan=False).map(lambda value: struct.unpack(">Q", struct.pack(">d", value))[0])


def read(blocks: list[Block], kind: str) -> Column:
    """Return what is read of a file that holds ``blocks`` of one series."""
    data = build_file({b"m,a=b#!~#v": (kind, blocks)})
    file = read_file("1.tsm", np.frombuffer(data, np.uint8))
    return gather_field([Source(file)], "m", Field("v", FieldType(kind))).read(FIRST, LAST).column


def plain(column: Column) -> list[Any]:
    """Return the values of ``column`` as numbers, or bytes."""
    if isinstance(column.values, np.ndarray):
        return column.values.tolist()
    return column.values.to_pylist()


def times_of(values: list[Any]) -> list[int]:
    """Return a timestamp for each value."""
    return [7 * number for number in range(len(values))]


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_TIMES, min_size=1, max_size=3), st.data())
def test_timestamps(parts: list[list[int]], data: st.DataObject) -> None:
    """Timestamps come back in every encoding that can hold them, block after block."""
    times = sorted({time for part in parts for time in part})
    size = data.draw(st.integers(1, len(times)))
    blocks = []
    for at in range(0, len(times), size):
        part = times[at : at + size]
        deltas = [later - earlier for earlier, later in pairwise(part)]
        encodings = ["raw"] if max(deltas, default=0) >= 2**60 else ["raw", "packed"]
        encoded = reference.encode_times(part, data.draw(st.sampled_from(encodings)))
        blocks.append(block("boolean", part, encoded, reference.encode_booleans([True] * len(part))))
    column = read(blocks, "boolean")
    assert column.times.tolist() == times
    assert (column.series.to_list(), column.bounds.tolist()) == ([b"m,a=b"], [0, len(times)])


@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**62), 2**62), st.lists(st.integers(1, 2**16), min_size=1, max_size=300), st.integers(0, 12))
def test_scaled_timestamps(first: int, steps: list[int], scale: int) -> None:
    """Deltas in multiples of a power of ten come back, one by one and as a run."""
    times = [first, *(first + int(total) * 10**scale for total in np.cumsum(steps))]
    run = [first + number * steps[0] * 10**scale for number in range(len(times))]
    for expected, encoding in ((times, "packed"), (run, "run")):
        encoded = reference.encode_times(expected, encoding, scale)
        values = reference.encode_booleans([False] * len(expected))
        assert read([block("boolean", expected, encoded, values)], "boolean").times.tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["integer", "unsigned"]), st.lists(INTEGERS, min_size=1, max_size=150), st.data())
def test_integers(kind: str, values: list[int], data: st.DataObject) -> None:
    """Integers and unsigned integers come back in every encoding, over all 64 bits."""
    deltas = [reference.zigzag(reference.signed(later - earlier)) for earlier, later in pairwise(values)]
    encodings = ["raw"] if max(deltas, default=0) >= 2**60 else ["raw", "packed"]
    encoded = reference.encode_integers(values, data.draw(st.sampled_from(encodings)))
    times = times_of(values)
    column = read([block(kind, times, reference.encode_times(times, "raw"), encoded)], kind)
    assert column.values.view(np.int64).tolist() == values
    assert plain(column) == [value % 2**64 for value in values]


@settings(max_examples=30, deadline=None)
@given(INTEGERS, INTEGERS, st.integers(2, 300))
def test_runs_of_integers(first: int, step: int, count: int) -> None:
    """Equal steps come back from a run, wrapping at 64 bits."""
    values = [reference.signed(first + number * step) for number in range(count)]
    times = times_of(values)
    encoded = reference.encode_integers(values, "run")
    column = read([block("integer", times, reference.encode_times(times, "run"), encoded)], "integer")
    assert column.values.view(np.int64).tolist() == values


def test_long_runs_of_ones() -> None:
    """The words that stand for 240 and 120 ones are understood."""
    values = [1] * 240 + [1] * 120 + [5]
    numbers = [0, *np.cumsum([reference.unzigzag(value) for value in values]).tolist()]
    times = [0, *np.cumsum(values).tolist()]
    data = block(
        "integer", times, reference.encode_times(times, "packed"), reference.encode_integers(numbers, "packed")
    )
    assert len(data.data) < 120
    column = read([data], "integer")
    assert (column.times.tolist(), column.values.view(np.int64).tolist()) == (times, numbers)


@settings(max_examples=80, deadline=None)
@given(st.lists(BITS | st.sampled_from([0, 1 << 63, 1, 0x7FF0 << 48]), min_size=1, max_size=80), st.booleans())
def test_floats(values: list[int], keep_window: bool) -> None:
    """The bits of every double come back: zeros of both signs, subnormals, infinities."""
    encoded = reference.encode_floats(values, keep_window)
    times = times_of(values)
    assert plain(read([block("float", times, reference.encode_times(times, "raw"), encoded)], "float")) == values


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=20), min_size=1, max_size=3))
def test_strings_and_booleans(parts: list[list[bytes]]) -> None:
    """Any bytes come back as strings, and bits as booleans, over several blocks."""
    blocks, bits = [], []
    for number, part in enumerate(parts):
        times = [1_000 * number + at for at in range(len(part))]
        blocks.append(reference.plain_block("string", times, part))
        bits.append(reference.plain_block("boolean", times, [len(text) % 2 == 0 for text in part]))
    texts = [text for part in parts for text in part]
    assert plain(read(blocks, "string")) == texts
    assert plain(read(bits, "boolean")) == [len(text) % 2 == 0 for text in texts]


def test_fields_share_timestamps() -> None:
    """Timestamps that are the same bytes are decoded once for two fields, other ones for each."""
    times = [1, 5, 9]
    other = [1, 5, 10]
    data = build_file(
        {
            b"m#!~#a": ("integer", [reference.plain_block("integer", times, [1, 2, 3])]),
            b"m#!~#b": ("boolean", [reference.plain_block("boolean", times, [True, False, True])]),
            b"m#!~#c": ("boolean", [reference.plain_block("boolean", other, [True, False, True])]),
            b"m,x=y#!~#a": ("integer", [reference.plain_block("integer", times, [4, 5, 6])]),
            b"m,x=y#!~#b": ("boolean", [reference.plain_block("boolean", times, [True, True, True])]),
            b"m,x=y#!~#c": ("boolean", [reference.plain_block("boolean", times, [True, True, True])]),
        }
    )
    sources = [Source(read_file("1.tsm", np.frombuffer(data, np.uint8)))]
    kinds = {"a": FieldType.INTEGER, "b": FieldType.BOOLEAN, "c": FieldType.BOOLEAN}
    for start, stop in ((FIRST, LAST), (5, 10)):
        readings: list[Reading] = []
        for name, kind in kinds.items():
            former = readings[-1] if readings else None
            readings.append(gather_field(sources, "m", Field(name, kind)).read(start, stop, former))
        first, second, third = (reading.column for reading in readings)
        assert second.times is first.times
        assert third.times is not first.times
        wanted = [[time for time in kept if start <= time < stop] for kept in (times, other)]
        assert first.times.tolist() == wanted[0] * 2
        assert third.times.tolist() == wanted[1] + wanted[0]
        flags = dict(zip(times, [True, False, True], strict=True))
        assert plain(second) == [flags[time] for time in wanted[0]] + [True] * len(wanted[0])


def test_only_the_measurement_and_the_field() -> None:
    """Other measurements and fields are passed over, also those whose names begin alike; other types are named."""
    entry = reference.plain_block("integer", [1], [7])
    keys = [b"m#!~#v", b"m,a=b#!~#v", b"m2,a=b#!~#v", b"m\\ 3#!~#v", b"m,a=b#!~#v2", b"m,a=b#!~#w"]
    mistyped = {b"m,a=c#!~#v": ("float", [reference.plain_block("float", [1], [0])])}
    data = build_file({**{key: ("integer", [entry]) for key in keys}, **mistyped})
    field = gather_field(
        [Source(read_file("1.tsm", np.frombuffer(data, np.uint8)))], "m", Field("v", FieldType.INTEGER)
    )
    assert field.series.to_list() == [b"m", b"m,a=b"]
    assert field.mistyped == {b"m,a=c": FieldType.FLOAT}


def test_series_that_lack_fields() -> None:
    """Each field has the series that hold it, in whichever order they come, and those of the same keys share them."""
    entry = reference.plain_block("integer", [1], [7])
    held = {b"m,a=a": b"a", b"m,a=b": b"abc", b"m,a=c": b"bc", b"m,a=d": b"ab"}
    keys = [series + b"#!~#" + bytes([name]) for series, names in held.items() for name in names]
    file = read_file("1.tsm", np.frombuffer(build_file({key: ("integer", [entry]) for key in keys}), np.uint8))
    stored = gather_fields([Source(file)], "m", [Field(name, FieldType.INTEGER) for name in "abc"])
    for name, field in zip(b"abc", stored, strict=True):
        assert field.series.to_list() == [series for series, names in held.items() if name in names]
        assert field.owners.tolist() == list(range(len(field.series)))


def test_an_index_in_another_order() -> None:
    """Series come in the order of their texts, also where their keys do not: the separator is more than ``!``."""
    entries = {b"m,a=x!": 2, b"m,a=x": 1, b"m,a=x!!": 3}
    blocks = {series: reference.plain_block("integer", [time], [time]) for series, time in entries.items()}
    data = build_file({series + b"#!~#v": ("integer", [entry]) for series, entry in blocks.items()})
    field = gather_field(
        [Source(read_file("1.tsm", np.frombuffer(data, np.uint8)))], "m", Field("v", FieldType.INTEGER)
    )
    column = field.read(FIRST, LAST).column
    assert column.series.to_list() == [b"m,a=x", b"m,a=x!", b"m,a=x!!"]
    assert column.times.tolist() == [1, 2, 3]


def test_nothing_there() -> None:
    """Without files, and outside of the times of any block, there are no points."""
    assert gather_field([], "m", Field("v", FieldType.STRING)).read(0, 1).column.series.is_empty()
    column = read([reference.plain_block("integer", [5, 6], [1, 2])], "integer")
    assert column.times.tolist() == [5, 6]


@pytest.mark.parametrize("kind", ["float", "integer", "unsigned", "boolean", "string"])
def test_the_reference_agrees_with_itself(kind: str) -> None:
    """What the slow encoder writes, the slow decoder reads."""
    values: list[Any] = {"float": [5, 0, 5], "boolean": [True, False], "string": [b"", b"x"]}.get(
        kind, [3, 2**63 - 1, 0]
    )
    data = build_file({b"k": (kind, [reference.plain_block(kind, times_of(values), values)])})
    assert list(reference.decode_file(data)) == [(b"k", kind, times_of(values), values)]
