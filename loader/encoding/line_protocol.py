"""Record batches to line protocol, vectorised; pure, with no input or output.

Escaping, all of it. What InfluxDB 1.8 and 2.9 do not give back as it was has no form and raises EncodeError:

============  ===========================  ============================================================
part          a backslash goes before      has no form
============  ===========================  ============================================================
measurement   comma, space                 leading ``#``, tab or NUL; backslash before comma, space,
                                           equals or double quote
tag key       comma, equals, space         ``time``, ``_measurement``, ``_field``, NUL alone
tag value     comma, equals, space
field key     comma, equals, space         ``time``; leading tab or NUL; backslash before comma, space,
                                           equals or double quote
field string  double quote, backslash
all but that                               newline, final backslash, and for names the empty one
============  ===========================  ============================================================

A tag that is null or empty, and a field that is null, are left out: InfluxDB knows no empty value of either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from loader.dataset.chunk import Chunk
from loader.dataset.schema import Field, FieldType, PointSchema, column_problem
from loader.errors import EncodeError

TIME_MIN, TIME_MAX = -(2**63) + 2, 2**63 - 2
"""The first and last nanosecond that InfluxDB stores."""

_MEASUREMENT_ESCAPES = {",": r"\,", " ": r"\ "}
_KEY_ESCAPES = {",": r"\,", "=": r"\=", " ": r"\ "}
_STRING_ESCAPES = {'"': r"\"", "\\": r"\\"}
_MEASUREMENT_NO_FORM = r'^$|\n|\\$|^[#\t\0]|\\[, ="]'
_TAG_KEY_NO_FORM = r"^$|\n|\\$|^(time|_measurement|_field|\0)$"
_TAG_NO_FORM = r"\n|\\$"
_FIELD_KEY_NO_FORM = r'^$|\n|\\$|^time$|^[\t\0]|\\[, ="]'
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
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
    if problem := column_problem(schema, batch.schema):
        raise EncodeError(f"{address.partition}: {problem}", hint="give each column a field type that fits it")
    fields = [_values(batch.column(field.column), field, address) for field in schema.fields]
    frame = pl.DataFrame(
        [
            _series(batch, schema, address).alias("series"),
            *(values.alias(f"field {position}") for position, values in enumerate(fields)),
            _times(batch.column(schema.time), schema.time, address).alias("time"),
        ]
    )
    field_set, columns = _field_set(frame, schema, address)
    lines = frame.select(pl.format(f"{{}} {field_set} {{}}\n", "series", *columns, "time"))
    _, offsets, data = lines.to_series().to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
    return EncodedLines(memoryview(data), np.frombuffer(offsets, np.int64, len(batch) + 1))


def _series(batch: pa.RecordBatch, schema: PointSchema, address: Chunk) -> pl.Series:
    """Return measurement and tag set of every row.

    Rows in series order make long runs of one series: only the first row of each run is looked at, and of
    those only one for each combination of tags becomes text.
    """
    columns = [_as_dictionary(batch.column(tag)) for tag in schema.tags]
    indices = [
        pl.Series(column.indices).cast(pl.Int64).fill_null(len(column.dictionary)).to_numpy() for column in columns
    ]
    begins = np.zeros(len(batch), np.bool_)
    begins[:1] = True
    for index in indices:
        begins[1:] |= index[1:] != index[:-1]
    rows = np.flatnonzero(begins)
    codes = np.zeros(len(rows), np.int64)
    texts = pl.Series([_name("measurement", schema.measurement, _MEASUREMENT_ESCAPES, _MEASUREMENT_NO_FORM)])
    for tag, column, index in zip(schema.tags, columns, indices, strict=True):
        absent = len(column.dictionary)
        # A code for each combination that occurs, so that codes stay below rows times dictionary size.
        combined = pc.dictionary_encode(pa.array(codes * (absent + 1) + index[rows]))
        codes = combined.indices.to_numpy()
        former, picked = np.divmod(combined.dictionary.to_numpy(), absent + 1)
        values = pl.Series(column.dictionary.take(pa.array(picked, mask=picked == absent)), dtype=pl.String)
        value = pl.col("value")
        pair = pl.concat_str(
            pl.lit(f",{_name('tag key', tag, _KEY_ESCAPES, _TAG_KEY_NO_FORM)}="), value.str.replace_many(_KEY_ESCAPES)
        )
        made = pl.DataFrame({"former": texts.gather(former), "value": values}).select(
            pl.concat_str("former", pl.when(value != "").then(pair).otherwise(pl.lit(""))),
            formless=value.str.contains(_TAG_NO_FORM).fill_null(False),
        )
        texts, formless = made.get_columns()
        if formless.any():
            row = int(np.isin(codes, formless.arg_true().to_numpy()).argmax())
            hint = "take newlines, and backslashes at the end, out of tag values"
            raise _error(address, int(rows[row]), tag, values[int(codes[row])], hint)
    return texts.gather(codes[np.cumsum(begins) - 1])


def _as_dictionary(column: pa.Array) -> pa.DictionaryArray:
    """Return text as a dictionary."""
    if pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.large_string()).dictionary_encode()


def _values(column: pa.Array, field: Field, address: Chunk) -> pl.Series:
    """Return the values of a field as text that needs nothing but a suffix."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values = pl.Series(column)
    if field.type is FieldType.STRING:
        quote = pl.lit('"')
        return pl.select(quote + values.str.replace_many(_STRING_ESCAPES) + quote).to_series()
    if field.type is FieldType.BOOLEAN:
        return values.cast(pl.String)
    if field.type is FieldType.FLOAT:
        values = values.cast(pl.Float64)
        infinite = ~values.is_finite().fill_null(True)
        if infinite.any():
            row = int(infinite.arg_max() or 0)
            raise _error(address, row, field.column, values[row], "make such values null, or leave their rows out")
    return _number_texts(values)


def _number_texts(values: pl.Series) -> pl.Series:
    """Return numbers as text; where they repeat, as prices in cents do, each becomes text once."""
    if values.head(_PROBED_ROWS).n_unique() > _PROBED_ROWS // 2:
        return values.cast(pl.String)
    numbers = values.to_arrow()
    # By bit pattern, since 0.0 and -0.0 are equal and their texts are not.
    coded = (numbers.view(pa.int64()) if values.dtype == pl.Float64 else numbers).dictionary_encode()
    return pl.Series(coded.dictionary.view(numbers.type)).cast(pl.String).gather(pl.Series(coded.indices))


def _field_set(frame: pl.DataFrame, schema: PointSchema, address: Chunk) -> tuple[str, list[pl.Expr]]:
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
        key = _name("field key", field.column, _KEY_ESCAPES, _FIELD_KEY_NO_FORM).replace("{", "{{").replace("}", "}}")
        ahead, behind = "," * (position > pivot), "," * (position < pivot)
        part = f"{ahead}{key}={{}}{_SUFFIXES.get(field.type, '')}{behind}"
        template += part if full[position] else "{}"
        columns.append(pl.col(name) if full[position] else pl.format(part, name).fill_null(""))
    if pivot < len(full):
        return template, columns
    empty = frame.select(pl.all_horizontal(pl.col(names).is_null())).to_series()
    if empty.any():
        fields = ", ".join(field.column for field in schema.fields)
        raise _error(address, int(empty.arg_max() or 0), fields, None, "leave rows without any field out")
    return "{}", [pl.format(template, *columns).str.strip_suffix(",")]


def _times(column: pa.Array, name: str, address: Chunk) -> pl.Series:
    """Return timestamps in nanoseconds."""
    unit = _NANOSECONDS[column.type.unit] if pa.types.is_timestamp(column.type) else 1
    times = pl.Series(column.cast(pa.int64()))
    outside = ~times.is_between(-(-TIME_MIN // unit), TIME_MAX // unit).fill_null(False)
    if outside.any():
        row = int(outside.arg_max() or 0)
        raise _error(address, row, name, times[row], "every point needs a time between 1677-09-21 and 2262-04-11")
    return times * unit


def _name(what: str, name: str, escapes: dict[str, str], no_form: str) -> str:
    """Return a measurement, tag key or field key with its escapes."""
    if re.search(no_form, name):
        raise EncodeError(
            f"the {what} {name!r} has no line-protocol form",
            hint="rename the column or measurement, to letters and digits for example",
        )
    return "".join(escapes.get(character, character) for character in name)


def _error(address: Chunk, row: int, column: str, value: object, hint: str) -> EncodeError:
    """Return the error for ``value`` in row ``row`` of a batch that begins at ``address``."""
    shown = "null" if value is None else repr(value)
    return EncodeError(
        f"{address.partition}, row {address.start + row}, column {column!r}: {shown} has no line-protocol form",
        hint=hint,
    )
