"""Finds the series of the rows of a record batch; pure, with no input or output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.schema import PointSchema
from loader.encoding.arrays import Integers, Mask
from loader.encoding.escaping import MEASUREMENT, TAG_ESCAPES, TAG_KEY

Numbers: TypeAlias = dict[str | bytes, int]
"""The number of each series, by its text, or by a digest of a long text."""
_LONGEST_NAME = 100
_FEW_RUNS = 2
"""Runs a series, on average, from which rows of a series are brought together."""


@dataclass(frozen=True)
class SeriesRuns:
    """Runs of rows of one series each: run ``i`` is rows ``starts[i]`` to ``starts[i + 1]`` of ``texts[codes[i]]``.

    ``texts`` are measurement and tag set, escaped, as in line protocol. A text may occur twice: a null tag and an empty
    one give the same text.
    """

    starts: Integers
    codes: Integers
    texts: pa.LargeStringArray

    @property
    def lengths(self) -> Integers:
        """Rows of each run."""
        return np.diff(self.starts)


def find_series(batch: pa.RecordBatch, schema: PointSchema) -> SeriesRuns:
    """Return the series of every row of ``batch``, all of which are points, with the tags in the order of ``schema``.

    Rows in series order make long runs of one series: only the first row of each run is used, and each
    combination of tags becomes text only once. Tags are dictionaries. Memory is about eight bytes a
    row and tag, and twice the texts. Raises EncodeError for a name that has no form.
    """
    columns = [batch.column(tag) for tag in schema.tags]
    indices = [_indices(column) for column in columns]
    rows = np.flatnonzero(run_begins(indices, len(batch)))
    codes = np.zeros(len(rows), np.int64)
    texts = pa.array([MEASUREMENT.escape(schema.measurement)], pa.large_string())
    for tag, column, index in zip(schema.tags, columns, indices, strict=True):
        key = TAG_KEY.escape(tag)
        absent = len(column.dictionary)
        # A code for each combination that occurs, so that codes stay below rows times dictionary size.
        combined = pc.dictionary_encode(pa.array(codes * (absent + 1) + index[rows].astype(np.int64)))
        codes = combined.indices.to_numpy().astype(np.int64)
        former, picked = np.divmod(combined.dictionary.to_numpy(), absent + 1)
        values = column.dictionary.take(pa.array(picked, mask=picked == absent)).cast(pa.large_string())
        for character, escaped in TAG_ESCAPES.items():
            values = pc.replace_substring(values, character, escaped)
        pairs = pc.binary_join_element_wise(_text(f",{key}="), values, _text(""))
        pairs = pc.if_else(pc.fill_null(pc.equal(values, ""), True), _text(""), pairs)
        texts = pc.binary_join_element_wise(texts.take(pa.array(former)), pairs, _text(""))
    return SeriesRuns(np.append(rows, len(batch)), codes, texts)


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
    """Return the indices into the dictionary; a null has the index after its last value."""
    indices = column.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), len(column.dictionary))
    found: npt.NDArray[np.integer[Any]] = indices.to_numpy()
    return found
