"""Which rows of the dataset are compared by themselves, point by point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from loader.dataset.manifest import Manifest
from loader.events import Notice, Observer
from loader.loading.replayed_rows import edited_rows
from loader.quantities import counted
from loader.servers.base import Bucket
from loader.verification.settings import VerifySettings
from loader.verification.windows import draw_samples

Picks: TypeAlias = Mapping[str, Sequence[int]]
"""Numbers of rows, ascending, by partition."""


def find_edited_rows(settings: VerifySettings, manifest: Manifest, bucket: Bucket | None, observe: Observer) -> Picks:
    """Return the rows that were edited before a replay sent them, and report their number.

    Each of them is compared by itself: no sum shows when two of them make up for each other.
    """
    if bucket is None:
        return {}
    edited = edited_rows(settings.place.state, settings.target.bucket, bucket.id, manifest.fingerprint)
    if rows := sum(map(len, edited.values())):
        words = counted(rows, "row was", "rows were")
        observe(Notice(f"{words} sent by a replay with other values than the dataset's, which are expected here"))
    return edited


def draw_rows(settings: VerifySettings, part: Manifest, whole: Manifest, edited: Picks) -> Picks:
    """Return the rows of a measurement that are compared by themselves: its share of the samples, and edited ones."""
    return draw_samples(part.filled, -(-settings.samples * part.rows // whole.rows), settings.seed, edited)
