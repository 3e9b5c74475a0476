"""Damaged storage files are errors that say where; nothing is read beyond an array."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.schema import Field, FieldType
from loader.encoding.tsm.decode.fields import Source
from loader.encoding.tsm.decode.gather import gather_field
from loader.encoding.tsm.decode.index import read_file
from loader.errors import DecodeError
from tests import reference_tsm as reference
from tests.reference_tsm import Block, block, build_file

TIMES = [10, 20, 30]
RAW = reference.encode_times(TIMES, "raw")
INTEGERS = reference.encode_integers([1, 2, 3], "raw")
VALUES = {"float": [1, 1 << 63, 5], "integer": [1, 2, 3], "unsigned": [1, 2, 3], "boolean": [True, False, True]}
VALUES = {**VALUES, "string": [b"", b"ab", b"c" * 50]}
HUGE = b"\xff" * 9 + b"\x01"


def read(data: bytes, kind: str = "integer") -> list[int]:
    """Return the times that are read of the only field."""
    file = read_file("1.tsm", np.frombuffer(data, np.uint8))
    field = gather_field([Source(file)], "m", Field("v", FieldType(kind)))
    return field.read(-(2**63), 2**63 - 1).column.times.tolist()


def complaint(data: bytes, kind: str = "integer") -> str:
    """Return what is said against ``data``, "" when it is read."""
    try:
        read(data, kind)
    except DecodeError as error:
        return error.message
    return ""


def whole(kind: str = "integer") -> bytes:
    """Return a good file."""
    return build_file({b"m#!~#v": (kind, [reference.plain_block(kind, TIMES, VALUES[kind])])})


def of_body(body: bytes, kind: str = "integer", first: int = 10, last: int = 30) -> bytes:
    """Return a file with one block of ``body`` and a good checksum."""
    return build_file({b"m#!~#v": (kind, [Block(first, last, zlib.crc32(body).to_bytes(4) + body)])})


@pytest.mark.parametrize("kind", VALUES)
def test_every_flipped_bit_of_a_block_is_found(kind: str) -> None:
    """The checksum finds each change of a block; the error names file, key and offset."""
    good = whole(kind)
    stop = struct.unpack(">Q", good[-8:])[0]
    assert read(good, kind) == TIMES
    for at in range(5, stop):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        with pytest.raises(DecodeError, match=r"1\.tsm, key 'm#!~#v', offset 5: the checksum"):
            read(bytes(bad), kind)


def test_every_length_of_a_file_that_is_cut_off() -> None:
    """A file that ends too early is found, wherever it ends."""
    good = whole()
    for size in range(len(good)):
        with pytest.raises(DecodeError, match=r"1\.tsm"):
            read(good[:size])


def test_every_length_of_an_index_that_is_cut_off() -> None:
    """An index that ends within a key or its blocks is found, wherever the footer comes too early."""
    good = whole()
    start = struct.unpack(">Q", good[-8:])[0]
    for size in range(start + 1, len(good) - 8):
        assert "the index is cut off" in complaint(good[:size] + good[-8:])


def test_no_storage_file() -> None:
    """Something else, and another version, is told apart."""
    for data in (b"x" * 40, whole()[:4] + b"\x02" + whole()[5:]):
        with pytest.raises(DecodeError, match="no storage file of version 1"):
            read(data)


def test_every_flipped_bit_of_the_index() -> None:
    """A change of the index is found, or changes nothing but the name of the key."""
    good = whole()
    start = struct.unpack(">Q", good[-8:])[0]
    for at in range(start, len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            said = complaint(bytes(bad))
            assert "1.tsm" in said or read(bytes(bad)) == [], f"byte {at - start}, bit {bit}"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(VALUES)), st.binary(max_size=60), st.integers(0, 40), st.integers(0, 60))
def test_any_bytes_with_a_good_checksum(kind: str, noise: bytes, at: int, cut: int) -> None:
    """Whatever a block holds, it is read or refused: never a crash, never another kind of error."""
    body = reference.plain_block(kind, TIMES, VALUES[kind]).data[4:]
    planted = (body[:at] + noise + body[at + len(noise) :])[: max(2, len(body) - cut)]
    said = complaint(of_body(planted, kind), kind)
    assert not said or "key 'm#!~#v', offset 5" in said


def integers(times: bytes, values: bytes = INTEGERS) -> bytes:
    """Return the body of a block of integers."""
    return bytes([1]) + reference.uvarint(len(times)) + times + values


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(bytes([0]) + integers(RAW)[1:], id="another type than the index says"),
        pytest.param(bytes([1]) + HUGE + RAW + INTEGERS, id="timestamps longer than the block"),
        pytest.param(bytes([1]) + b"\x80" * 12, id="length without an end"),
        pytest.param(bytes([1]) + b"\xff" * 9 + b"\x02" + RAW, id="length beyond 64 bits"),
        pytest.param(integers(b""), id="no timestamps"),
        pytest.param(integers(RAW[:-1]), id="raw timestamps that are cut off"),
        pytest.param(integers(b"\x30" + RAW[1:]), id="unknown encoding"),
        pytest.param(integers(b"\x20" + bytes(8) + b"\x80"), id="run without a delta"),
        pytest.param(integers(b"\x20" + bytes(8) + b"\x01\x80"), id="run without a length"),
        pytest.param(integers(b"\x20" + bytes(8) + b"\x01" + HUGE), id="run of more than any block has"),
        pytest.param(integers(b"\x20" + bytes(8) + b"\x01\x00"), id="run of none"),
        pytest.param(integers(reference.encode_times([10, 20, 31], "raw")), id="other times than the index"),
    ],
)
def test_impossible_timestamps(body: bytes) -> None:
    """What timestamps cannot be is refused before anything is decoded."""
    with pytest.raises(DecodeError, match="timestamps"):
        read(of_body(body))


GORILLA = reference.encode_floats([1, 2, 3])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", b""),
        ("integer", INTEGERS[:-8]),
        ("integer", INTEGERS + bytes(8)),
        ("integer", b"\x20" + bytes(8) + b"\x01\x03"),
        ("unsigned", b"\x30" + INTEGERS[1:]),
        ("float", b""),
        ("float", GORILLA[:9]),
        ("float", GORILLA[:-1]),
        ("float", b"\x20" + GORILLA[1:]),
        ("float", reference.encode_floats([1, 2])),
        ("float", reference.encode_floats([1, 2, 3, 4])),
        # 31 leading zeros and 63 bits do not fit into 64
        ("float", b"\x10" + bytes(8) + bytes([0b11111111, 0b11111000]) + bytes(20)),
        ("boolean", b"\x10"),
        ("boolean", b"\x20\x03\xa0"),
        ("boolean", b"\x10\x03"),
        ("boolean", b"\x10\x04\xa0"),
        ("string", b"\x10"),
        ("string", b"\x20" + reference.encode_strings([b"a", b"b", b"c"])[1:]),
        ("string", reference.encode_strings([b"a", b"b"])),
        ("string", reference.encode_strings([b"a", b"b", b"c", b"d"])),
        ("string", b"\x10" + HUGE),
        ("string", b"\x10\x80"),
        ("string", b"\x10\x0a\xff\xff\xff"),
        ("string", b"\x10" + pa.compress(b"\x01a\x01b\x7fc", codec="snappy", asbytes=True)),
        ("string", b"\x10" + pa.compress(b"\x01a\x01b\x80", codec="snappy", asbytes=True)),
    ],
)
def test_impossible_values(kind: str, values: bytes) -> None:
    """Values that are damaged, or not as many as timestamps, are refused with their type and number."""
    with pytest.raises(DecodeError, match=rf"offset 5: the values of the block are not 3 of type {kind}"):
        read(build_file({b"m#!~#v": (kind, [block(kind, TIMES, RAW, values)])}), kind)


def test_the_damaged_block_is_named() -> None:
    """Of several keys and blocks, the error names the one."""
    good = reference.plain_block("integer", TIMES, [1, 2, 3])
    other = reference.plain_block("integer", [40], [4])
    bad = Block(40, 40, other.data[:-1] + b"x")
    data = build_file({b"m,a=b#!~#v": ("integer", [good]), b"m,a=c#!~#v": ("integer", [good, bad])})
    with pytest.raises(DecodeError, match=rf"key 'm,a=c#!~#v', offset {5 + 2 * len(good.data)}"):
        read(data)
