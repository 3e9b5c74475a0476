"""The kernel that takes line protocol apart: what is where in each line.

Names and values end where InfluxDB ends them. Outside of strings a backslash takes the special meaning of the byte
behind it; a double quote begins a string at the place of a field's value only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.compiled import compiled
from loader.encoding.escaping import KEY_BYTES
from loader.encoding.line_protocol import faults
from loader.encoding.line_protocol.line_ends import (
    BACKSLASH,
    EQUALS,
    HASH,
    QUOTE,
    find_line_end,
    find_series_end,
    skip_blanks,
)
from loader.encoding.line_protocol.lines import ByteWords
from loader.encoding.line_protocol.names import FIELD, FULL, MEASUREMENT, SERIES, Names, find_or_add, forget, is_name
from loader.encoding.line_protocol.values import (
    COMMA,
    MINUS,
    NEWLINE,
    NINE,
    NO_BOOLEAN,
    PLUS,
    POINT,
    RETURN,
    SPACE,
    START,
    STRING,
    TOO_LARGE,
    ZERO,
    Values,
    at_end,
    read_boolean,
    read_digits,
    read_number,
)

_T, _T_LARGE, _F, _F_LARGE = ord("t"), ord("T"), ord("f"), ord("F")
_SEPARATOR_BYTES = 4
"""Between series and field in a key of storage."""
_MOST_DIGITS, _MOST_SIGNED = 19, np.uint64(2**63 - 1)
_NO_ROOM = -1


class Lines(NamedTuple):
    """The lines that are neither blank nor comments, one item each.

    Where they begin and end, the ``numbers`` they have in the file, the names of their series and measurements, their
    ``times`` in the unit of the text, how many values there are up to their end; their fault, and where it is (without one, where the
    series begins).
    About 65 bytes a line.
    """

    starts: Integers
    stops: Integers
    numbers: Integers
    series: Integers
    times: Integers
    values: Integers
    faults: Bytes
    places: Integers


class Bounds(NamedTuple):
    """How many bytes of a block are lines, and the first and last time that a line may have, in its unit."""

    size: int
    earliest: int
    latest: int


AT, LINES, VALUES, NUMBER, LAST = 0, 1, 2, 3, 4
"""Items of the progress of a scan: the byte, lines and values so far, the number of the next line, the last series."""


@compiled
def scan_lines(
    data: Bytes, words: ByteWords, bounds: Bounds, names: Names, lines: Lines, values: Values, progress: Integers
) -> bool:
    """Take the lines of ``data`` apart from ``progress`` on; return whether it was all, or ``names`` is full.

    Behind the lines stands a newline more, and room for words. ``lines`` has room for as many lines as there are
    newlines, ``values`` for one in four bytes.
    """
    while progress[AT] < bounds.size:
        start = progress[AT]
        stop = skip_blanks(data, start, bounds.size)
        newlines = 1
        if data[stop] == HASH:
            stop = find_line_end(data, stop, bounds.size)
        elif not at_end(data, stop):
            known, line = names.count[0], progress[LINES]
            fault, place, stop = _scan_line(data, words, bounds, stop, names, lines, values, progress)
            if fault != faults.FINE:
                forget(names, known)
                if fault == _NO_ROOM:
                    return False
                stop = find_line_end(data, start, bounds.size)
            lines.starts[line] = start
            lines.stops[line] = stop
            lines.numbers[line] = progress[NUMBER]
            lines.values[line] = progress[VALUES]
            lines.faults[line] = fault
            lines.places[line] = place
            progress[LINES] = line + 1
            for at in range(start, stop):
                newlines += data[at] == NEWLINE
        if data[stop] == RETURN:
            stop += 1
        progress[AT] = stop + 1
        progress[NUMBER] += newlines
    return True


@compiled
def _scan_line(
    data: Bytes,
    words: ByteWords,
    bounds: Bounds,
    start: int,
    names: Names,
    lines: Lines,
    values: Values,
    progress: Integers,
) -> tuple[int, int, int]:
    """Take the line that begins at ``start`` apart; return its fault, where that is, and where the line ends."""
    size = bounds.size
    if data[start] == COMMA:
        return faults.NO_MEASUREMENT, start, start
    series, at = _find_series(data, words, size, start, names, names.followers[progress[LAST]])
    if series == FULL:
        return _NO_ROOM, start, start
    length = at - start
    at = skip_blanks(data, at, size)
    if at_end(data, at):
        return faults.NO_FIELDS, at, at
    names.followers[progress[LAST]] = series
    former = names.measurements[series]
    owner = FIELD + former
    item = progress[VALUES]
    while True:
        first = at
        field = names.followers[former]
        if is_name(names, field, owner, words, first, size - first):
            at = first + names.bounds[field + 1] - names.bounds[field]
        if at == first or data[at] != EQUALS:
            at = _find_key_end(data, first, size)
            if at == first:
                return faults.NO_KEY, first, first
            if data[at] != EQUALS:
                return faults.NO_EQUALS, first, first
            if data[at - 1] == BACKSLASH:
                return faults.BACKSLASH, at - 1, at
            field = find_or_add(names, owner, words, first, at)
            if field == FULL:
                return _NO_ROOM, start, start
            names.followers[former] = field
        if length + _SEPARATOR_BYTES + at - first > KEY_BYTES:
            return faults.LONG_KEY, first, first
        former = field
        values.fields[item] = field
        values.starts[item] = first
        kind, at = _scan_value(data, words, size, at + 1, values, item)
        if kind <= 0:
            return -kind, at, at
        values.kinds[item] = kind
        item += 1
        if data[at] == SPACE:
            break
        at += 1
    at = skip_blanks(data, at, size)
    if at_end(data, at):
        return faults.NO_TIME, at, at
    fault, time, stop = _scan_time(data, bounds, at)
    if fault == faults.FINE:
        lines.series[progress[LINES]] = series
        lines.times[progress[LINES]] = time
        progress[VALUES] = item
        progress[LAST] = series
        return fault, start, stop
    return fault, stop if fault == faults.BEHIND_TIME else at, stop


@compiled
def _find_series(data: Bytes, words: ByteWords, size: int, start: int, names: Names, guess: int) -> tuple[int, int]:
    """Return the name of the series at ``start``, FULL without room, and where it ends.

    A line without a space behind its series has any series: where it ends, the line ends.
    """
    if is_name(names, guess, SERIES, words, start, size - start):
        stop = start + names.bounds[guess + 1] - names.bounds[guess]
        if data[stop] == SPACE:
            return guess, stop
    stop = find_series_end(data, start, size)
    if data[stop] != SPACE:
        return 0, stop if data[stop - 1] != RETURN else stop - 1
    known = names.count[0]
    series = find_or_add(names, SERIES, words, start, stop)
    if series == known:
        at = start
        while at < stop and (data[at] != COMMA or data[at - 1] == BACKSLASH):
            at += 1
        measurement = find_or_add(names, MEASUREMENT, words, start, at)
        if measurement == FULL:
            return FULL, stop
        names.measurements[series] = measurement
    return series, stop


@compiled
def _find_key_end(data: Bytes, at: int, size: int) -> int:
    """Return where the key of a field at ``at`` ends: at an equals sign, comma, space, or with the line."""
    while at < size:
        byte = data[at]
        if byte == BACKSLASH:
            at += 1
        elif byte in (EQUALS, COMMA, SPACE) or at_end(data, at):
            return at
        at += 1
    return size


@compiled
def _scan_value(data: Bytes, words: ByteWords, size: int, start: int, values: Values, item: int) -> tuple[int, int]:
    """Read the value at ``start`` as ``item``; return its kind and where it ends, or its fault, negative, and where."""
    byte = data[start]
    if byte in (COMMA, SPACE) or at_end(data, start):
        return -faults.NO_VALUE, start
    if byte == QUOTE:
        at = start + 1
        while at < size and data[at] != QUOTE:
            at += 2 if data[at] == BACKSLASH else 1
        if at >= size:
            return -faults.OPEN, start
        values.bits[item] = np.uint64(start + 1) << START | np.uint64(at - start - 1)
        kind, stop, fault = STRING, at + 1, faults.BEHIND_STRING
        start = stop
    elif byte in (_T, _T_LARGE, _F, _F_LARGE):
        kind, stop = read_boolean(data, words, start, values, item)
        fault = faults.BOOLEAN
        if kind == NO_BOOLEAN:
            return -fault, start
    elif (byte >= ZERO and byte <= NINE) or byte in (MINUS, PLUS, POINT):
        kind, stop = read_number(data, start, values, item)
        fault = faults.NUMBER
        if kind <= 0:
            return -faults.RANGE if kind == TOO_LARGE else -fault, start
    else:
        return -faults.NO_VALUE_FORM, start
    if data[stop] == COMMA or data[stop] == SPACE:
        return kind, stop
    return (-faults.NO_TIME, stop) if at_end(data, stop) else (-fault, start)


@compiled
def _scan_time(data: Bytes, bounds: Bounds, start: int) -> tuple[int, int, int]:
    """Read the time at ``start``, the last part of a line; return its fault, the time, and where the line ends."""
    negative = data[start] == MINUS
    first = start + 1 if negative else start
    value, count, at = read_digits(data, first)
    if at == first or (data[at] != SPACE and not at_end(data, at)):
        return faults.TIME, 0, at
    if count > _MOST_DIGITS or value > _MOST_SIGNED:
        return faults.TIME_RANGE, 0, at
    time = -np.int64(value) if negative else np.int64(value)
    if time < bounds.earliest or time > bounds.latest:
        return faults.TIME_RANGE, 0, at
    while data[at] == SPACE:
        at += 1
    return faults.FINE if at_end(data, at) else faults.BEHIND_TIME, time, at
