"""Fields that the dataset does not have: a point of nothing else has neither count nor sum among the dataset's."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.servers.frames import instant
from loader.verification.expected import column
from loader.verification.found import Asker
from loader.verification.plan import Window
from loader.verification.settings import Difference


def find_other_fields(schema: PointSchema, windows: Sequence[Window], asker: Asker) -> list[Difference]:
    """Return the values of other fields in ``windows``, by field, series and day; raises ServerError."""
    if not windows:
        return []
    known = {field.column for field in schema.fields}
    names = asker.fields(schema, windows[0].start, windows[-1].stop).result()
    differences = []
    for name in sorted(set(names) - known):
        # Only the number is asked for, which has the same type whatever that of the field.
        count = (Field(name, FieldType.INTEGER), "count")
        answers = [
            future for window in windows for future in asker.aggregates(schema, window.start, window.stop, [count])
        ]
        found = pl.concat([future.result() for future in answers])
        for row in found.sort("day", *schema.tags).iter_rows(named=True):
            series = ",".join(f"{tag}={row[tag]}" for tag in schema.tags)
            detail = f"expected no values, found {row[column(*count)]:,}: the dataset has no such field"
            differences.append(Difference("surplus", instant(row["day"])[:10], series, name, detail))
    return differences
