"""What the decoder says of lines, as points; and the slow reference that says it of one line."""

from __future__ import annotations

import re
import struct
from typing import Any

from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.encoding.escaping import FIELD_KEY, MEASUREMENT, TAG_KEY
from loader.encoding.line_protocol.decode import BadLine, DecodedPoints, Decoder
from tests.reference import Point

_BLANK = r"[ \t\0]*"
_MEASUREMENT = r"[^,\n](?:[^, \n]|(?<=\\)[, ])*(?<!\\)"
_TAG = r"([^ ,=](?:[^ ,=\n]|(?<=\\)[ ,=])*(?<!\\))=([^ ,\n](?:[^ ,=\n]|(?<=\\)[ ,=])*(?<!\\))"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\d+i|\+?\d+u"
_VALUE = rf'{_NUMBER}|[tTfF]|[tT]rue|TRUE|[fF]alse|FALSE|"(?:[^"\\]|\\.)*"'
_FIELD = rf"((?:[^\\=, \n]|\\.)+(?<!\\))=({_VALUE})(?=[, ])"
_LINE = re.compile(
    rf"{_BLANK}({_MEASUREMENT})((?:,{_TAG})*) {_BLANK}({_FIELD}(?:,{_FIELD})*) {_BLANK}(-?\d+) *\r?",
    re.ASCII | re.DOTALL,
)
_TAGS, _FIELDS = re.compile(f",{_TAG}", re.ASCII), re.compile(_FIELD, re.ASCII | re.DOTALL)


def decode(*blocks: bytes, unit: int = 1) -> tuple[list[Point], list[BadLine]]:
    """Return the points of ``blocks`` in the order of their lines, and the bad lines."""
    decoder, points, bad = Decoder(unit), [], []
    for block in blocks:
        found, faults = decoder.decode(block)
        points += [point for piece in found for point in points_of(decoder, piece)]
        bad += faults
    return [point for _, point in sorted(points, key=lambda pair: pair[0])], bad


def points_of(decoder: Decoder, piece: DecodedPoints) -> list[tuple[int, Point]]:
    """Return the points of ``piece`` with the numbers of their lines; doubles as their bytes."""
    columns = {key: (kind_of(column), column.to_pylist()) for key, column in piece.fields.items()}
    points = []
    for row, line in enumerate(piece.lines.tolist()):
        measurement, tags = decoder.series[piece.series[row]]
        assert measurement == piece.measurement
        assert list(tags) == sorted(set(tags))
        fields = {
            key: (kind, struct.pack("<d", values[row]) if kind == "float" else values[row])
            for key, (kind, values) in columns.items()
            if values[row] is not None
        }
        points.append((line, Point(measurement, dict(tags), fields, int(piece.times[row]))))
    return points


def kind_of(column: Any) -> str:
    """Return the field type of a column."""
    kinds = {"double": "float", "int64": "integer", "uint64": "unsigned", "bool": "boolean", "string": "string"}
    return kinds[str(column.type)]


def reference(line: str) -> Point | None:
    """Read one line by regular expressions, None when it is bad."""
    parts = _LINE.fullmatch(line)
    if parts is None or parts[1].startswith("#"):
        return None
    fields: dict[str, tuple[str, Any]] = {}
    for key, value in _FIELDS.findall(parts[5] + " "):
        name, read = _plain(key, ',= "'), _value(value)
        if read is None or not FIELD_KEY.has_form(name) or fields.get(name, read)[0] != read[0]:
            return None
        fields[name] = read
    pairs = [(_plain(key, ",= "), _plain(value, ",= ")) for key, value in _TAGS.findall(parts[2])]
    measurement, time = _plain(parts[1], ',= "'), int(parts[10])
    fine = MEASUREMENT.has_form(measurement) and all(TAG_KEY.has_form(key) for key, _ in pairs)
    if not fine or len(dict(pairs)) < len(pairs) or not TIME_MIN <= time <= TIME_MAX:
        return None
    return Point(measurement, dict(pairs), fields, time)


def _plain(text: str, characters: str) -> str:
    return re.sub(rf"\\([{characters}])", r"\1", text)


def _value(text: str) -> tuple[str, Any] | None:
    if text[0] == '"':
        return "string", re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text[0] in "tTfF":
        return "boolean", text[0] in "tT"
    if text[-1] in "iu":
        number, low, high = int(text[:-1]), *((-(2**63), 2**63 - 1) if text[-1] == "i" else (0, 2**64 - 1))
        return ("integer" if text[-1] == "i" else "unsigned", number) if low <= number <= high else None
    return ("float", struct.pack("<d", float(text))) if abs(float(text)) < float("inf") else None
