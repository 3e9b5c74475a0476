"""Finds fields that the server holds in another type: queries cannot tell their values from those of the right type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loader.dataset.instant import instant
from loader.dataset.schema import Field, PointSchema
from loader.verification.query_pool import QueryPool
from loader.verification.settings import Difference
from loader.verification.texts import cut
from loader.verification.windows import Window


def find_other_types(
    schema: PointSchema, types: Mapping[str, set[str]], windows: Sequence[Window], pool: QueryPool
) -> Iterator[Difference]:
    """Yield a difference for each field and window in which the server has values of another type.

    ``types`` are all types that the server has of each field, at any time. InfluxDB 1 tells no more than that, so there
    is one difference for all times there. Raises ServerError.
    """
    for field in schema.fields:
        others = types.get(field.column, {field.type}) - {field.type}
        if not others:
            continue
        words = f"expected {field.type}, found {' and '.join(sorted(others))}"
        for day, number in _places(schema, field, windows, pool):
            detail = f"{number} stored in another type: {words}"
            yield Difference("different", day, "", cut(field.column), detail)


def _places(schema: PointSchema, field: Field, windows: Sequence[Window], pool: QueryPool) -> Iterator[tuple[str, str]]:
    """Yield the first day of each window with such values, and a text of how many there are."""
    for window in windows:
        answer = pool.other_types(schema, field, window.start, window.stop)
        if answer is None:
            yield "", "values at some times, perhaps others than the dataset's, are"
            return
        if number := answer.result():
            values = f"{number:,} value{'s are' if number > 1 else ' is'}"
            yield (
                instant(window.start)[:10],
                f"from this day to {instant(window.stop - 1)[:10]}, {values}",
            )
