"""Warns of fields that have another type in the bucket than in the dataset: lines that have them are refused."""

from __future__ import annotations

from collections.abc import Mapping

from loader.dataset.schema import PointSchema
from loader.events import Notice, Observer


def note_other_types(schema: PointSchema, types: Mapping[str, set[str]] | None, bucket: str, observe: Observer) -> None:
    """Report the fields of ``schema`` that the bucket holds in other ``types`` only; None where these are not known.

    The type of a field is fixed within a shard only, so lines of other times may still be accepted.
    """
    for field in schema.fields:
        known = (types or {}).get(field.column, {field.type})
        if field.type not in known:
            observe(
                Notice(
                    f"field {field.column!r} is {field.type} in the dataset and {' and '.join(sorted(known))} in bucket"
                    f" {bucket!r}: where it is so, lines are refused"
                )
            )
