"""Turns the values of lines into Arrow columns, one for each field; a field has the type of its first line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.encoding.arrays import Bytes, Integers, Mask, Words
from loader.encoding.compiled import allocation_free
from loader.encoding.line_protocol import faults
from loader.encoding.line_protocol.line_ends import BACKSLASH, QUOTE
from loader.encoding.line_protocol.scanned import Lines, Values
from loader.encoding.line_protocol.values import BOOLEAN, FLOAT, INTEGER, LONG_FLOAT, START, STRING

_SIZE = np.uint64(2**32 - 1)
_UNKNOWN = 0
_SPARSE, _FEW_CELLS = 16, 2**16
"""Cells for each value, and cells in all, beyond which lines are divided into pieces with fewer columns each."""


@dataclass(frozen=True)
class Columns:
    """The fields of the lines ``rows``: the numbers of the fields, and their values, null where a line has none."""

    rows: Integers
    fields: list[int]
    values: list[pa.Array]


@allocation_free
def fix_types(lines: Lines, values: Values, types: Bytes, origins: Integers) -> None:
    """Mark lines with a fault in which a field has another type than in its first line.

    ``types`` has the kind of each field. For a new field, it is set here, and ``origins`` gets the line it is from.
    A line with a fault sets no types.
    """
    first = 0
    for line in range(len(lines.starts)):
        stop = lines.values[line]
        if lines.faults[line] == faults.FINE:
            for item in range(first, stop):
                field = values.fields[item]
                if types[field] == _UNKNOWN:
                    types[field], origins[field] = values.kinds[item], line
                elif types[field] != values.kinds[item]:
                    lines.faults[line], lines.places[line] = faults.TYPE, values.starts[item]
                    _forget_types(values.fields[first:item], types, origins, line)
                    break
        first = stop


@allocation_free
def _forget_types(fields: Integers, types: Bytes, origins: Integers, line: int) -> None:
    for field in fields:
        if origins[field] == line:
            types[field], origins[field] = _UNKNOWN, -1


def round_floats(data: Bytes, lines: Lines, values: Values) -> None:
    """Read the floats that the scan left as texts, as the nearest doubles; a float beyond all doubles is a fault."""
    items = np.flatnonzero(values.kinds == LONG_FLOAT)
    if not len(items):
        return
    places = values.bits[items]
    numbers = pc.cast(_texts(data, places), pa.float64()).to_numpy()
    values.floats[items] = numbers
    values.kinds[items] = FLOAT
    for index in np.flatnonzero(np.isinf(numbers)).tolist():
        line = int(np.searchsorted(lines.values, items[index], side="right"))
        if lines.faults[line] == faults.FINE:
            lines.faults[line], lines.places[line] = faults.FLOAT_RANGE, places[index] >> START


def gather_columns(
    data: Bytes, lines: Lines, values: Values, rows: Integers, types: Bytes, columns: Integers
) -> Iterator[Columns]:
    """Yield the columns of the lines ``rows`` of one measurement, in their order, by the numbers of fields.

    ``types`` are the kinds of all fields; ``columns`` has an item for each of them, -1 before and after.
    There is one piece, unless it would have more than 16 cells for each value and 65,536 in all: then it is halved. So
    a piece takes nine bytes a cell, and at most some KiB of memory for each of its values.
    """
    pending = [rows]
    while pending:
        part = pending.pop()
        fields = np.empty(len(types), np.int64)
        count, found = _find_fields(lines.values, values.fields, part, columns, fields)
        fields = np.sort(fields[:found])
        if found * len(part) > max(_SPARSE * count, _FEW_CELLS):
            columns[fields] = -1
            half = len(part) // 2
            pending += [part[half:], part[:half]]
            continue
        columns[fields] = np.arange(found)
        cells = np.zeros((found, len(part)), np.uint64)
        present = np.zeros((found, len(part)), np.bool_)
        _put_cells(lines.values, values, part, columns, cells, present)
        columns[fields] = -1
        arrays = [
            _column(data, int(types[field]), cells[column], present[column]) for column, field in enumerate(fields)
        ]
        yield Columns(part, fields.tolist(), arrays)


@allocation_free
def _find_fields(stops: Integers, fields: Integers, rows: Integers, seen: Integers, found: Integers) -> tuple[int, int]:
    """Put the fields of ``rows`` into ``found``, each once; return how many values and fields there are."""
    values, count = 0, 0
    for row in rows:
        for item in range(stops[row - 1] if row > 0 else 0, stops[row]):
            values += 1
            if seen[fields[item]] < 0:
                seen[fields[item]] = 0
                found[count] = fields[item]
                count += 1
    return values, count


@allocation_free
def _put_cells(stops: Integers, values: Values, rows: Integers, columns: Integers, cells: Words, present: Mask) -> None:
    """Put the bits of each value into the cell of its line and field; of a repeated field, the last value stays."""
    for place in range(len(rows)):
        row = rows[place]
        for item in range(stops[row - 1] if row > 0 else 0, stops[row]):
            column = columns[values.fields[item]]
            cells[column, place] = values.bits[item]
            present[column, place] = True


def _column(data: Bytes, kind: int, cells: Words, present: Mask) -> pa.Array:
    mask = None if present.all() else ~present
    if kind == STRING:
        return _texts(data, cells, None if mask is None else present)
    if kind == BOOLEAN:
        return pa.array(cells != 0, mask=mask)
    if kind in (FLOAT, INTEGER):
        return pa.array(cells.view(np.float64 if kind == FLOAT else np.int64), mask=mask)
    return pa.array(cells, mask=mask)


def _texts(data: Bytes, places: Words, present: Mask | None = None) -> pa.StringArray:
    """Return the texts at ``places`` (bits of strings) without their escapes; null where none is ``present``."""
    ends = np.zeros(len(places) + 1, np.int32)
    text = np.empty(int((places & _SIZE).sum()), np.uint8)
    size = _copy_texts(data, places, text, ends)
    bits = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.StringArray.from_buffers(len(places), pa.py_buffer(ends), pa.py_buffer(text[:size]), bits)


@allocation_free
def _copy_texts(data: Bytes, places: Words, text: Bytes, ends: npt.NDArray[np.int32]) -> int:
    """Write texts one after another; return their size. A backslash is dropped only before a quote or backslash."""
    end = 0
    for place in range(len(places)):
        at = np.int64(places[place] >> START)
        stop = at + np.int64(places[place] & _SIZE)
        while at < stop:
            if data[at] == BACKSLASH and at + 1 < stop and data[at + 1] in (BACKSLASH, QUOTE):
                at += 1
            text[end] = data[at]
            end += 1
            at += 1
        ends[place + 1] = end
    return end
