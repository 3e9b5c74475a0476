"""Record batches to line protocol, vectorised; pure, with no input or output.

A tag that is null or empty, and a field that is null, are left out: InfluxDB knows no empty value of either.
What has no form, :mod:`loader.encoding.escaping` lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from loader.dataset.chunk import Chunk
from loader.dataset.schema import FieldType, PointSchema
from loader.encoding.columns import read_columns
from loader.encoding.escaping import FIELD_KEY, STRING_ESCAPES
from loader.encoding.series import find_series

_PROBED_ROWS = 4_096
"""How many rows are looked at to tell whether a column's numbers repeat."""

_SUFFIXES = {FieldType.INTEGER: "i", FieldType.UNSIGNED: "u"}


@dataclass(frozen=True)
class EncodedLines:
    """Line protocol in one buffer: row ``i`` is ``data[offsets[i]:offsets[i + 1]]``, newline included."""

    data: memoryview
    offsets: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Number of lines."""
        return len(self.offsets) - 1

    @property
    def size(self) -> int:
        """Number of bytes."""
        return int(self.offsets[-1])

    def slice(self, start: int, stop: int) -> bytes:
        """Return the lines of rows ``start`` to ``stop`` (exclusive), ready to be sent."""
        return bytes(self.data[self.offsets[start] : self.offsets[stop]])


def encode(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> EncodedLines:
    """Encode every row of ``batch`` as one line with a nanosecond timestamp.

    The batch begins at row ``address.start`` of ``address.partition``, which errors name. Floats are written in
    the shortest form that reads back as the same double. Tags become text once for each combination, not for
    each row. Memory is about three times the text. Raises EncodeError for a value that has no line-protocol
    form, a row without any field, or a column that does not fit the schema.
    """
    read = read_columns(batch, schema, address)
    runs = find_series(batch, schema, address)
    texts = [_texts(values, field.type) for values, field in zip(read.values, schema.fields, strict=True)]
    frame = pl.DataFrame(
        [
            runs.texts.gather(np.repeat(runs.codes, runs.lengths)).alias("series"),
            *(text.alias(f"field {position}") for position, text in enumerate(texts)),
            read.times.alias("time"),
        ]
    )
    field_set, columns = _field_set(frame, schema)
    lines = frame.select(pl.format(f"{{}} {field_set} {{}}\n", "series", *columns, "time"))
    _, offsets, data = lines.to_series().to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
    return EncodedLines(memoryview(data), np.frombuffer(offsets, np.int64, len(batch) + 1))


def _texts(values: pl.Series, kind: FieldType) -> pl.Series:
    """Return the values of a field as text that needs nothing but a suffix."""
    if kind is FieldType.STRING:
        quote = pl.lit('"')
        return pl.select(quote + values.str.replace_many(dict(STRING_ESCAPES)) + quote).to_series()
    if kind is FieldType.BOOLEAN:
        return values.cast(pl.String)
    return _number_texts(values)


def _number_texts(values: pl.Series) -> pl.Series:
    """Return numbers as text; where they repeat, as prices in cents do, each becomes text once."""
    if values.head(_PROBED_ROWS).n_unique() > _PROBED_ROWS // 2:
        return values.cast(pl.String)
    numbers = values.to_arrow()
    # By bit pattern, since 0.0 and -0.0 are equal and their texts are not.
    coded = (numbers.view(pa.int64()) if values.dtype == pl.Float64 else numbers).dictionary_encode()
    return pl.Series(coded.dictionary.view(numbers.type)).cast(pl.String).gather(pl.Series(coded.indices))


def _field_set(frame: pl.DataFrame, schema: PointSchema) -> tuple[str, list[pl.Expr]]:
    """Return template and columns of the field sets.

    The first column without nulls takes no comma; columns before it bring one behind, columns after it one
    ahead. So only columns with nulls cost an intermediate text.
    """
    names = [f"field {position}" for position in range(len(schema.fields))]
    full = [frame[name].null_count() == 0 for name in names]
    pivot = full.index(True) if any(full) else len(full)
    template = ""
    columns = []
    for position, (name, field) in enumerate(zip(names, schema.fields, strict=True)):
        key = FIELD_KEY.escape(field.column).replace("{", "{{").replace("}", "}}")
        ahead, behind = "," * (position > pivot), "," * (position < pivot)
        part = f"{ahead}{key}={{}}{_SUFFIXES.get(field.type, '')}{behind}"
        template += part if full[position] else "{}"
        columns.append(pl.col(name) if full[position] else pl.format(part, name).fill_null(""))
    if pivot < len(full):
        return template, columns
    return "{}", [pl.format(template, *columns).str.strip_suffix(",")]
