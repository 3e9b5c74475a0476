"""Turns rows into points that InfluxDB can hold, and finds the rows that cannot be points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from loader.dataset.manifest import Partition
from loader.dataset.schema import FieldType, PointSchema
from loader.errors import StageError
from loader.servers.frames import ANSWER_TYPES, FIRST, LAST
from loader.verification.settings import UnfitRows
from loader.verification.texts import compact, cut

EXAMPLES = 5
"""Most rows that are named for each reason why rows cannot be points."""
_NULL = "null"
_TOLD = ("column", "value", "reason")
_NO_FIELD = "a point needs a value of at least one field"
_DAY_SECONDS = 86_400
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a partition, from row ``start`` on.

    ``points`` has ``time`` (Int64 nanoseconds), the tags ``t0``, … (text, empty where a row has none) and the fields
    ``f0``, … in the types of ANSWER_TYPES, or null. ``unfit`` has the rows that cannot be points: ``row``, ``time``
    (null where there is none), tags, and the ``column``, its ``value`` and the ``reason``.
    """

    start: int
    points: pl.DataFrame
    unfit: pl.DataFrame

    def pick(self, numbers: Sequence[int]) -> pl.DataFrame:
        """Return the points of those rows ``numbers`` (ascending, of the partition) that are here and are points."""
        size = self.points.height + self.unfit.height
        here = numbers[bisect_left(numbers, self.start) : bisect_left(numbers, self.start + size)]
        if not here:
            return self.points.clear()
        # Unfit rows are not among the points.
        bad = self.unfit["row"].to_numpy()
        places = np.array([row for row in here if not len(bad) or row not in self.unfit["row"]], np.int64)
        positions: list[int] = (places - self.start - np.searchsorted(bad, places)).tolist()
        return compact(self.points[positions])


@dataclass(frozen=True)
class _Doubt:
    """Rows (a mask) that cannot be points for a ``reason``; ``values`` is what ``column`` holds, as text."""

    rows: pl.Series
    column: str
    values: pl.Series
    reason: str


def make_points(schema: PointSchema, partition: Partition, start: int, raw: pl.DataFrame) -> Rows:
    """Return the rows of ``raw`` (``time``, tags, fields as they are stored), the first of which is row ``start``.

    Columns that have the right type are not copied. Raises StageError for a column that does not fit the schema, and
    for times outside the time range of the partition.
    """
    doubts: list[_Doubt] = []
    times = _times(schema, partition, raw["time"], doubts)
    if partition.moves is not None:
        times += pl.Series(partition.moves[start : start + len(times)])
    columns = [times.alias("time")]
    for number, tag in enumerate(schema.tags):
        columns.append(_text(partition, raw[f"t{number}"], tag, doubts))
    fields = [_field(schema, partition, number, raw[f"f{number}"], doubts) for number in range(len(schema.fields))]
    if all(column.has_nulls() for column in fields):
        empty = pl.select(pl.all_horizontal(pl.lit(column).is_null() for column in fields)).to_series()
        if empty.any():
            names = ", ".join(field.column for field in schema.fields)
            doubts.append(_Doubt(empty, names, pl.repeat(_NULL, len(empty), eager=True), _NO_FIELD))
    points = pl.DataFrame([*columns, *fields])
    if not doubts:
        return Rows(start, _within(partition, points), _none_unfit(points))
    bad = pl.select(pl.any_horizontal(doubt.rows for doubt in doubts)).to_series()
    good = points.filter(~bad)
    return Rows(start, _within(partition, good), _unfit(start, points, doubts, bad))


def unfit_rows(partition: Partition, unfit: pl.DataFrame) -> Iterator[UnfitRows]:
    """Yield the rows in ``unfit``, which cannot be points, by column and reason."""
    for (column, reason), rows in unfit.group_by("column", "reason", maintain_order=True):
        examples = [
            f"{cut(partition.path)}, row {row:,}" + (f": {cut(value)}" if value != _NULL else "")
            for row, value in rows.select("row", "value").head(EXAMPLES).iter_rows()
        ]
        yield UnfitRows("", cut(str(column)), str(reason), rows.height, tuple(examples))


def _times(schema: PointSchema, partition: Partition, column: pl.Series, doubts: list[_Doubt]) -> pl.Series:
    """Return ``column`` as nanoseconds, null where it holds no time that InfluxDB stores."""
    kind = column.dtype
    unit: str
    if kind == pl.Date:
        column, unit = column.cast(pl.Int64) * _DAY_SECONDS, "s"
    elif isinstance(kind, pl.Datetime):
        column, unit = _zoned(column, schema), kind.time_unit
    elif kind.is_integer():
        unit = schema.time_unit or "ns"
    else:
        raise _unlike(partition, schema.time, kind, "times")
    factor = _NANOSECONDS[unit]
    numbers = column.to_physical().cast(pl.Int64, strict=False)
    bounds = -(-FIRST // factor), LAST // factor
    low, high = numbers.min(), numbers.max()
    within = low is None or bounds[0] <= low <= high <= bounds[1]  # type: ignore[operator]
    if numbers.has_nulls() or not within:
        bad = ~numbers.is_between(*bounds).fill_null(value=False)
        shown = column.to_physical().cast(pl.String).fill_null(_NULL)
        reason = f"a point needs a time between 1677-09-21 and 2262-04-11 (unit: {unit})"
        doubts.append(_Doubt(bad, schema.time, shown, reason))
        numbers = pl.select(pl.when(~bad).then(pl.lit(numbers))).to_series()
    return numbers * factor if factor > 1 else numbers


def _zoned(column: pl.Series, schema: PointSchema) -> pl.Series:
    """Return local times as instants."""
    policy = schema.policy
    if not policy.local or not isinstance(column.dtype, pl.Datetime) or column.dtype.time_zone:
        return column
    ambiguous: Any = "raise" if policy.ambiguous == "refuse" else policy.ambiguous
    non_existent: Any = "null" if policy.nonexistent == "skip" else "raise"
    return column.dt.replace_time_zone(policy.local, ambiguous=ambiguous, non_existent=non_existent)


def _text(partition: Partition, column: pl.Series, name: str, doubts: list[_Doubt]) -> pl.Series:
    """Return a tag, empty where it is null; text that comes as bytes may not be UTF-8."""
    kind = column.dtype
    if kind.is_float() or kind.is_nested() or isinstance(kind, pl.Datetime | pl.Duration | pl.Time):
        raise _unlike(partition, name, kind, "what can be a tag")
    if column.dtype == pl.Binary:
        column = _decoded(column, name, doubts)
    if not isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = _written(column)
    return column.cast(pl.String).fill_null("") if column.has_nulls() else column


def _field(
    schema: PointSchema, partition: Partition, number: int, column: pl.Series, doubts: list[_Doubt]
) -> pl.Series:
    """Return field ``number`` in its type of ANSWER_TYPES."""
    field = schema.fields[number]
    kind = column.dtype
    if column.null_count() == len(column):  # without values, the type says nothing
        return pl.Series(f"f{number}", [None], ANSWER_TYPES[field.type]).new_from_index(0, len(column))
    written = kind.is_integer() or kind.is_decimal() or kind in {pl.Boolean, pl.Date}
    fits = {
        FieldType.FLOAT: kind.is_numeric(),
        FieldType.INTEGER: kind.is_integer() or isinstance(kind, pl.Datetime | pl.Duration | pl.Time),
        FieldType.UNSIGNED: kind.is_integer(),
        FieldType.BOOLEAN: kind == pl.Boolean,
        FieldType.STRING: written or kind in {pl.String, pl.Binary} or isinstance(kind, pl.Categorical | pl.Enum),
    }
    if not fits[field.type]:
        raise _unlike(partition, field.column, kind, f"a field of type {field.type}")
    if field.type is FieldType.STRING:
        text = _decoded(column, field.column, doubts) if kind == pl.Binary else _written(column)
        return text.cast(pl.Binary).alias(f"f{number}")
    if kind.is_decimal():
        column = column.cast(pl.String)
    elif kind.is_temporal():
        column = _zoned(column, schema).to_physical().cast(pl.Int64) * _NANOSECONDS[getattr(kind, "time_unit", "ns")]
    values = column.cast(ANSWER_TYPES[field.type])
    if field.type is FieldType.FLOAT:
        finite = values.is_finite()
        if schema.policy.non_finite == "skip":
            return pl.select(pl.when(finite).then(values).alias(f"f{number}")).to_series()
        if not finite.all():
            reason = "InfluxDB holds numbers only"
            bad = ~finite.fill_null(value=True)
            doubts.append(_Doubt(bad, field.column, values.cast(pl.String).fill_null(_NULL), reason))
    return values.alias(f"f{number}")


def _written(column: pl.Series) -> pl.Series:
    """Return values as text, without the sign that Polars writes before years of five digits."""
    texts = column.cast(pl.String)
    return texts.str.strip_prefix("+") if column.dtype == pl.Date else texts


def _decoded(column: pl.Series, name: str, doubts: list[_Doubt]) -> pl.Series:
    """Return bytes as text, null where they are not UTF-8."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        pass
    texts = [None if value is None else value.decode(errors="surrogateescape") for value in column]
    bad = [text is not None and not text.isprintable() and _is_odd(text) for text in texts]
    shown = [None if value is None else cut(value[:200].decode(errors="backslashreplace")) for value in column]
    doubts.append(_Doubt(pl.Series(bad, dtype=pl.Boolean), name, pl.Series(shown, dtype=pl.String), "it is not UTF-8"))
    good = [None if odd else text for text, odd in zip(texts, bad, strict=True)]
    return pl.Series(column.name, good, pl.String)


def _is_odd(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _unfit(start: int, points: pl.DataFrame, doubts: list[_Doubt], bad: pl.Series) -> pl.DataFrame:
    """Return the ``bad`` rows with the first doubt of each."""
    told: dict[str, pl.Expr] = {name: pl.lit(None, pl.String) for name in _TOLD}
    for doubt in reversed(doubts):
        holds = pl.lit(doubt.rows.filter(bad))
        values = {
            "column": pl.lit(doubt.column),
            "value": pl.lit(doubt.values.filter(bad)),
            "reason": pl.lit(doubt.reason),
        }
        told = {name: pl.when(holds).then(values[name]).otherwise(told[name]) for name in told}
    fields = [name for name in points.columns if name.startswith("f")]
    rows = points.drop(fields).with_row_index("row", offset=start).filter(bad)
    return rows.with_columns(**told)


def _none_unfit(points: pl.DataFrame) -> pl.DataFrame:
    kept = {name: kind for name, kind in points.schema.items() if not name.startswith("f")}
    return pl.DataFrame(schema={"row": pl.get_index_type(), **kept, **dict.fromkeys(_TOLD, pl.String)})


def _within(partition: Partition, points: pl.DataFrame) -> pl.DataFrame:
    """Return ``points``; raises StageError for a time outside the time range of ``partition``."""
    low, high = points["time"].min(), points["time"].max()
    if low is not None and not partition.time_min <= low <= high <= partition.time_max:  # type: ignore[operator]
        raise StageError(
            f"{partition.path}: holds times from {low!r} to {high!r}; the manifest says"
            f" {partition.time_min} to {partition.time_max}",
            hint="the file is another one than the manifest describes",
        )
    return points


def _unlike(partition: Partition, name: str, kind: pl.DataType, wanted: str) -> StageError:
    return StageError(f"{partition.path}: column {name!r} is {kind}; it should hold {wanted}")
