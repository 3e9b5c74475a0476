"""Writes a storage file with every encoding of every type, and lines, to stdout: to compare ways of running kernels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import accumulate

import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema
from tests.lines import pieces
from tests.storage import ARROW, Fields, encode

POINTS = 1_003


def sample() -> bytes:
    """Return a storage file and lines."""
    squares = [number * number % 977 for number in range(POINTS)]
    times = {
        "packed": list(accumulate((1 + square for square in squares[1:]), initial=-5)),
        "scaled": list(accumulate((1_000 + 1_000 * square for square in squares[1:]), initial=7)),
        "run": list(range(0, 3 * POINTS, 3)),
        "raw": [-(2**62), *range(POINTS - 1)],
    }
    every_type = {
        "f packed": (FieldType.FLOAT, [(-1) ** square * square / 8 for square in squares]),
        "f equal": (FieldType.FLOAT, [0.1] * POINTS),
        "f far": (FieldType.FLOAT, [(-1.7e308, 5e-324, -0.0)[square % 3] for square in squares]),
        "i packed": (FieldType.INTEGER, [square << square % 50 for square in squares]),
        "i run": (FieldType.INTEGER, list(range(POINTS, 0, -1))),
        "i raw": (FieldType.INTEGER, [(-(2**63), 2**63 - 1, 0)[square % 3] for square in squares]),
        "u": (FieldType.UNSIGNED, [2**64 - 1 - square for square in squares]),
        "b": (FieldType.BOOLEAN, [square % 3 == 0 for square in squares]),
        "s": (FieldType.STRING, ["é" * square for square in squares]),
        "null": (FieldType.INTEGER, [square if square % 3 else None for square in squares]),
    }
    file = encode({f"m,t={name}": (series, every_type) for name, series in times.items()})
    numbers = {name: every_type[name] for name in ("f packed", "i run")}
    return file + lines_of(times["raw"], every_type) + lines_of(times["run"], numbers)


def lines_of(times: Sequence[int], fields: Fields) -> bytes:
    """Return ``fields`` as line protocol, of four series."""
    series = pa.array([f"{number % 4}" for number in range(POINTS)])
    columns = {name: pa.array(values, ARROW[kind]) for name, (kind, values) in fields.items()}
    schema = PointSchema("m", ("t",), tuple(Field(name, kind) for name, (kind, _) in fields.items()), "time", "ns")
    batch = pa.record_batch({"t": series, **columns, "time": pa.array(times)})
    return b"".join(piece.data for piece in pieces(batch, schema, Chunk("", 0, POINTS), 700, 10**5))


if __name__ == "__main__":
    sys.stdout.buffer.write(sample())
