"""Decodes line protocol to columns; pure: the inverse of :mod:`loader.encoding.line_protocol.encode`.

A line is a point if InfluxDB 1.8 and 2.9 accept it as one, with these exceptions:

- Accepted, since the meaning is clear: a carriage return before the newline, a plus sign before a number.
- A comment ends with its line, also when a quote or a final backslash makes InfluxDB skip the lines after it.
- Refused: a line without a time, which would get the time of its arrival; something after the closing quote of a
  string; a name that InfluxDB does not return unchanged (see :mod:`loader.encoding.escaping`); the last nanosecond of
  all, which no query reaches; text that is not UTF-8.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.dataset.schema import FieldType
from loader.encoding.arrays import Bytes, Integers
from loader.encoding.line_protocol import faults
from loader.encoding.line_protocol.columns import fix_types, gather_columns, round_floats
from loader.encoding.line_protocol.dictionary import Dictionary, SeriesList
from loader.encoding.line_protocol.scan import scan_lines
from loader.encoding.line_protocol.scanned import LINES, NUMBER, VALUES, Bounds, Lines, Values
from loader.encoding.line_protocol.texts import WORD_SIZE, byte_words
from loader.encoding.line_protocol.unescape import Flaw, Series
from loader.encoding.line_protocol.values import BOOLEAN, FLOAT, INTEGER, STRING, UNSIGNED

_TYPES = {
    FLOAT: FieldType.FLOAT,
    INTEGER: FieldType.INTEGER,
    UNSIGNED: FieldType.UNSIGNED,
    BOOLEAN: FieldType.BOOLEAN,
    STRING: FieldType.STRING,
}
_WITH_ARTICLE = {kind: f"{'an' if kind[0] in 'iu' else 'a'} {kind}" for kind in FieldType}
_MOST_BYTES = 2**31 - 1
_SHOWN = 200


@dataclass(frozen=True)
class DecodedPoints:
    """Points of one measurement, in the order of their lines.

    ``series`` are positions in the decoder's ``series``, ``times`` nanoseconds, ``lines`` the numbers of lines in the
    file, from 1. ``fields`` are by key, in the order in which the decoder first saw them: float64, int64, uint64, bool
    or string, null where a line has no such field; each field has at least one value.
    """

    measurement: str
    series: Integers
    times: Integers
    lines: Integers
    fields: Mapping[str, pa.Array]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no point: its number in the file, the byte (from 1) at which the fault is, and the reason.

    ``text`` is the line, without its end, or its first 200 bytes. A line with newlines in strings has the number of its
    first line, and ``column`` counts bytes from there.
    """

    line: int
    column: int
    reason: str
    text: bytes


@dataclass(frozen=True)
class FieldOrigin:
    """The type of a field, and the line that it is from; ``file`` is "" unless ``begin_file`` gave a name."""

    type: FieldType
    file: str
    line: int


class Decoder:
    """Decodes line protocol, block by block; series and the types of fields are those of all its blocks.

    Memory is bounded by the block: for usual lines three times its size (measured), for the shortest lines 40 times,
    and a few KiB for each value where each line has a field of its own; some hundred bytes more for each bad line.
    What stays is about 240 bytes for a series with two tags, 600 for one with ten unsorted tags, and the names once.
    """

    def __init__(self, unit: int = 1) -> None:
        """Decode lines whose times are in units of ``unit`` nanoseconds: 1, 1,000, 1,000,000 or 1,000,000,000."""
        self._dictionary = Dictionary()
        self.series: Sequence[Series] = SeriesList(self._dictionary)
        """The distinct series, by number: measurement, and tags with their values, sorted by tag."""
        self._unit = unit
        self._earliest, self._latest = -(-TIME_MIN // unit), TIME_MAX // unit
        self._file, self._next_line = "", 1
        self._types = np.zeros(0, np.uint8)
        self._origins: dict[int, FieldOrigin] = {}

    @property
    def fields(self) -> dict[tuple[str, str], FieldOrigin]:
        """The type of each field that has points, by measurement and key, and the line where it was first seen."""
        measurements = list(self._dictionary.measurements)
        return {
            (measurements[measurement], key): self._origins[field]
            for (measurement, key), field in self._dictionary.fields.items()
            if field in self._origins
        }

    def begin_file(self, name: str) -> None:
        """Count lines from 1 again; ``name`` is the file of the blocks that follow, for messages."""
        self._file, self._next_line = name, 1

    def decode(self, block: bytes) -> tuple[list[DecodedPoints], list[BadLine]]:
        """Return the points and bad lines of ``block``: whole lines (see ``find_end``), less than 2 GiB.

        The last line may lack its newline. A measurement comes once, or in pieces when it has many fields and each line
        has few of them. If a line has a field twice, the last value counts. A line is bad, too, when a field has
        another type than in the first line that had it. Raises ValueError for a larger block.
        """
        if len(block) > _MOST_BYTES:
            raise ValueError(f"a block of {len(block):,} bytes; it has less than 2 GiB")
        data = np.zeros(len(block) + 2 * WORD_SIZE, np.uint8)
        data[: len(block)] = np.frombuffer(block, np.uint8)
        data[len(block)] = ord("\n")
        known, numbered = int(self._dictionary.names.total[0]), self._dictionary.series_count
        lines, values = self._scan(data, len(block), block.count(b"\n") + 1)
        bad_names = self._dictionary.read(known)
        more = len(self._dictionary.fields) - len(self._types)
        self._types = np.append(self._types, np.zeros(more, np.uint8))
        reasons = self._mark_names(lines, values, bad_names)
        if not block.isascii():
            _mark_text(block, data, lines)
        round_floats(data, lines, values)
        meant = values._replace(fields=self._dictionary.meanings[values.fields])
        self._fix_types(lines, meant)
        points = list(self._gather(data, lines, meant))
        bad = [self._bad_line(data, lines, meant, line, reasons) for line in np.flatnonzero(lines.faults).tolist()]
        if bad_names:
            self._dictionary.forget_bad(known, numbered)
        return points, bad

    def _scan(self, data: Bytes, size: int, most_lines: int) -> tuple[Lines, Values]:
        """Scan all lines of ``data``."""
        lines, values = Lines.allocate(most_lines), Values.allocate(size // 4 + 1)
        progress = np.array([0, 0, 0, self._next_line, 0], np.int64)
        bounds = Bounds(size, self._earliest, self._latest)
        while not scan_lines(data, byte_words(data), bounds, self._dictionary.names, lines, values, progress):
            self._dictionary.enlarge()
        self._next_line = int(progress[NUMBER])
        return lines.first(int(progress[LINES])), values.first(int(progress[VALUES]))

    def _mark_names(self, lines: Lines, values: Values, bad: Mapping[int, Flaw]) -> dict[int, str]:
        """Mark the lines that have bad names with a fault; return the reasons by line."""
        reasons: dict[int, str] = {}
        if not bad:
            return reasons

        def mark(line: int, place: int, name: int) -> None:
            lines.faults[line], lines.places[line] = faults.NAME, place + bad[name].offset
            reasons[line] = bad[name].reason

        fine = lines.faults == faults.FINE
        for line in np.flatnonzero(fine)[self._dictionary.meanings[lines.series[fine]] < 0].tolist():
            mark(line, int(lines.places[line]), int(lines.series[line]))
        for item in np.flatnonzero(self._dictionary.meanings[values.fields] < 0).tolist():
            line = int(np.searchsorted(lines.values, item, side="right"))
            if lines.faults[line] == faults.FINE:
                mark(line, int(values.starts[item]), int(values.fields[item]))
        return reasons

    def _fix_types(self, lines: Lines, values: Values) -> None:
        """Check the types of fields, and remember those of new fields."""
        origins = np.full(len(self._types), -1, np.int64)
        fix_types(lines, values, self._types, origins)
        for field in np.flatnonzero(origins >= 0).tolist():
            number = int(lines.numbers[origins[field]])
            self._origins[field] = FieldOrigin(_TYPES[int(self._types[field])], self._file, number)

    def _gather(self, data: Bytes, lines: Lines, values: Values) -> Iterator[DecodedPoints]:
        """Yield the points of the lines without a fault, one measurement after another."""
        rows = np.flatnonzero(lines.faults == faults.FINE)
        measurements = self._dictionary.meanings[self._dictionary.names.measurements[lines.series[rows]]]
        order = np.argsort(measurements, kind="stable")
        ends = np.flatnonzero(np.diff(measurements[order])) + 1
        names, keys = list(self._dictionary.measurements), [key for _, key in self._dictionary.fields]
        scratch = np.full(len(self._types), -1, np.int64)
        for part in np.split(order, ends) if len(order) else ():
            for columns in gather_columns(data, lines, values, rows[part], self._types, scratch):
                yield DecodedPoints(
                    names[measurements[part[0]]],
                    self._dictionary.meanings[lines.series[columns.rows]],
                    lines.times[columns.rows] * self._unit,
                    lines.numbers[columns.rows],
                    dict(zip((keys[field] for field in columns.fields), columns.values, strict=True)),
                )

    def _bad_line(self, data: Bytes, lines: Lines, values: Values, line: int, reasons: Mapping[int, str]) -> BadLine:
        start, stop, place = int(lines.starts[line]), int(lines.stops[line]), int(lines.places[line])
        if line in reasons:
            reason = reasons[line]
        elif lines.faults[line] == faults.TYPE:
            reason = self._type_words(lines, values, line)
        else:
            reason = faults.REASONS[int(lines.faults[line])]
        text = data[start : min(stop, start + _SHOWN)].tobytes().removesuffix(b"\r")
        return BadLine(int(lines.numbers[line]), place - start + 1, reason, text)

    def _type_words(self, lines: Lines, values: Values, line: int) -> str:
        """Say which type a field has in ``line``, and which in its first line or earlier in ``line``."""
        item = int(values.starts.searchsorted(lines.places[line]))
        field, here = int(values.fields[item]), int(values.kinds[item])
        key = next(itertools.islice(self._dictionary.fields, field, None))[1]
        first = int(lines.values[line - 1]) if line else 0
        for former in range(first, item):
            if values.fields[former] == field and values.kinds[former] != here:
                there = int(values.kinds[former])
                return f"field {key!r} is {_WITH_ARTICLE[_TYPES[there]]} and {_WITH_ARTICLE[_TYPES[here]]} in one line"
        origin = self._origins[field]
        where = f"line {origin.line:,}" if origin.file == self._file else f"line {origin.line:,} of {origin.file}"
        return f"field {key!r} is {_WITH_ARTICLE[_TYPES[here]]} here and {_WITH_ARTICLE[origin.type]} in {where}"


def _mark_text(block: bytes, data: Bytes, lines: Lines) -> None:
    """Mark the lines that are not UTF-8 with a fault."""
    whole = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, len(block)], np.int32)), pa.py_buffer(block))
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        for line in np.flatnonzero(lines.faults == faults.FINE).tolist():
            try:
                data[lines.starts[line] : lines.stops[line]].tobytes().decode()
            except UnicodeDecodeError as error:
                lines.faults[line], lines.places[line] = faults.TEXT, lines.starts[line] + error.start
