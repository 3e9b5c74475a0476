"""How servers divide time into shards: in groups that start at multiples of their duration since year 1."""

from __future__ import annotations

from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest

DEFAULT_DURATION = 7 * DAY
"""The default of the server for infinite retention, nanoseconds."""
YEAR_1 = -62_135_596_800_000_000_000


def count_spanned(manifest: Manifest, duration: int) -> int:
    """Return in how many shards of ``duration`` (nanoseconds) the times of the partitions lie; nothing is read."""
    spans = sorted(
        ((part.time_min - YEAR_1) // duration, (part.time_max - YEAR_1) // duration) for part in manifest.filled
    )
    number, done = 0, spans[0][0] if spans else 0
    for first, last in spans:
        number += max(0, last + 1 - max(first, done))
        done = max(last + 1, done)
    return number
