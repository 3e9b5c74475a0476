"""What the decoder takes, real servers store as it says; what it refuses, they refuse; but for what is listed."""

from __future__ import annotations

import json
import struct
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from loader.encoding.escaping import MEASUREMENT, TAG_KEY
from tests.decoded import decode
from tests.encoding.line_protocol.test_decode import BAD, LINES
from tests.reference import Point, escaped
from tools.influxd import RunningServer

FLOATS = (
    "1",
    "1.",
    ".5",
    "-.5",
    "-1e5",
    "1E+2",
    "1.e2",
    "1e-400",
    "-0",
    "0e999",
    "007",
    "1e23",
    "0.1000000000000000055",
)
GOOD = (
    *LINES[:2],
    'm,t=a v=-1.5e-7,b=True,c=f,s="" 17  ',
    'm,a=b,c=d v=0.12345678901234567890,w="x\ny"  1',
    *(f"m v={form} 1" for form in FLOATS),
    *(f"m v={form} 1" for form in ("-9223372036854775808i", "00000000000000000000000000000007i", "-0i")),
    *(f"m v={form},w=1 1" for form in ("t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE")),
    *(f"m v={form} 1" for form in ('""', r'"\"\\\n\ \,="', '"é\t"', '"a\\\nb"', '"# m v=1"')),
    "m v=1 \t\0 -5",
    " \t\0m v=1 1",
    "m \t\0v=1 1",
    "m,b=1,a=2 v=1 1",
    "m,t=a,u=b v=1,v=2 1",
    r"m\,\ x v=1 1",
    r"m\x v=1 1",
    "m=x v=1 1",
    'm"x v=1 1',
    r"m,t\,\ \=\x=a v=1 1",
    r"m,t=\,\ \=\x v=1 1",
    r"m,t=\\,x v=1 1",
    r"m,t=\\ x v=1 1",
    r"m,t=a\\x v=1 1",
    r"m k\\x=1 1",
    "m,#=a v=1 1",
    "m,a\0=a v=1 1",
    "# m v=1 1",
    'm,t"=a"b v=1 1',
    r"m k\,\ \=\x=1 1",
    'm "k"=1,l"=2 1',
    r"m k\"x=1 1",
    "m v=1 9223372036854775805",
    "m v=1 -9223372036854775806",
    "m v=1 0000000000000000000000000001",
    "m,t=é v=1 1",
    "m,t=a\rb v=1 1",
)
BOTH, FIRST = ("v1", "v2"), ("v1",)
TAKEN = {
    'm v="a"b 1': BOTH,
    'm v="a""b" 1': BOTH,
    "m v=1": BOTH,
    "m v=1  ": BOTH,
    "m v=1 9223372036854775806": BOTH,
    r"m\\,x v=1 1": BOTH,
    r"m a\\=1,b=2 1": BOTH,
    "m,t=a\\\nb v=1 1": BOTH,
    "m\\\n v=1 1": BOTH,
    "m k\\\nx=1 1": BOTH,
    "m k=1,\tl=1 1": BOTH,
    "m k=1,\0l=1 1": BOTH,
    "m,\0=a v=1 1": FIRST,
    "m a=1,time=1 1": FIRST,
    "m,_field=a v=1 1": FIRST,
    "m,_measurement=a v=1 1": FIRST,
}
"""What servers take that the decoder refuses: a second time would be another one, a name does not come back as it was,
no query finds the time, or it says something else than it seems to."""
REFUSED = {
    "m v=+1 1": BOTH,
    "m v=+1i 1": BOTH,
    "m v=1 1\r\n": BOTH,
    "m v=1i 1\r": BOTH,
    "\r\n": BOTH,
    "m v=1u 1": FIRST,
}
"""What the decoder takes that servers refuse: it is clear what is meant. InfluxDB 1.8 has no unsigned integers."""
LOST = ("m,t==a v=1 1", r"m\=x v=1 1", r"m\"x v=1 1")
"""What servers take and do not find again: they look for another spelling, which the encoder writes."""


def write(server: RunningServer, bucket: str, line: bytes) -> bool:
    """Tell whether ``server`` takes ``line``."""
    parameters = urlencode({"org": server.org, "bucket": bucket, "precision": "ns"})
    headers = {"Authorization": f"Token {server.token}"}
    try:
        with urlopen(Request(f"{server.url}/api/v2/write?{parameters}", line, headers)):
            return True
    except HTTPError as error:
        error.read()
        if error.code not in (400, 422):
            raise
        return False


def stored(server: RunningServer, bucket: str) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """Return measurement, tags and fields of all points; numbers as doubles."""
    parameters = urlencode({"db": bucket, "epoch": "ns", "q": "SELECT * FROM /[^@]*/ GROUP BY *"})
    request = Request(f"{server.url}/query?{parameters}", headers={"Authorization": f"Token {server.token}"})
    with urlopen(request) as reply:
        result = json.load(reply, parse_int=str, parse_float=str)["results"][0]
    found = []
    for series in result.get("series", []):
        tags = {key: value for key, value in series.get("tags", {}).items() if value}
        for values in series["values"]:
            row = dict(zip(series["columns"], values, strict=True))
            found.append((series["name"], tags, {key: value for key, value in row.items() if value is not None}))
    return found


def same(point: Point, found: tuple[str, dict[str, str], dict[str, Any]]) -> bool:
    """Tell whether a stored point is ``point``, doubles bit for bit."""
    measurement, tags, row = found
    identity = (point.measurement, point.tags, str(point.time), point.fields.keys() | {"time"})
    if (measurement, tags, row["time"], row.keys()) != identity:
        return False
    doubles = {key: struct.pack("<d", float(row[key])) for key, (kind, _) in point.fields.items() if kind == "float"}
    return all(
        doubles.get(key, row[key]) == (value if kind in ("float", "boolean", "string") else str(value))
        for key, (kind, value) in point.fields.items()
    )


@pytest.mark.parametrize("line", GOOD)
def test_good_lines_are_stored_as_they_are_decoded(influx: RunningServer, line: str) -> None:
    """A server takes the line, and gives the point back that the decoder reads."""
    bucket = influx.new_bucket()
    points, bad = decode(line.encode())
    assert bad == []
    assert write(influx, bucket, line.encode())
    found = stored(influx, bucket)
    assert len(found) == len(points)
    assert all(same(*pair) for pair in zip(points, found, strict=True))


def test_bad_lines_are_refused_but_for_some(influx: RunningServer) -> None:
    """Servers refuse what the decoder refuses, but for what is listed."""
    for line in dict.fromkeys([*(text for text, _, _ in BAD), *TAKEN]):
        points, bad = decode(line.encode())
        assert (points, len(bad)) == ([], 1)
        taken = influx.kind in TAKEN.get(line, ())
        assert write(influx, influx.new_bucket(), line.encode()) == taken, line


def test_what_servers_refuse_of_good_lines(influx: RunningServer) -> None:
    """What the decoder takes beyond servers is listed."""
    bucket = influx.new_bucket()
    for line, servers in REFUSED.items():
        assert decode(line.encode())[1] == []
        assert write(influx, bucket, line.encode()) != (influx.kind in servers), line


@pytest.mark.parametrize("line", LOST)
def test_lines_that_servers_lose(influx: RunningServer, line: str) -> None:
    """The point is found when the encoder's spelling is written, and only then."""
    bucket = influx.new_bucket()
    (point,), _ = decode(line.encode())
    assert write(influx, bucket, line.encode())
    assert stored(influx, bucket) == []
    tags = "".join(f",{TAG_KEY.escape(key)}={escaped(value, ',= ')}" for key, value in point.tags.items())
    assert write(influx, bucket, f"{MEASUREMENT.escape(point.measurement)}{tags} v=1 1".encode())
    (found,) = stored(influx, bucket)
    assert same(point, found)
