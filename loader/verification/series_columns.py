"""The forms of many series at a time: what :mod:`loader.verification.series` says of one, for whole columns.

Only series that are odd become Python objects. Memory is 16 bytes and the form for each series, and three times that
meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Bytes, Integers, Mask
from loader.encoding.compiled import compiled
from loader.servers.frames import tag_columns
from loader.verification.series import dataset_key, stored_keys, tag_values

_NUL = "\0"
_COMMA, _EQUALS, _SPACE, _BACKSLASH = b",= \\"
_ASCII = 0x80


def dataset_forms(schema: PointSchema, tags: pl.DataFrame) -> pl.Series:
    """Return ``dataset_key`` (Binary) of each row of ``tags``, which are the tags of ``schema`` in their order."""
    pairs = sorted(zip(schema.tags, tags.columns, strict=True))
    if not pairs:
        return pl.repeat(b"", tags.height, dtype=pl.Binary, eager=True)
    names = [tag for tag, _ in pairs]
    if not all(names) or any(_NUL in name for name in names):
        return pl.Series([dataset_key(schema, values) for values in tags.rows()], dtype=pl.Binary)
    parts = [pl.when(pl.col(name) != "").then(pl.lit(tag + _NUL) + pl.col(name)) for tag, name in pairs]
    joined = pl.concat_str(parts, separator=_NUL, ignore_nulls=True).cast(pl.Binary)
    odd = pl.any_horizontal(pl.col(name).str.contains(_NUL, literal=True) for _, name in pairs)
    forms, holds = tags.select(joined.alias("form"), odd.alias("odd"))
    places = holds.arg_true()
    return _replaced(forms, places, [dataset_key(schema, values) for values in tags[places].rows()])


def stored_forms(texts: pl.Series) -> pl.Series:
    """Return ``stored_keys`` (Binary) of each of ``texts``, which are Binary and all different."""
    _, offsets, content = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
    bounds, data = np.frombuffer(offsets, np.int64), np.frombuffer(content, np.uint8)
    out, ends, plain = np.empty(len(data), np.uint8), np.zeros(len(texts) + 1, np.int64), np.ones(len(texts), np.bool_)
    _write_forms(data, bounds, out, ends, plain, _as_text(texts) is not None)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(out)]
    forms = pl.Series(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers), dtype=pl.Binary)
    odd = pl.Series(~plain)
    forms = _one_by_one(forms, texts, odd)
    again = forms.is_duplicated()
    # Only the order of texts says which of two keeps the form.
    return _one_by_one(forms, texts, odd | again) if again.any() else forms


def form_tags(schema: PointSchema, forms: pl.Series) -> pl.DataFrame:
    """Return ``tag_values`` of each of ``forms``, as the columns ``t0``, ``t1`` and so on."""
    names = tag_columns(len(schema.tags))
    texts, odd = _as_text(forms), forms.bin.starts_with(_NUL.encode())
    if texts is None:
        texts, odd = pl.repeat("", len(forms), eager=True), pl.repeat(value=True, n=len(forms), eager=True)
    plain = np.flatnonzero((~odd & (texts != "")).to_numpy())
    parts = texts.gather(plain).str.split(_NUL)
    owners = np.repeat(plain, parts.list.len().to_numpy() // 2)
    flat = parts.explode()
    tags, values = flat.gather_every(2), flat.gather_every(2, 1)
    places = odd.arg_true()
    rows = [tag_values(schema, form) for form in forms.gather(places)]
    columns = []
    for number, (tag, name) in enumerate(zip(schema.tags, names, strict=True)):
        mine = (tags == tag).arg_true().to_numpy()
        # The text behind all values is that of series without the tag.
        at = np.full(len(forms), len(values))
        at[owners[mine]] = mine
        column = values.extend_constant("", 1).gather(at)
        columns.append(_replaced(column, places, [row[number] for row in rows]).alias(name))
    return pl.DataFrame(columns)


def _as_text(column: pl.Series) -> pl.Series | None:
    """Return bytes as text, None where some are not UTF-8."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        return None


def _one_by_one(forms: pl.Series, texts: pl.Series, odd: pl.Series) -> pl.Series:
    """Return ``forms`` with those of the ``odd`` ones of ``texts`` as ``stored_keys`` says."""
    places = odd.arg_true()
    chosen = texts.gather(places).to_list()
    keys = stored_keys(chosen)
    return _replaced(forms, places, [keys[text] for text in chosen])


def _replaced(column: pl.Series, places: pl.Series, values: Sequence[object]) -> pl.Series:
    """Return ``column`` with ``values`` at ``places``."""
    if places.is_empty():
        return column
    at = np.arange(len(column))
    at[places.to_numpy()] = len(column) + np.arange(len(values))
    return pl.concat([column, pl.Series(column.name, values, column.dtype)]).gather(at)


@compiled
def _write_forms(data: Bytes, bounds: Integers, out: Bytes, ends: Integers, plain: Mask, valid: bool) -> None:
    """Write the form of text ``i``, from ``bounds[i]`` to ``bounds[i + 1]``, to ``out``, to ``ends[i + 1]``.

    ``plain`` becomes false for the texts of which nothing is written: they hold NUL, or tags that are empty, without
    ``=``, or not in the order of their keys; unless the texts are ``valid`` UTF-8, ASCII must decide that order.
    """
    at = 0
    for number in range(len(plain)):
        place, stop = _skip(data, bounds[number], bounds[number + 1])
        former_at = former_stop = at
        while place < stop:
            key_at = at if at == ends[number] else at + 1
            place, key_stop = _unescape(data, place + 1, stop, _EQUALS, out, key_at)
            value_at = value_stop = key_stop + 1
            if place < stop and data[place] == _EQUALS:
                place, value_stop = _unescape(data, place + 1, stop, _COMMA, out, value_at)
            ordered = at == ends[number] or _ascend(out, former_at, former_stop, key_at, key_stop, valid)
            if key_stop <= key_at or value_stop <= value_at or not ordered:
                plain[number] = False
                break
            if key_at > at:
                out[at] = 0
            out[key_stop] = 0
            former_at, former_stop, at = key_at, key_stop, value_stop
        if not plain[number]:
            at = ends[number]
        ends[number + 1] = at


@compiled
def _skip(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Return where the tags begin that follow the measurement, and ``stop``."""
    while at < stop and data[at] != _COMMA:
        at += 2 if _is_escape(data, at, stop) else 1
    return at, stop


@compiled
def _unescape(data: Bytes, at: int, stop: int, end: int, out: Bytes, to: int) -> tuple[int, int]:
    """Copy a tag's key or value, which ``end`` ends, without escapes; return where both end, -1 where there is NUL."""
    while at < stop and data[at] != end and data[at] != _COMMA:
        if _is_escape(data, at, stop):
            at += 1
        if data[at] == 0:
            return stop, -1
        out[to] = data[at]
        to += 1
        at += 1
    return at, to


@compiled
def _is_escape(data: Bytes, at: int, stop: int) -> bool:
    """Tell whether a character that can be escaped follows a backslash."""
    if data[at] != _BACKSLASH or at + 1 == stop:
        return False
    character = np.int64(data[at + 1])
    return character in (_COMMA, _EQUALS, _SPACE)


@compiled
def _ascend(text: Bytes, left: int, left_stop: int, right: int, right_stop: int, valid: bool) -> bool:
    """Tell whether the left key of ``text`` is less than the right one; unless ``valid``, ASCII must decide."""
    while left < left_stop and right < right_stop and text[left] == text[right]:
        left += 1
        right += 1
    less = text[left] if left < left_stop else 0
    more = text[right] if right < right_stop else 0
    return less < more and (valid or more < _ASCII)
