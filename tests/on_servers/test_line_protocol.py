"""What the encoder writes is what real servers give back: names, tags, strings and doubles, bit for bit."""

from __future__ import annotations

import itertools
import json
import random
import struct
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pytest

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.encoding.columns import TIME_MAX, TIME_MIN
from tests.lines import lines_of
from tools.influxd import RunningServer

ADDRESS = Chunk("nasty.parquet", 0, 1)
ALPHABET = ("\\", ",", "=", " ", '"', "a", "\t", "\r", "\0", "#", "{", "é")


def write(server: RunningServer, bucket: str, batch: pa.RecordBatch, schema: PointSchema) -> None:
    """Encode and write ``batch``; anything but an acknowledgement raises."""
    parameters = urlencode({"org": server.org, "bucket": bucket, "precision": "ns"})
    request = Request(
        f"{server.url}/api/v2/write?{parameters}",
        data=lines_of(batch, schema, ADDRESS).encode(),
        headers={"Authorization": f"Token {server.token}"},
    )
    with urlopen(request) as reply:
        assert reply.status == 204


def points(server: RunningServer, bucket: str, measurement: str) -> list[dict[str, Any]]:
    """Return all points in order of time, without tags and fields that they lack; numbers are doubles."""
    # A pattern, because InfluxQL cannot quote every name that line protocol can write.
    parameters = urlencode({"db": bucket, "epoch": "ns", "q": "SELECT * FROM /[^@]*/ GROUP BY *"})
    request = Request(f"{server.url}/query?{parameters}", headers={"Authorization": f"Token {server.token}"})
    with urlopen(request) as reply:
        result = json.load(reply, parse_int=str, parse_float=str)["results"][0]
    found = []
    for series in result["series"]:
        assert series["name"] == measurement
        tags = {key: value for key, value in series["tags"].items() if value}
        for values in series["values"]:
            row = dict(zip(series["columns"], values, strict=True))
            found.append(tags | {key: value for key, value in row.items() if value is not None})
    return sorted(found, key=lambda point: int(point["time"]))


def nasty_texts() -> list[str]:
    """Return all texts of up to two characters that a parser may stumble on, and longer ones by chance."""
    generator = random.Random(1)
    short = ["".join(text) for length in (1, 2) for text in itertools.product(ALPHABET, repeat=length)]
    return short + ["".join(generator.choices(ALPHABET, k=generator.randint(3, 8))) for _ in range(500)]


def test_tags_and_strings_survive(influx: RunningServer) -> None:
    """Every tag value with a form, and every string, comes back as it was."""
    texts = nasty_texts()
    tags = [text for text in texts if not text.endswith("\\")]
    strings = [*texts, "two\nlines", "", 'a "quoted", \\ \n'] * 2
    schema = PointSchema("nasty", ("tag",), (Field("string", FieldType.STRING),), "when", "ns")
    rows = {"tag": tags, "string": strings[: len(tags)], "when": list(range(len(tags)))}
    bucket = influx.new_bucket()
    write(influx, bucket, pa.record_batch(rows), schema)
    expected = [
        {"tag": tag, "string": string, "time": str(time)} for tag, string, time in zip(*rows.values(), strict=True)
    ]
    assert points(influx, bucket, "nasty") == expected


@pytest.mark.parametrize(
    "name", ["a,b", "a b", "a=b", 'a"b', "a\\b", "{a}", "{}", "é", "_", "a#", "a\tb", "a\0", "'", ",", " =", "\r"]
)
def test_names_survive(influx: RunningServer, name: str) -> None:
    """Every measurement, tag key and field key with a form comes back as it was."""
    schema = PointSchema(name, (f"{name}1",), (Field(f"{name}2", FieldType.STRING),), "when", "ns")
    bucket = influx.new_bucket()
    batch = pa.record_batch({f"{name}1": ["x", "", "y"], f"{name}2": ["p", "q", "r"], "when": [1, 2, 3]})
    write(influx, bucket, batch, schema)
    assert points(influx, bucket, name) == [
        {f"{name}1": "x", f"{name}2": "p", "time": "1"},
        {f"{name}2": "q", "time": "2"},
        {f"{name}1": "y", f"{name}2": "r", "time": "3"},
    ]


def test_doubles_survive_bit_for_bit(influx: RunningServer) -> None:
    """Doubles of every size, subnormal ones and both zeros come back with the same 64 bits."""
    bits = np.random.default_rng(1).integers(0, 2**64, 20_000, np.uint64)
    chosen = np.array([0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1 + 0.2, 1e16, 1e-5, 1e-7])
    every_power = np.float64(10.0) ** np.arange(-323, 309)
    values = np.concatenate([chosen, -chosen, every_power, bits.view(np.float64)])
    values = values[np.isfinite(values)]
    schema = PointSchema("doubles", ("tag",), (Field("v", FieldType.FLOAT),), "when", "ns")
    batch = pa.record_batch({"tag": ["x"] * len(values), "v": values, "when": np.arange(len(values))})
    bucket = influx.new_bucket()
    write(influx, bucket, batch, schema)
    found = [struct.pack("<d", float(point["v"])) for point in points(influx, bucket, "doubles")]
    assert found == [struct.pack("<d", value) for value in values]


def test_integers_booleans_and_times_survive(influx: RunningServer) -> None:
    """The largest and smallest integers and times come back, with nulls left out."""
    fields = (Field("i", FieldType.INTEGER), Field("b", FieldType.BOOLEAN))
    batch = pa.record_batch(
        {
            "tag": ["x"] * 4,
            "i": [-(2**63), 2**63 - 1, None, 0],
            "b": [True, None, False, True],
            "when": [TIME_MIN, -1, 0, TIME_MAX],
        }
    )
    bucket = influx.new_bucket()
    write(influx, bucket, batch, PointSchema("m", ("tag",), fields, "when", "ns"))
    assert points(influx, bucket, "m") == [
        {"tag": "x", "i": str(-(2**63)), "b": True, "time": str(TIME_MIN)},
        {"tag": "x", "i": str(2**63 - 1), "time": "-1"},
        {"tag": "x", "b": False, "time": "0"},
        {"tag": "x", "i": "0", "b": True, "time": str(TIME_MAX)},
    ]


def test_unsigned_integers_survive(influx_v2: RunningServer) -> None:
    """The largest unsigned integer comes back from InfluxDB 2; 1.8 has no such type."""
    schema = PointSchema("m", ("tag",), (Field("u", FieldType.UNSIGNED),), "when", "ns")
    batch = pa.record_batch([["x", "x"], pa.array([0, 2**64 - 1], pa.uint64()), [1, 2]], ["tag", "u", "when"])
    bucket = influx_v2.new_bucket()
    write(influx_v2, bucket, batch, schema)
    assert [point["u"] for point in points(influx_v2, bucket, "m")] == ["0", str(2**64 - 1)]
