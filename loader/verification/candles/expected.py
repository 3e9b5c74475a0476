"""Computes the candles of the points that a server should hold; rows are read as ``read_rows`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from loader.dataset.manifest import Partition
from loader.dataset.schema import PointSchema
from loader.servers.frames import ANSWER_TYPES, tag_columns
from loader.staging.candles.aggregate import GROSS, aggregate, merge_parts
from loader.staging.candles.plan import CandlePlan
from loader.verification.identities import identity_columns, merge_rows, overlapping, text_tags
from loader.verification.reading import read_rows
from loader.verification.texts import compact

MERGED_BYTES = 128 << 20
"""Bytes of rows that are searched for repeated identities at a time."""
_ROW_BYTES = 64
"""Bytes of a row in memory besides its tags, about."""
_TAG_BYTES = 24


@dataclass
class Expected:
    """Parts of candles (tags ``t0``, …), of how many rows, and what no candle has.

    ``without`` counts points that lack price or amount; ``left_out`` counts them, too, and the rows that cannot be
    points. ``superseded`` counts values that a later row of the same identity replaces.
    """

    parts: list[pl.DataFrame] = field(default_factory=list)
    without: int = 0
    left_out: int = 0
    superseded: int = 0


def expect_candles(
    root: Path, plan: CandlePlan, partitions: Sequence[Partition], *, distinct: bool
) -> tuple[pl.DataFrame, Expected]:
    """Return the candles of ``partitions`` by tags and time, with GROSS, and what was found beside them.

    Of rows of one series and time, the last value of each field counts; rows that cannot be points are left out. Memory
    is bounded by a batch and the candles; where rows are not known to be ``distinct``, by MERGED_BYTES, too, and the
    partitions are read as often as it takes to search all of their rows. Raises StageError.
    """
    total = Expected()
    schema = plan.columns if distinct else replace(plan.columns, tags=plan.source.tags)
    keys = tag_columns(len(plan.by))
    places = {f"t{schema.tags.index(tag)}": keys[number] for number, tag in enumerate(plan.by)}
    names = {"f0": "price", "f1": "amount"}
    for points in _points(root, schema, partitions, total, distinct=distinct):
        found = points.select(
            *(pl.col(place).alias(key) for place, key in places.items()),
            "time",
            *(pl.col(name).alias(names[name]) for name in points.columns if name in names),
        )
        trades = found.drop_nulls()
        total.without += found.height - trades.height
        if trades.height:
            parts = aggregate(trades, keys, plan.every, gross=True).with_columns(pl.col(keys).cast(pl.String))
            total.parts.append(merge_parts(parts, keys))
    none = pl.DataFrame(schema={**dict.fromkeys(keys, pl.String), "start": pl.Int64, **_columns(plan)})
    total.left_out += total.without
    return merge_parts(pl.concat(total.parts), keys) if total.parts else none, total


def _columns(plan: CandlePlan) -> dict[str, type[pl.DataType]]:
    price = ANSWER_TYPES[plan.price.type]
    columns: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(("open", "close", "high", "low"), price),
        "count": pl.Int64,
    }
    if plan.amount:
        sums = dict.fromkeys(("turnover", *GROSS.values()), pl.Float64)
        columns |= {"volume": ANSWER_TYPES[plan.amount.type], **sums}
    return columns


def _points(
    root: Path, schema: PointSchema, partitions: Sequence[Partition], total: Expected, *, distinct: bool
) -> Iterator[pl.DataFrame]:
    """Yield the points of ``partitions``, each identity once; superseded values are counted in ``total``."""
    for together in [[each] for each in partitions] if distinct else overlapping(partitions):
        size = sum(part.rows for part in together) * (_ROW_BYTES + _TAG_BYTES * len(schema.tags))
        passes = 1 if distinct else size // MERGED_BYTES + 1
        digest = sum((pl.col(name).hash() for name in identity_columns(schema)), pl.lit(0, pl.UInt64))
        for number in range(passes):
            held = []
            for partition in together:
                for rows in read_rows(root, schema, partition):
                    total.left_out += rows.unfit.height if number == 0 else 0
                    if distinct:
                        yield rows.points
                        continue
                    points = text_tags(schema, rows.points)
                    held.append(points if passes == 1 else compact(points.filter(digest % passes == number)))
            if held:
                merged, superseded = merge_rows(schema, pl.concat(held))
                total.superseded += superseded
                yield merged
