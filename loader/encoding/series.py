"""Which series the rows of a record batch belong to; pure, with no input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.chunk import Chunk
from loader.dataset.schema import PointSchema
from loader.encoding.escaping import MEASUREMENT, TAG_ESCAPES, TAG_KEY, TAG_NO_FORM, formless


@dataclass(frozen=True)
class SeriesRuns:
    """Runs of rows of one series each: run ``i`` is rows ``starts[i]`` to ``starts[i + 1]`` of ``texts[codes[i]]``.

    ``texts`` are measurement and tag set, escaped, as in line protocol. One may come twice: null is like empty.
    """

    starts: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]
    texts: pl.Series

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Rows of each run."""
        return np.diff(self.starts)


def find_series(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> SeriesRuns:
    """Return the series of every row, with the tags in the order of ``schema``.

    Rows in series order make long runs of one series: only the first row of each run is looked at, and of
    those only one for each combination of tags becomes text. ``address`` is named in errors. Memory is about
    eight bytes a row and tag. Raises EncodeError for a name or tag value that has no form.
    """
    columns = [_as_dictionary(batch.column(tag)) for tag in schema.tags]
    indices = [_indices(column) for column in columns]
    begins = np.zeros(len(batch), np.bool_)
    begins[:1] = True
    for index in indices:
        begins[1:] |= index[1:] != index[:-1]
    rows = np.flatnonzero(begins)
    codes = np.zeros(len(rows), np.int64)
    texts = pl.Series([MEASUREMENT.escape(schema.measurement)])
    for tag, column, index in zip(schema.tags, columns, indices, strict=True):
        absent = len(column.dictionary)
        # A code for each combination that occurs, so that codes stay below rows times dictionary size.
        combined = pc.dictionary_encode(pa.array(codes * (absent + 1) + index[rows].astype(np.int64)))
        codes = combined.indices.to_numpy().astype(np.int64)
        former, picked = np.divmod(combined.dictionary.to_numpy(), absent + 1)
        values = pl.Series(column.dictionary.take(pa.array(picked, mask=picked == absent)), dtype=pl.String)
        value = pl.col("value")
        pair = pl.concat_str(pl.lit(f",{TAG_KEY.escape(tag)}="), value.str.replace_many(dict(TAG_ESCAPES)))
        made = pl.DataFrame({"value": values, "former": former}).select(
            pl.concat_str(pl.lit(texts).gather("former"), pl.when(value != "").then(pair).otherwise(pl.lit(""))),
            formless=value.str.contains(TAG_NO_FORM),
        )
        texts, bad = made.get_columns()
        if bad.any():
            row = int(np.isin(codes, bad.arg_true().to_numpy()).argmax())
            hint = "take newlines, and backslashes at the end, out of tag values"
            raise formless(address, int(rows[row]), tag, values[int(codes[row])], hint)
    return SeriesRuns(np.append(rows, len(batch)), codes, texts)


def _indices(column: pa.DictionaryArray) -> npt.NDArray[np.integer[Any]]:
    """Return the indices into the dictionary; those of nulls lie behind it."""
    indices = column.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), len(column.dictionary))
    found: npt.NDArray[np.integer[Any]] = indices.to_numpy()
    return found


def _as_dictionary(column: pa.Array) -> pa.DictionaryArray:
    """Return text as a dictionary."""
    if pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.large_string()).dictionary_encode()
