"""Counts NaN and infinities, which a point cannot have, where they are to be left out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc

from loader.dataset.manifest import Manifest
from loader.dataset.policy import NonFinite
from loader.dataset.reader import GROUP_ROWS, read_batches
from loader.dataset.schema import FieldType, PointSchema
from loader.events import Notice, Observer
from loader.quantities import counted


def count_non_finite(root: Path, manifest: Manifest, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Return how many values of each field of the dataset at ``root`` are left out because they are NaN or infinite.

    Only float fields are read, of measurements whose policy leaves such values out. Memory and errors are those of
    ``read_batches``. Setting ``stop`` ends it early.
    """
    counts: Counter[str] = Counter()
    for part in manifest.measurements:
        if not (schema := _floats(part.schema)).fields:
            continue
        for partition in part.filled:
            for batch in read_batches(root, schema, partition.whole, GROUP_ROWS):
                if stop and stop.is_set():
                    return counts
                for field in schema.fields:
                    odd = pc.invert(pc.is_finite(batch.column(field.column)))
                    counts[field.column] += pc.sum(odd, min_count=0).as_py()
    return +counts


def tell_non_finite(root: Path, manifest: Manifest, observe: Observer, stop: threading.Event | None = None) -> int:
    """Report what ``count_non_finite`` finds, if anything, and return how many values there are."""
    counts = count_non_finite(root, manifest, stop)
    if counts:
        observe(Notice(non_finite_text(counts)))
    return sum(counts.values())


def non_finite_text(counts: Mapping[str, int]) -> str:
    """Return the message about ``counts``."""
    fields = ", ".join(f"{count:,} of {field}" for field, count in counts.items())
    return f"{counted(sum(counts.values()), 'value is', 'values are')} NaN or infinite, and left out: {fields}"


def _floats(schema: PointSchema) -> PointSchema:
    """Return ``schema`` with only the fields whose NaN and infinities are left out; reading keeps these values."""
    skips = schema.policy.non_finite == NonFinite.SKIP
    fields = tuple(field for field in schema.fields if skips and field.type is FieldType.FLOAT)
    return replace(schema, tags=(), fields=fields, policy=replace(schema.policy, non_finite=NonFinite.REJECT))
