"""Fields that the dataset does not have: a point of nothing else has neither count nor sum among the dataset's."""

from __future__ import annotations

from collections.abc import Sequence

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.servers.frames import instant
from loader.verification.expected import column
from loader.verification.found import Asker
from loader.verification.plan import Window
from loader.verification.settings import Difference


def find_other_fields(schema: PointSchema, windows: Sequence[Window], asker: Asker) -> list[Difference]:
    """Return the values of other fields in ``windows``, by field, series and day; raises ServerError."""
    known = {field.column for field in schema.fields}
    answers = [(window, asker.fields(schema, window.start, window.stop)) for window in windows]
    differences = []
    for window, names in answers:
        for name in sorted(set(names.result()) - known):
            # Only the number is asked for, which has the same type whatever that of the field.
            count = (Field(name, FieldType.INTEGER), "count")
            (found,) = asker.aggregates(schema, window.start, window.stop, [count])
            for row in found.result().sort("day", *schema.tags).iter_rows(named=True):
                series = ",".join(f"{tag}={row[tag]}" for tag in schema.tags)
                detail = f"expected no values, found {row[column(*count)]:,}: the dataset has no such field"
                differences.append(Difference("surplus", instant(row["day"])[:10], series, name, detail))
    return differences
