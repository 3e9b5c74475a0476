"""The kernel that scans line protocol: it finds the parts of each line.

Names and values end where InfluxDB ends them. Outside of strings a backslash removes the special meaning of the byte
after it; a double quote begins a string only where the value of a field begins.
"""

from __future__ import annotations

import numpy as np

from loader.encoding.arrays import Bytes, Integers
from loader.encoding.compiled import allocation_free, inlined
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
from loader.encoding.line_protocol.names import (
    FIELD,
    FULL,
    MEASUREMENT_NAME,
    SERIES,
    Names,
    find_or_add,
    forget,
    is_name,
)
from loader.encoding.line_protocol.scanned import AT, LAST, LINES, NUMBER, VALUES, Bounds, Lines, Values
from loader.encoding.line_protocol.texts import ByteWords
from loader.encoding.line_protocol.values import (
    COMMA,
    MINUS,
    MOST_DIGITS,
    MOST_SIGNED,
    NEWLINE,
    NINE,
    NO_NUMBER,
    OPEN_STRING,
    PLUS,
    POINT,
    RETURN,
    SPACE,
    START,
    STRING,
    TOO_LARGE,
    ZERO,
    at_end,
    read_boolean,
    read_digits,
    read_number,
)

_BOOLEANS = (ord("t"), ord("T"), ord("f"), ord("F"))
_SEPARATOR_BYTES = 4
"""Bytes between series and field in a storage key."""


@allocation_free
def scan_lines(
    data: Bytes, words: ByteWords, bounds: Bounds, names: Names, lines: Lines, values: Values, progress: Integers
) -> bool:
    """Scan the lines of ``data`` from ``progress`` on; return True at the end, False when ``names`` is full.

    After the lines there is one more newline, and room for words. ``lines`` has room for as many lines as there are
    newlines, ``values`` for one in four bytes.
    """
    while progress[AT] < bounds.size:
        start = progress[AT]
        stop = skip_blanks(data, start, bounds.size)
        newlines = 1
        if data[stop] == HASH:
            stop = find_line_end(data, stop, bounds.size)
        elif not at_end(data, stop):
            known, line = names.total[0], progress[LINES]
            fault, place, stop = _scan_line(data, words, bounds, stop, names, lines, values, progress)
            if fault != faults.FINE:
                forget(names, known)
                if fault == faults.NO_ROOM:
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


@inlined
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
    """Scan the line that begins at ``start``; return its fault, the place of the fault, and where the line ends."""
    size, line, item = bounds.size, progress[LINES], progress[VALUES]
    series, at = _find_series(data, words, size, start, names, names.followers[progress[LAST]])
    if series < 0:
        return -series, at, at
    names.followers[progress[LAST]] = series
    lines.series[line] = series
    length = at - start + _SEPARATOR_BYTES
    former = names.measurements[series]
    owner = FIELD + former
    at = skip_blanks(data, at, size)
    if at_end(data, at):
        return faults.NO_FIELDS, at, at
    while True:
        first = at
        field, at = _find_field(data, words, size, first, names, owner, names.followers[former])
        if field >= 0 and length + at - first > KEY_BYTES:
            field, at = -faults.LONG_KEY, first
        if field < 0:
            return -field, at, at
        names.followers[former] = field
        former = field
        values.fields[item] = field
        values.starts[item] = first
        kind, at = _scan_value(data, words, size, at + 1, values, item)
        if kind < 0:
            return -kind, at, at
        values.kinds[item] = kind
        item += 1
        if data[at] == SPACE:
            break
        at += 1
    at = skip_blanks(data, at, size)
    fault, lines.times[line], stop = _scan_time(data, bounds, at)
    if fault != faults.FINE:
        return fault, stop if fault == faults.BEHIND_TIME else at, at
    progress[VALUES] = item
    progress[LAST] = series
    return faults.FINE, start, stop


@inlined
def _find_series(data: Bytes, words: ByteWords, size: int, start: int, names: Names, guess: int) -> tuple[int, int]:
    """Return the name of the series at ``start`` and where it ends, or a negative fault and its place."""
    stop = start
    if is_name(names, guess, SERIES, words, start, size - start):
        stop += names.bounds[guess + 1] - names.bounds[guess]
        if data[stop] == SPACE:
            return guess, stop
    if data[start] == COMMA:
        return -faults.NO_MEASUREMENT, start
    stop = find_series_end(data, start, size)
    if data[stop] != SPACE:
        return -faults.NO_FIELDS, stop - (data[stop - 1] == RETURN)
    known = names.total[0]
    series = find_or_add(names, SERIES, words, start, stop)
    if series == known:
        at = start
        while at < stop and (data[at] != COMMA or data[at - 1] == BACKSLASH):
            at += 1
        names.measurements[series] = find_or_add(names, MEASUREMENT_NAME, words, start, at)
        if names.measurements[series] == FULL:
            return -faults.NO_ROOM, start
    return (series, stop) if series != FULL else (-faults.NO_ROOM, start)


@inlined
def _find_field(
    data: Bytes, words: ByteWords, size: int, first: int, names: Names, owner: int, guess: int
) -> tuple[int, int]:
    """Return the name of the field of ``owner`` whose key is at ``first``, and where it ends, or a fault and place."""
    if is_name(names, guess, owner, words, first, size - first):
        at = first + names.bounds[guess + 1] - names.bounds[guess]
        if data[at] == EQUALS:
            return guess, at
    at = _find_key_end(data, first, size)
    if at == first:
        return -faults.NO_KEY, first
    if data[at] != EQUALS:
        return -faults.NO_EQUALS, first
    if data[at - 1] == BACKSLASH:
        return -faults.BACKSLASH, at - 1
    field = find_or_add(names, owner, words, first, at)
    return (field, at) if field != FULL else (-faults.NO_ROOM, first)


@inlined
def _find_key_end(data: Bytes, at: int, size: int) -> int:
    """Return where the key of a field at ``at`` ends: at an equals sign, comma, space, or the end of the line."""
    while at < size:
        byte = data[at]
        if byte == BACKSLASH:
            at += 1
        elif byte in (EQUALS, COMMA, SPACE) or at_end(data, at):
            return at
        at += 1
    return size


@inlined
def _scan_value(data: Bytes, words: ByteWords, size: int, start: int, values: Values, item: int) -> tuple[int, int]:
    """Read the value at ``start`` as ``item``; return its kind and where it ends, or a negative fault and its place."""
    byte, place = data[start], start
    if byte == QUOTE:
        kind, stop = _scan_string(data, size, start, values, item)
        fault, place = faults.BEHIND_STRING, stop
    elif byte in _BOOLEANS:
        kind, stop = read_boolean(data, words, start, values, item)
        fault = faults.BOOLEAN
    elif (byte >= ZERO and byte <= NINE) or byte in (MINUS, PLUS, POINT):
        kind, stop = read_number(data, start, values, item)
        fault = faults.RANGE if kind == TOO_LARGE else faults.NUMBER
    else:
        kind, stop = NO_NUMBER, start
        fault = faults.NO_VALUE if byte in (COMMA, SPACE) or at_end(data, start) else faults.NO_VALUE_FORM
    if kind > 0 and (data[stop] == COMMA or data[stop] == SPACE):
        return kind, stop
    if kind > 0 and at_end(data, stop):
        return -faults.NO_TIME, stop
    return (-fault, place) if kind != OPEN_STRING else (-faults.OPEN, start)


@inlined
def _scan_string(data: Bytes, size: int, start: int, values: Values, item: int) -> tuple[int, int]:
    """Find the end of the string at ``start``; return its kind, or OPEN_STRING, and where it ends."""
    at = start + 1
    while at < size and data[at] != QUOTE:
        at += 2 if data[at] == BACKSLASH else 1
    values.bits[item] = np.uint64(start + 1) << START | np.uint64(at - start - 1)
    return STRING if at < size else OPEN_STRING, at + 1


@inlined
def _scan_time(data: Bytes, bounds: Bounds, start: int) -> tuple[int, int, int]:
    """Read the time at ``start``, the last part of a line; return its fault, the time, and where the line ends."""
    negative = data[start] == MINUS
    first = start + 1 if negative else start
    value, count, at = read_digits(data, first, np.uint64(0), 0)
    if at == first or (data[at] != SPACE and not at_end(data, at)):
        return faults.NO_TIME if at_end(data, start) else faults.TIME, 0, at
    time = int(np.int64(min(value, MOST_SIGNED)))
    time = -time if negative else time
    if count > MOST_DIGITS or value > MOST_SIGNED or time < bounds.earliest or time > bounds.latest:
        return faults.TIME_RANGE, 0, at
    while data[at] == SPACE:
        at += 1
    return faults.FINE if at_end(data, at) else faults.BEHIND_TIME, time, at
