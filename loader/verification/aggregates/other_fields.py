"""Finds fields that the dataset does not have: a point with only such fields is in no other count or sum."""

from __future__ import annotations

from collections.abc import Sequence

from loader.dataset.instant import instant
from loader.dataset.schema import PointSchema
from loader.errors import ConfigError
from loader.servers.frames import tag_columns
from loader.verification.differences import series_text
from loader.verification.query_pool import QueryPool
from loader.verification.settings import Difference
from loader.verification.texts import cut
from loader.verification.windows import Window


def find_other_fields(schema: PointSchema, windows: Sequence[Window], pool: QueryPool) -> list[Difference]:
    """Return the values of other fields in ``windows``, by field, series and day; raises ServerError."""
    known = {field.column for field in schema.fields}
    answers = [(window, pool.fields(schema, window.start, window.stop)) for window in windows]
    differences = []
    for window, names in answers:
        for name in sorted(set(names.result()) - known):
            # Only the count is asked for, whose type does not depend on that of the field.
            try:
                found = pool.count(schema, name, window.start, window.stop).result()
            except ConfigError:
                detail = "the dataset has no such field; the server cannot be asked how many values it has"
                differences.append(Difference("surplus", instant(window.start)[:10], "", cut(name), detail))
                continue
            tags = tag_columns(len(schema.tags))
            for row in found.sort("day", *tags).iter_rows(named=True):
                series = series_text(schema, [row[tag] for tag in tags])
                detail = f"expected no values, found {row['value']:,}: the dataset has no such field"
                differences.append(Difference("surplus", instant(row["day"])[:10], series, cut(name), detail))
    return differences
