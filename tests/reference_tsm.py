"""Storage files the slow and obvious way, one number at a time: the oracle of what encodes and decodes them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

TYPES = {"float": 0, "integer": 1, "boolean": 2, "string": 3, "unsigned": 4}
WRAP = 2**64
NAN = 0x7FF8000000000001
SELECTORS = [
    *((240, 0), (120, 0), (60, 1), (30, 2), (20, 3), (15, 4), (12, 5), (10, 6)),
    *((8, 7), (7, 8), (6, 10), (5, 12), (4, 15), (3, 20), (2, 30), (1, 60)),
]


def signed(number: int) -> int:
    """Return the low 64 bits of ``number`` as two's complement."""
    return (number + 2**63) % WRAP - 2**63


def zigzag(number: int) -> int:
    """Return 0, 1, 2, 3 for 0, -1, 1, -2."""
    return 2 * number if number >= 0 else -2 * number - 1


def unzigzag(number: int) -> int:
    """Undo ``zigzag``."""
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def uvarint(number: int) -> bytes:
    """Return seven bits a byte, low ones first; all but the last have the high bit."""
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes([*out, number])


def read_uvarint(data: bytes) -> tuple[int, bytes]:
    """Return the number at the start of ``data`` and what follows."""
    number, shift = 0, 0
    for at, byte in enumerate(data):
        number += byte % 128 << shift
        shift += 7
        if byte < 128:
            return number, data[at + 1 :]
    raise ValueError(data)


def words(numbers: Sequence[int]) -> bytes:
    """Return eight bytes a number."""
    return b"".join((number % WRAP).to_bytes(8) for number in numbers)


def pack(numbers: Sequence[int]) -> bytes:
    """Return simple8b: each word holds as many numbers as fit all."""
    out = []
    rest = list(numbers)
    while rest:
        for selector, (count, bits) in enumerate(SELECTORS):
            part = rest[:count]
            fits = all(number == 1 for number in part) if bits == 0 else max(part) < 2**bits
            if len(part) == count and fits:
                packed = sum(number << (bits * at) for at, number in enumerate(part) if bits)
                out.append(selector << 60 | packed)
                rest = rest[count:]
                break
    return words(out)


def unpack(data: bytes) -> list[int]:
    """Undo ``pack``."""
    out = []
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at : at + 8])
        count, bits = SELECTORS[word >> 60]
        out += [word >> (bits * number) & (2**bits - 1) if bits else 1 for number in range(count)]
    return out


def encode_times(times: Sequence[int], encoding: str, scale: int = 0) -> bytes:
    """Return timestamps as "raw", "packed" or "run"; deltas must be multiples of 10**scale."""
    deltas = [(later - earlier) % WRAP for earlier, later in pairwise(times)]
    if encoding == "raw":
        return bytes([0]) + words([times[0], *deltas])
    scaled = [delta // 10**scale for delta in deltas]
    if encoding == "packed":
        return bytes([0x10 + scale]) + words(times[:1]) + pack(scaled)
    return bytes([0x20 + scale]) + words(times[:1]) + uvarint(scaled[0]) + uvarint(len(times))


def encode_integers(values: Sequence[int], encoding: str) -> bytes:
    """Return integers as "raw", "packed" or "run"."""
    deltas = [zigzag(signed(later - earlier)) for earlier, later in zip([0, *values], values, strict=False)]
    if encoding == "raw":
        return bytes([0]) + words(deltas)
    if encoding == "packed":
        return bytes([0x10]) + words(deltas[:1]) + pack(deltas[1:])
    return bytes([0x20]) + words(deltas[:1]) + uvarint(deltas[1]) + uvarint(len(values) - 1)


def encode_floats(values: Sequence[int], keep_window: bool = True) -> bytes:
    """Return the bits of doubles as Gorilla; without ``keep_window`` every change sets its window anew."""
    out = f"{values[0] if values else NAN:064b}"
    window = None
    for before, value in zip(values, [*values[1:], NAN], strict=True):
        change = f"{before ^ value:064b}"
        leading, trailing = min(31, len(change) - len(change.lstrip("0"))), len(change) - len(change.rstrip("0"))
        if before == value:
            out += "0"
            continue
        if keep_window and window and leading >= window[0] and trailing >= window[1]:
            out += "10"
        else:
            window = leading, trailing
            out += f"11{leading:05b}{(64 - leading - trailing) % 64:06b}"
        out += change[window[0] : 64 - window[1]]
    out += "0" * (-len(out) % 8)
    return bytes([0x10]) + bytes(int(out[at : at + 8], 2) for at in range(0, len(out), 8))


def encode_booleans(values: Sequence[bool]) -> bytes:
    """Return one bit a value."""
    bits = "".join("01"[value] for value in values) + "0" * (-len(values) % 8)
    return bytes([0x10]) + uvarint(len(values)) + bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def encode_strings(values: Sequence[bytes]) -> bytes:
    """Return strings, each after its length, compressed by snappy."""
    plain = b"".join(uvarint(len(value)) + value for value in values)
    return bytes([0x10]) + pa.compress(plain, codec="snappy", asbytes=True)


@dataclass(frozen=True)
class Block:
    """A block of a file: times in the index, and all its bytes."""

    first: int
    last: int
    data: bytes


def block(kind: str, times: Sequence[int], encoded_times: bytes, encoded_values: bytes) -> Block:
    """Return a block with its checksum."""
    body = bytes([TYPES[kind]]) + uvarint(len(encoded_times)) + encoded_times + encoded_values
    return Block(times[0], times[-1], zlib.crc32(body).to_bytes(4) + body)


def plain_block(kind: str, times: Sequence[int], values: Sequence[Any]) -> Block:
    """Return a block in encodings that hold anything; values as ``decode_values`` returns them."""
    encoders = {
        "float": encode_floats,
        "integer": lambda numbers: encode_integers(numbers, "raw"),
        "unsigned": lambda numbers: encode_integers([signed(number) for number in numbers], "raw"),
        "boolean": encode_booleans,
        "string": encode_strings,
    }
    return block(kind, times, encode_times(times, "raw"), encoders[kind](values))


def build_file(keys: Mapping[bytes, tuple[str, Sequence[Block]]]) -> bytes:
    """Return a whole file of the blocks of each key."""
    out = bytearray(b"\x16\xd1\x16\xd1\x01")
    index = b""
    for key, (kind, blocks) in sorted(keys.items()):
        index += struct.pack(">H", len(key)) + key + struct.pack(">BH", TYPES[kind], len(blocks))
        for entry in blocks:
            index += struct.pack(">qqqI", entry.first, entry.last, len(out), len(entry.data))
            out += entry.data
    return bytes(out) + index + struct.pack(">Q", len(out))


def decode_file(data: bytes) -> Iterator[tuple[bytes, str, list[int], list[Any]]]:
    """Yield key, type, times and values of each block; floats as bits, strings as bytes."""
    names = {number: name for name, number in TYPES.items()}
    (at,) = struct.unpack(">Q", data[-8:])
    while at < len(data) - 8:
        (length,) = struct.unpack_from(">H", data, at)
        key = data[at + 2 : at + 2 + length]
        kind, blocks = struct.unpack_from(">BH", data, at + 2 + length)
        at += 5 + length
        for _ in range(blocks):
            first, last, offset, size = struct.unpack_from(">qqqI", data, at)
            at += 28
            entry = data[offset : offset + size]
            assert zlib.crc32(entry[4:]).to_bytes(4) == entry[:4]
            assert entry[4] == kind
            length, rest = read_uvarint(entry[5:])
            times = decode_times(rest[:length])
            assert (times[0], times[-1]) == (first, last)
            yield key, names[kind], times, decode_values(names[kind], rest[length:])


def decode_times(data: bytes) -> list[int]:
    """Return timestamps."""
    scale = 10 ** (data[0] % 16)
    first = int.from_bytes(data[1:9])
    if data[0] >> 4 == 0:
        deltas = [int.from_bytes(data[at : at + 8]) for at in range(9, len(data), 8)]
    elif data[0] >> 4 == 1:
        deltas = [delta * scale for delta in unpack(data[9:])]
    else:
        delta, rest = read_uvarint(data[9:])
        deltas = [delta * scale] * (read_uvarint(rest)[0] - 1)
    times = [first]
    for delta in deltas:
        times.append(times[-1] + delta)
    return [signed(time) for time in times]


def decode_values(kind: str, data: bytes) -> list[Any]:
    """Return values: integers and unsigned as they are, floats as bits, strings as bytes."""
    if kind == "float":
        return decode_floats(data)
    if kind == "boolean":
        count, rest = read_uvarint(data[1:])
        return [digit == "1" for byte in rest for digit in f"{byte:08b}"][:count]
    if kind == "string":
        length, _ = read_uvarint(data[1:])
        rest = pa.decompress(data[1:], length, codec="snappy", asbytes=True)
        texts = []
        while rest:
            length, rest = read_uvarint(rest)
            texts.append(rest[:length])
            rest = rest[length:]
        return texts
    first = int.from_bytes(data[1:9])
    if data[0] >> 4 == 0:
        deltas = [int.from_bytes(data[at : at + 8]) for at in range(9, len(data), 8)]
    elif data[0] >> 4 == 1:
        deltas = unpack(data[9:])
    else:
        delta, rest = read_uvarint(data[9:])
        deltas = [delta] * read_uvarint(rest)[0]
    values = [unzigzag(first)]
    for delta in deltas:
        values.append(values[-1] + unzigzag(delta))
    return [signed(value) if kind == "integer" else value % WRAP for value in values]


def decode_floats(data: bytes) -> list[int]:
    """Return the bits of doubles."""
    bits = "".join(f"{byte:08b}" for byte in data[9:])
    value = int.from_bytes(data[1:9])
    values = []
    window = 0, 64
    while value != NAN:
        values.append(value)
        if bits[0] == "0":
            bits = bits[1:]
            continue
        if bits[1] == "0":
            bits = bits[2:]
        else:
            window = int(bits[2:7], 2), int(bits[7:13], 2) or 64
            bits = bits[13:]
        leading, length = window
        value ^= int(bits[:length], 2) << (64 - leading - length)
        bits = bits[length:]
    return values
