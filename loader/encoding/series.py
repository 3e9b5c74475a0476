"""Finds the series of the rows of a record batch; pure, with no input or output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.escaping import USUAL_FORM, LineForm

Numbers: TypeAlias = dict[str | bytes, int]
"""The number of each series, by its text, or by a digest of a long text."""
_LONGEST_NAME = 100
_MOST_COMBINATIONS = 2**62
"""Beyond so many combinations of tags, those that occur are numbered before the next tag is looked at."""
_FEW_RUNS = 2
"""Runs a series, on average, from which rows of a series are brought together."""


@dataclass(frozen=True)
class SeriesRuns:
    """Runs of rows of one series each: run ``i`` is rows ``starts[i]`` to ``starts[i + 1]`` of ``texts[codes[i]]``.

    ``texts`` are measurement and tag set, escaped, as in line protocol. Each is there once, unless the dictionary of a
    tag has a text twice.
    """

    starts: Integers
    codes: Integers
    texts: pa.LargeStringArray

    @property
    def lengths(self) -> Integers:
        """Rows of each run."""
        return np.diff(self.starts)


def find_series(batch: pa.RecordBatch, schema: PointSchema, form: LineForm = USUAL_FORM) -> SeriesRuns:
    """Return the series of every row of ``batch``, all of which are points, with the tags in the order of ``schema``.

    Rows in series order make long runs of one series: only the first row of each run is used, and each
    combination of tags becomes text only once. Tags are dictionaries. Memory is about eight bytes a
    row and tag, and twice the texts. Raises EncodeError for a name that has no form.
    """
    columns = [batch.column(tag) for tag in schema.tags]
    indices = [_indices(column) for column in columns]
    rows = np.flatnonzero(run_begins(indices, len(batch)))
    sizes = [len(column.dictionary) for column in columns]
    codes = _number_combinations([index[rows] for index in indices], sizes, len(rows))
    firsts = np.empty(int(codes.max(initial=-1)) + 1, np.int64)
    firsts[codes[::-1]] = rows[::-1]
    texts = pa.repeat(_text(form.measurement.escape(schema.measurement)), len(firsts))
    for tag, column in zip(schema.tags, columns, strict=True):
        values = _escaped(column.take(pa.array(firsts)).cast(pa.large_string()), form)
        key = f",{form.tag_key.escape(tag)}="
        if pc.min(pc.fill_null(pc.binary_length(values), 0)).as_py():
            texts = pc.binary_join_element_wise(texts, _text(key), values, _text(""))
        else:
            pairs = pc.binary_join_element_wise(_text(key), values, _text(""))
            pairs = pc.if_else(pc.fill_null(pc.equal(values, ""), True), _text(""), pairs)
            texts = pc.binary_join_element_wise(texts, pairs, _text(""))
    return SeriesRuns(np.append(rows, len(batch)), codes, texts)


def _number_combinations(indices: Sequence[npt.NDArray[np.integer[Any]]], sizes: Sequence[int], rows: int) -> Integers:
    """Return for each of ``rows`` rows the number of its combination of ``indices``, in the order of their first rows.

    An index is below its size of ``sizes``, or equal to it where there is no value.
    """
    codes, bound = np.zeros(rows, np.int64), 1
    for index, size in zip(indices, sizes, strict=True):
        if bound * (size + 1) > _MOST_COMBINATIONS:
            codes, bound = _numbered(codes), len(codes)
        codes = codes * (size + 1) + index.astype(np.int64)
        bound *= size + 1
    return _numbered(codes)


def _numbered(codes: Integers) -> Integers:
    numbers: Integers = pc.dictionary_encode(pa.array(codes)).indices.to_numpy().astype(np.int64)
    return numbers


def _escaped(values: pa.LargeStringArray, form: LineForm) -> pa.LargeStringArray:
    """Return tag values with their escapes."""
    characters = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    for character, escaped in form.tag_escapes.items():
        # Most texts have none, and to look costs less than to copy.
        if (characters == ord(character)).any():
            values = pc.replace_substring(values, character, escaped)
    return values


def gather_series(runs: SeriesRuns) -> tuple[SeriesRuns, Integers] | None:
    """Return one run for each series, and the order of the rows that makes them so: those of a series in their order.

    None where most series have one run as it is: nothing would be gained. Memory is about 24 bytes a row.
    """
    if len(runs.codes) <= _FEW_RUNS * len(runs.texts):
        return None
    codes = np.repeat(runs.codes.astype(np.min_scalar_type(len(runs.texts))), runs.lengths)
    lengths = np.bincount(codes, minlength=len(runs.texts))
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return SeriesRuns(starts, np.arange(len(runs.texts)), runs.texts), np.argsort(codes, kind="stable")


def number_series(runs: SeriesRuns, known: Numbers) -> Integers:
    """Return the number of the series of each run; ``known`` numbers the series, and gets new ones."""
    names = map(_name, runs.texts.to_pylist())
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)[runs.codes]


def _name(series: str) -> str | bytes:
    """Return the text of a series, or a digest of 128 bits of a long one, so that long texts are not held in memory."""
    return series if len(series) <= _LONGEST_NAME else hashlib.blake2b(series.encode(), digest_size=16).digest()


def run_begins(indices: Iterable[npt.NDArray[np.integer[Any]]], rows: int) -> Mask:
    """Tell of each of ``rows`` rows whether it has another combination of ``indices`` than the one before it."""
    begins = np.zeros(rows, np.bool_)
    begins[:1] = True
    for index in indices:
        begins[1:] |= index[1:] != index[:-1]
    return begins


def _text(value: str) -> pa.LargeStringScalar:
    return pa.scalar(value, pa.large_string())


def _indices(column: pa.DictionaryArray) -> npt.NDArray[np.integer[Any]]:
    """Return the indices into the dictionary; nulls and empty texts have the index after its last value."""
    indices, absent = column.indices, len(column.dictionary)
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), absent)
    found: npt.NDArray[np.integer[Any]] = indices.to_numpy()
    empty = pc.fill_null(pc.equal(pc.binary_length(column.dictionary), 0), True).to_numpy(zero_copy_only=False)
    if empty.any():
        found = np.where(np.append(empty, True), absent, np.arange(absent + 1))[found]
    return found
