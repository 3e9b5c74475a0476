"""Selects the rows of a record batch that can be points, and tells why others cannot; pure, with no input or output."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.chunk import Chunk, RejectedRow
from loader.dataset.instant import TIME_MAX, TIME_MIN
from loader.dataset.schema import FieldType, PointSchema, column_problem
from loader.encoding.arrays import Integers, Mask
from loader.encoding.columns import read_times, time_unit
from loader.encoding.escaping import KEY_BYTES, USUAL_FORM, LineForm
from loader.encoding.text_faults import Fault, as_mask, length_faults, tag_faults, taken, text_faults
from loader.errors import EncodeError

_BYTES = pa.large_binary()
_TIMES = pa.timestamp("ns", "UTC")
_SHOWN = 100
"""Most characters that are shown of a value."""
_SEPARATOR_BYTES = 4
"""Bytes that the server counts between series and field when it measures a key."""


@dataclass(frozen=True)
class SelectedRows:
    """The rows of a batch that become points, and those that cannot, both in the order of the partition.

    Rows whose values are all replaced by later rows are in neither. Tags are dictionaries. The batch begins at row
    ``start`` of the partition.
    """

    points: pa.RecordBatch
    rejected: tuple[RejectedRow, ...]
    start: int
    _positions: Integers | None

    @cached_property
    def rows(self) -> Integers:
        """The numbers of the points in the partition."""
        if self._positions is None:
            return np.arange(self.start, self.start + len(self.points))
        return self.start + self._positions

    def before(self, rows: Integers) -> Integers:
        """Return how many of the points are before each of ``rows``, numbers of rows in the partition."""
        if self._positions is None:
            return np.clip(rows - self.start, 0, len(self.points))
        return np.searchsorted(self._positions, rows - self.start)

    def within(self, mask: Mask) -> SelectedRows:
        """Return the selection restricted to ``mask``, a mask of the rows of the batch."""
        rejected = tuple(each for each in self.rejected if mask[each.row - self.start])
        return self._narrowed(mask if self._positions is None else mask[self._positions], rejected)

    def without(self, unfit: Mask, partition: str, column: str, shown: Sequence[str], reason: str) -> SelectedRows:
        """Return the selection without the points in ``unfit``, which become rejected rows."""
        rows = self.rows[unfit].tolist()
        more = (RejectedRow(partition, row, column, value, reason) for row, value in zip(rows, shown, strict=True))
        return self._narrowed(~unfit, tuple(sorted((*self.rejected, *more), key=lambda each: each.row)))

    def _narrowed(self, kept: Mask, rejected: tuple[RejectedRow, ...]) -> SelectedRows:
        """Return only the points that are ``kept``; nothing is copied when all are."""
        if kept.all():
            return replace(self, rejected=rejected)
        positions = np.flatnonzero(kept) if self._positions is None else self._positions[kept]
        return SelectedRows(self.points.filter(pa.array(kept)), rejected, self.start, positions)


def select_points(
    batch: pa.RecordBatch,
    schema: PointSchema,
    address: Chunk,
    superseded: Mask | None = None,
    steps: Integers | None = None,
    form: LineForm = USUAL_FORM,
) -> SelectedRows:
    """Divide the rows of ``batch``, at ``address``, into points and rejected rows, by the ``form`` of a server.

    ``superseded`` tells for each row and field whether a later row of the same identity replaces the value: such
    values become null; ``steps`` are the nanoseconds by which each row is moved. Nothing is copied when all rows are
    points with all their values and nothing is moved. Memory is a few bytes a row, and 300 bytes for each rejected one.
    Raises EncodeError when the columns do not fit the schema.
    """
    if schema.fields and (problem := column_problem(schema, batch.schema)):
        raise EncodeError(f"{address.partition}: {problem}", hint="give each column a field type that fits it")
    batch = _with_dictionaries(batch, schema)
    faults = list(_faults(batch, schema, form))
    if superseded is not None and not superseded.any():
        superseded = None
    if not faults and superseded is None:
        return SelectedRows(_moved(batch, schema, steps), (), address.start, None)
    rejected = np.zeros(len(batch), np.bool_)
    for fault in faults:
        rejected |= fault.rows
    kept = ~rejected
    if superseded is not None:
        batch = _without(batch, schema, superseded)
        kept &= ~_empty(batch, schema)
    found = tuple(_rejected(batch, faults, int(row), address) for row in np.flatnonzero(rejected))
    points = _moved(batch.filter(pa.array(kept)), schema, None if steps is None else steps[kept])
    return SelectedRows(points, found, address.start, np.flatnonzero(kept))


def can_be_series(batch: pa.RecordBatch, schema: PointSchema) -> bool:
    """Tell whether the tags of every row of ``batch``, which are dictionaries, can be those of points."""
    return next(_series_faults(batch, schema, USUAL_FORM), None) is None


def _with_dictionaries(batch: pa.RecordBatch, schema: PointSchema) -> pa.RecordBatch:
    """Return ``batch`` with every tag as a dictionary."""
    for tag in schema.tags:
        column = batch.column(tag)
        if not pa.types.is_dictionary(column.type):
            batch = _replaced(batch, tag, column.cast(pa.large_string()).dictionary_encode())
    return batch


def _without(batch: pa.RecordBatch, schema: PointSchema, superseded: Mask) -> pa.RecordBatch:
    """Return ``batch`` with null for the ``superseded`` values."""
    for number in np.flatnonzero(superseded.any(axis=0)).tolist():
        name = schema.fields[number].column
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        null = pa.scalar(None, column.type)
        batch = _replaced(batch, name, pc.if_else(pa.array(superseded[:, number]), null, column))
    return batch


def _moved(points: pa.RecordBatch, schema: PointSchema, steps: Integers | None) -> pa.RecordBatch:
    """Return ``points`` with their times moved by ``steps``."""
    if steps is None or not steps.any():
        return points
    moved = read_times(points, schema).to_numpy() + steps
    return _replaced(points, schema.time, pa.array(moved, pa.int64()).cast(_TIMES))


def _replaced(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), name, column)


def _faults(batch: pa.RecordBatch, schema: PointSchema, form: LineForm) -> Iterator[Fault]:
    yield from _time_faults(batch.column(schema.time), schema)
    yield from _series_faults(batch, schema, form)
    for field in schema.fields:
        column = batch.column(field.column)
        if field.type is FieldType.FLOAT:
            # A sum is not finite if any term is not; a sum of finite terms seldom overflows.
            if not math.isfinite(pc.sum(column, min_count=0).as_py()):
                odd = as_mask(pc.invert(pc.is_finite(column)))
                if odd.any():
                    yield Fault(field.column, odd, "InfluxDB holds finite numbers only")
        elif field.type is FieldType.STRING:
            yield from text_faults(column, field.column)
            if form.longest_string is not None:
                yield from length_faults(column, field.column, form.longest_string)
    if schema.fields and all(batch.column(field.column).null_count for field in schema.fields):
        empty = _empty(batch, schema)
        if empty.any():
            names = ", ".join(field.column for field in schema.fields)
            yield Fault(names, empty, "a point needs a value of at least one field", "null")


def _series_faults(batch: pa.RecordBatch, schema: PointSchema, form: LineForm) -> Iterator[Fault]:
    for tag in schema.tags:
        yield from tag_faults(batch.column(tag), tag, form)
    yield from _key_faults(batch, schema, form)


def _time_faults(column: pa.Array, schema: PointSchema) -> Iterator[Fault]:
    unit = time_unit(column.type, schema)
    times = column.cast(pa.int64())
    if times.null_count:
        yield Fault(schema.time, as_mask(pc.is_null(times)), "a point needs a time")
    first, last = -(-TIME_MIN // unit), TIME_MAX // unit
    bounds = pc.min_max(times).as_py()
    if bounds["min"] is not None and not first <= bounds["min"] <= bounds["max"] <= last:
        outside = pc.or_(pc.less(times, first), pc.greater(times, last))
        yield Fault(schema.time, as_mask(outside), "InfluxDB holds times from 1677-09-21 to 2262-04-11")


def _key_faults(batch: pa.RecordBatch, schema: PointSchema, form: LineForm) -> Iterator[Fault]:
    """Yield a fault for the rows whose series and longest field key are too long together."""
    columns = [batch.column(tag) for tag in schema.tags]
    fixed = len(form.measurement.escape(schema.measurement).encode()) + _SEPARATOR_BYTES
    fixed += sum(len(form.tag_key.escape(tag).encode()) + 2 for tag in schema.tags)
    fixed += max((len(form.field_key.escape(field.column).encode()) for field in schema.fields), default=0)
    sizes = [pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy().astype(np.int64) for column in columns]
    if fixed + 2 * sum(int(size.max(initial=0)) for size in sizes) <= KEY_BYTES:
        return
    total = np.full(len(batch), fixed)
    for column, size in zip(columns, sizes, strict=True):
        special = f"[{re.escape(''.join(form.tag_escapes))}]"
        escapes = pc.fill_null(pc.count_substring_regex(column.dictionary.cast(_BYTES), special), 0).to_numpy()
        total += taken(size + escapes, column)
    reason = f"a series has at most {KEY_BYTES:,} bytes"
    yield Fault(", ".join(schema.tags), total > KEY_BYTES, reason, "long texts")


def _empty(batch: pa.RecordBatch, schema: PointSchema) -> Mask:
    """Tell which rows have no field."""
    empty = np.ones(len(batch), np.bool_)
    for field in schema.fields:
        empty &= batch.column(field.column).is_null().to_numpy(zero_copy_only=False)
        if not empty.any():
            break
    return empty


def _rejected(batch: pa.RecordBatch, faults: Sequence[Fault], row: int, address: Chunk) -> RejectedRow:
    """Return the rejected row ``row`` of ``batch`` with the first of its faults."""
    fault = next(fault for fault in faults if fault.rows[row])
    shown = fault.shown or _show(batch.column(fault.column), row)
    return RejectedRow(address.partition, address.start + row, fault.column, shown, fault.reason)


def _show(column: pa.Array, row: int) -> str:
    """Return the value in ``row`` of ``column``, its beginning if it is long, without control characters."""
    if pa.types.is_dictionary(column.type):
        column, row = column.dictionary, column.indices[row].as_py()
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if row is None or not column[row].is_valid:
        return "null"
    if not isinstance(column, pa.StringArray | pa.LargeStringArray):
        return repr(column[row].as_py())
    value = bytes(column.cast(_BYTES)[row].as_buffer())
    text = value[: 4 * _SHOWN].decode(errors="backslashreplace")
    return repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN or len(value) > 4 * _SHOWN else "")
