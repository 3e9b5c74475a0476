"""Finds the rows of a record batch that cannot be points because of a text; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.encoding.arrays import Mask
from loader.encoding.escaping import KEY_BYTES, LineForm

_BYTES = pa.large_binary()


@dataclass(frozen=True)
class Fault:
    """Rows (a mask) that cannot be points, because of what ``column`` holds there, or of ``shown``."""

    column: str
    rows: Mask
    reason: str
    shown: str = ""


def tag_faults(column: pa.DictionaryArray, tag: str, form: LineForm) -> Iterator[Fault]:
    """Yield a fault for the rows whose tag is too long, not UTF-8, or has no form."""
    values = column.dictionary
    # Lengths are checked first, so that texts that are too long are not copied.
    lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy()
    long = lengths > KEY_BYTES
    yield from _spread(column, tag, long, f"a series has at most {KEY_BYTES:,} bytes")
    if long.any():
        values = pc.if_else(pa.array(long), None, values)
        column = pa.DictionaryArray.from_arrays(column.indices, values)
    yield from text_faults(column, tag)
    formless = as_mask(pc.match_substring_regex(values.cast(_BYTES), form.tag_no_form))
    yield from _spread(column, tag, formless, form.tag_reason)


def text_faults(column: pa.Array, name: str) -> Iterator[Fault]:
    """Yield a fault for the rows whose text is not UTF-8."""
    dictionary = pa.types.is_dictionary(column.type)
    values = column.dictionary if dictionary else column
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        bad = np.array([not _is_text(value) for value in values.cast(_BYTES).to_pylist()], np.bool_)
        reason = "text is UTF-8"
        yield from _spread(column, name, bad, reason) if dictionary else [Fault(name, bad, reason)]


def length_faults(column: pa.Array, name: str, most: int) -> Iterator[Fault]:
    """Yield a fault for the rows whose string has more than ``most`` bytes."""
    dictionary = pa.types.is_dictionary(column.type)
    sizes = pc.fill_null(pc.binary_length(column.dictionary if dictionary else column), 0).to_numpy()
    long = sizes > most
    reason = f"a string of InfluxDB 3 has at most {most:,} bytes"
    if dictionary:
        yield from _spread(column, name, long, reason)
    elif long.any():
        yield Fault(name, long, reason)


def _spread(column: pa.DictionaryArray, name: str, bad: Mask, reason: str) -> Iterator[Fault]:
    """Yield a fault for the rows whose value in the dictionary is ``bad``, if there are any."""
    if bad.any():
        rows = taken(bad, column)
        if rows.any():
            yield Fault(name, rows, reason)


def taken(values: npt.NDArray[Any], column: pa.DictionaryArray) -> npt.NDArray[Any]:
    """Return for every row the item of ``values``, which has one for each dictionary value; zero where it is null."""
    indices = pc.fill_null(column.indices.cast(pa.int64()), len(values)).to_numpy()
    found: npt.NDArray[Any] = np.append(values, np.zeros(1, values.dtype))[indices]
    return found


def as_mask(condition: pa.BooleanArray) -> Mask:
    """Return an array that is false where ``condition`` is null."""
    mask: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask


def _is_text(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
